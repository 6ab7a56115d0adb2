"""What jobs on other machines tell the one that handed them out: small JSON files in a folder that they share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline import stage


class Note:
    """A file that one process writes: how the jobs that it makes have ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ended: dict[str, str | None] = {}

    def end(self, name: str, error: str | None) -> None:
        self.ended[name] = error
        stage.write_json(self.path, {"ended": self.ended})


def ended(notes: Sequence[Path]) -> dict[str, str | None]:
    """Of all jobs that ended, as the notes of several processes say: what went wrong, or None."""
    found: dict[str, str | None] = {}
    for note in notes:
        if note.is_file():
            found |= stage.read_json(note, ended=dict)["ended"]
    return found
