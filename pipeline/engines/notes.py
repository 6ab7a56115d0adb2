"""What jobs on other machines tell the one that handed them out: small JSON files in a folder that they share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from pipeline import stage

SECONDS = 2.0
"""Between two notes on steps, at least."""


class Note:
    """A file that one process writes: steps of the jobs that it makes, and how they ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.steps: dict[str, tuple[int, int]] = {}
        self.ended: dict[str, str | None] = {}
        self.written = 0.0

    def step(self, name: str, done: int, total: int) -> None:
        self.steps[name] = (done, total)
        if time.monotonic() - self.written >= SECONDS:
            self._write()

    def end(self, name: str, error: str | None) -> None:
        self.ended[name] = error
        self._write()

    def _write(self) -> None:
        self.written = time.monotonic()
        stage.write_json(self.path, {"steps": self.steps, "ended": self.ended})


class News:
    """The notes of several processes, read again and again."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.seen: dict[str, tuple[int, int]] = {}

    def steps(self) -> list[tuple[str, int, int]]:
        """Of the jobs that went on since the last call: name, steps done, steps in all."""
        found: dict[str, tuple[int, int]] = {}
        for note in self._notes():
            found |= {name: (int(done), int(total)) for name, (done, total) in note["steps"].items()}
        new = [(name, *value) for name, value in found.items() if self.seen.get(name) != value]
        self.seen |= found
        return new

    def ended(self) -> dict[str, str | None]:
        """Of all jobs that ended: what went wrong, or None."""
        found: dict[str, str | None] = {}
        for note in self._notes():
            found |= note["ended"]
        return found

    def _notes(self) -> list[dict[str, dict]]:
        return [stage.read_json(path, steps=dict, ended=dict) for path in self.paths if path.is_file()]
