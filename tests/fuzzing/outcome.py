"""What became of one try: accepted, refused in plain lines, or a fault of this program."""

from __future__ import annotations

import contextlib
import io
import signal
import time
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from pipeline import stage

Verdict = Literal["accepted", "refused", "traceback", "unclear", "hang"]
FAULTS: tuple[Verdict, ...] = ("traceback", "unclear", "hang")

LONGEST = 2000
"""Letters of a line that is told."""
MOST_LINES = 200


@dataclass(frozen=True)
class Result:
    """said: the lines that the user reads, or the traceback. value: what the call returned, if it was accepted."""

    verdict: Verdict
    said: str = ""
    value: Any = None


class Hang(BaseException):
    """The time is up; no `except Exception` on the way may take it."""


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise `Hang` after so much time of a processor, or, of a call that waits, twenty times as much of the clock's
    without that in which other programs had all processors; in a single call into C code only when it returns.
    """
    most, started, delayed = 20 * seconds, time.monotonic(), _delayed()

    def ring(number: int, frame: FrameType | None) -> None:
        left = most - (time.monotonic() - started) + (_delayed() - delayed)
        if number == signal.SIGALRM and left > 0:
            signal.setitimer(signal.ITIMER_REAL, max(1.0, left))
            return
        raise Hang

    timers = ((signal.SIGPROF, signal.ITIMER_PROF, seconds), (signal.SIGALRM, signal.ITIMER_REAL, most))
    before = [signal.signal(number, ring) for number, _, _ in timers]
    for _, timer, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def _delayed() -> float:
    """Seconds that this process was ready and had no processor (Linux); elsewhere 0."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def attempt(call: Callable[[], Any], seconds: float) -> Result:
    """Call, and judge as `pipeline.stage.main` does."""
    heard = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
            warnings.simplefilter("ignore")
            with alarm(seconds):
                value = call()
    except Hang:
        return Result("hang", traceback.format_exc())
    except Exception as error:
        said = stage.expected(error)
        if said is None:
            return Result("traceback", traceback.format_exc())
        return Result("refused" if is_plain(said) else "unclear", said)
    return Result("accepted", heard.getvalue(), value)


def is_plain(said: str) -> bool:
    """Whether a person can read it in a terminal: some lines, not endless, without control characters."""
    lines = said.split("\n")
    return (
        bool(said.strip())
        and len(lines) <= MOST_LINES
        and all(len(line) <= LONGEST for line in lines)
        and not any(unicodedata.category(c) in ("Cc", "Cs") for line in lines for c in line if c != "\t")
    )
