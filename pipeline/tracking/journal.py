"""What a cell tells while it is made: one line of JSON an event, in a file of its own below .scratch/live.

A worker holds a lock on its file for as long as it writes, and the kernel lets go of it when the worker ends in
whatever way. So a reader can tell a cell that is being made from one whose worker was killed. Results never depend
on a journal: one that cannot be written is given up, and the work goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import stage

LIVE = stage.SCRATCH / "live"
PENDING = LIVE / "pending"
"""Is there when results could not be published."""
START, ROW, STEP, SCORES, END = "start", "row", "step", "scores", "end"
FINISHED, FAILED = "FINISHED", "FAILED"
REASON_LENGTH = 4000


def place(fingerprint: str) -> Path:
    """The journal of the model with that fingerprint."""
    return LIVE / f"{fingerprint}.jsonl"


def journals() -> list[Path]:
    """All journals of this study's folder, the oldest first."""
    found = {path: path.stat().st_mtime for path in LIVE.glob("*.jsonl")} if LIVE.is_dir() else {}
    return sorted(found, key=lambda path: (found[path], path.name))


class Journal:
    """Writes events; silent from the first one that could not be written."""

    def __init__(self, file: io.FileIO | None) -> None:
        self._file = file
        self._failure = ""

    def write(self, event: str, **content: Any) -> None:
        """One event, with the time in milliseconds since 1970."""
        if self._file is None:
            return
        line = json.dumps({"event": event, "time": round(time.time() * 1000), **content}, ensure_ascii=False)
        try:
            self._file.write(line.encode() + b"\n")  # one call, so that no reader sees half of it for long
        except OSError:
            self._file = None

    def row(self, row: Mapping[str, float], total: int = 0) -> None:
        """A row of the training's history, of `total` steps; what is not finite is left out."""
        self.write(ROW, total=total, row={name: value for name, value in row.items() if math.isfinite(value)})

    def step(self, done: int, total: int) -> None:
        """Steps that are done, between two rows."""
        self.write(STEP, total=total, row={"step": done})

    def fail(self, reason: str) -> None:
        """End as failed, though no error is raised: of a training that diverged, as an outcome."""
        self._failure = reason

    def end(self) -> None:
        if self._failure:
            self.write(END, status=FAILED, reason=self._failure[:REASON_LENGTH])
        else:
            self.write(END, status=FINISHED)


@contextlib.contextmanager
def writing(fingerprint: str) -> Iterator[Journal]:
    """The journal to write to; an error of what is done within is its end, a kill leaves it without one."""
    with contextlib.ExitStack() as held:
        file = None
        with contextlib.suppress(OSError):  # another one writes it, or the disk is full
            LIVE.mkdir(parents=True, exist_ok=True)
            opened = held.enter_context(place(fingerprint).open("ab", buffering=0))
            _lock(opened)
            file = opened
        journal = Journal(file)
        try:
            yield journal
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"[:REASON_LENGTH]
            journal.write(END, status=FAILED, reason=reason)
            raise
        journal.end()


def _lock(file: io.FileIO) -> None:
    """Hold `file` alone. A reader holds it for a moment only; who holds it longer is another writer.

    Raises:
        OSError: another one writes it.
    """
    for wait in (0.05, 0.2, 0.5, None):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait is None:
                raise
            time.sleep(wait)
        else:
            return


def written_now(path: Path) -> bool:
    """Whether somebody holds that journal to write to it."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def events(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Whole events from `offset` on, and the offset behind them; a line that is no event is skipped."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            whole = file.read().rpartition(b"\n")
    except FileNotFoundError:
        return [], offset
    found = []
    for line in whole[0].split(b"\n") if whole[1] else []:
        with contextlib.suppress(ValueError, RecursionError):  # half a line, of a full disk
            event = json.loads(line)
            if isinstance(event, dict) and "event" in event and "time" in event:
                found.append(event)
    return found, offset + len(whole[0]) + len(whole[1])


@dataclass(frozen=True)
class Told:
    """A journal as a whole: the first start and the last end that it knows of, and its rows by step."""

    started: int | None = None
    """Milliseconds since 1970."""
    ended: int | None = None
    start: Mapping[str, Any] = field(default_factory=dict)
    """The first event."""

    @classmethod
    def of(cls, fingerprint: str) -> Told:
        """The journal of that fingerprint; nothing if it was made elsewhere."""
        found, _ = events(place(fingerprint))
        starts = [event for event in found if event["event"] == START]
        ends = [event["time"] for event in found if event["event"] == END and event.get("status") == FINISHED]
        if not starts:
            return cls()
        return cls(int(starts[0]["time"]), int(ends[-1]) if ends else None, starts[0])
