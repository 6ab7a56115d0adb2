"""What the journals say of each model, now: who is made where and how far it is, who failed and why, who was killed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.tracking import journal

RUNNING, KILLED = "RUNNING", "KILLED"
"""States beside journal.FINISHED and journal.FAILED."""


@dataclass
class Live:
    """The newest making of one model; times in seconds since 1970."""

    cell: str
    fingerprint: str
    state: str = RUNNING
    started: float = 0.0
    ended: float | None = None
    where: str = ""
    """Device, and machine."""
    trained: bool = False
    """Whether what is left is its scoring."""
    step: int = 0
    steps: int = 0
    """Done, and in all; 0 where none has been told."""
    first: tuple[float, int] | None = None
    last: tuple[float, int] | None = None
    """When steps were told first and last, and which."""
    reason: str = ""


class Reader:
    """Follows the journals of the working folder; a second read takes what is new."""

    def __init__(self) -> None:
        self._offsets: dict[Path, int] = {}
        self._lives: dict[Path, Live] = {}

    def read(self) -> dict[str, Live]:
        """By fingerprint of the model; a model that nobody has begun to make here is not in it."""
        for path in journal.journals():
            live = self._lives.get(path)
            # Asked first: what is read next is all of it, if nobody writes.
            written = (live is None or live.state in (RUNNING, KILLED)) and journal.written_now(path)
            offset = self._offsets.get(path, 0)
            if path.stat().st_size > offset:
                events, self._offsets[path] = journal.events(path, offset)
                for event in events:
                    live = self._lives[path] = _after(live, path.stem, event)
                written = written or journal.written_now(path)
            if live is not None and live.state in (RUNNING, KILLED):
                live.state = RUNNING if written else KILLED
        return {live.fingerprint: live for live in self._lives.values()}


def _after(live: Live | None, fingerprint: str, event: Mapping[str, Any]) -> Live:
    """What is known of a model once that event has been read."""
    kind, when = event["event"], float(event["time"]) / 1000
    if kind == journal.START or live is None:
        host, device = str(event.get("host", "")), str(event.get("device", ""))
        where, trained = f"{device} of {host}" if host else "", bool(event.get("trained"))
        live = Live(str(event.get("cell", "")), fingerprint, started=when, where=where, trained=trained)
    if kind in (journal.ROW, journal.STEP):
        live.step, live.steps = int(event["row"]["step"]), int(event.get("total", 0))
        live.trained = 0 < live.steps <= live.step
        live.last = (when, live.step)
        live.first = live.first or live.last
    elif kind == journal.END:
        live.state, live.ended, live.reason = str(event["status"]), when, str(event.get("reason", ""))
    return live
