"""Progress over the grid: models done, failed and running, where and how far, and the time left."""

from __future__ import annotations

import platform
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from statistics import fmean
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live as Screen
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.tracking.journal import FINISHED
from pipeline.tracking.live import RUNNING, Live, Reader

QUIET_SECONDS = 20.0
"""Between two lines where there is no terminal to draw on."""
DRAW_SECONDS = 1.0
SCORING = 0.1
"""Of a training's time, until a scoring has been seen."""
LISTED = 12
"""Running models that are shown one by one."""


def duration(seconds: float) -> str:
    """`1 h 05 min`, `3 min 20 s`, `45 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def here(live: Live) -> str:
    """Where a model is made; this machine is not named."""
    return live.where.removesuffix(f" of {platform.node()}")


def stand(live: Live) -> str:
    """How far a model is: `step 40 of 200`, `scoring`, `starting`."""
    if live.trained:
        return "scoring"
    return f"step {live.step} of {live.steps}" if live.steps else "starting"


def expected(live: Live, scoring: float | None, now: float) -> float | None:
    """Seconds that a model takes from its start to its end; None until its training has told of a step.

    Args:
        scoring: seconds from the last step to the end, of models that have ended.
        now: seconds since 1970.
    """
    if live.last is None or live.first is None or not live.steps:
        return None
    (told, step), (began, earliest) = live.last, live.first
    pace = (told - began) / (step - earliest) if step > earliest else (told - live.started) / max(1, step)
    training = pace * (live.steps - step)
    rest = scoring if scoring is not None else SCORING * pace * live.steps
    return max(told + training + rest, now) - live.started


def seconds_left(
    running: Sequence[Live], ended: Iterable[Live], waiting: int, workers: int, now: float
) -> float | None:
    """Seconds until `waiting` models, and those that are running, are made; None while nothing tells.

    A model that waits takes as long as those that ended or run take on average.
    """
    ended = [live for live in ended if live.ended is not None]
    scorings = [live.ended - live.last[0] for live in ended if live.ended is not None and live.last is not None]
    scoring = fmean(scorings) if scorings else None
    guesses = {live.fingerprint: expected(live, scoring, now) for live in running}
    known = [live.ended - live.started for live in ended if live.ended is not None]
    known += [guess for guess in guesses.values() if guess is not None]
    if not known:
        return None
    usual = fmean(known)
    rests = [max(0.0, live.started + (guesses[live.fingerprint] or usual) - now) for live in running]
    return max([(sum(rests) + waiting * usual) / max(1, workers), *rests])


class Board:
    """Shows `total` models of `workers` workers, as their journals tell, until it is left."""

    def __init__(self, what: str, total: int, workers: int) -> None:
        self.what, self.total, self.workers = what, total, workers
        self.done = self.failed = 0
        self._last = ""
        self._reader = Reader()
        self._began = self._said = time.time()
        self._console = Console(file=sys.stdout, soft_wrap=True)
        self._screen = Screen(console=self._console, auto_refresh=False, transient=True)
        self._lock = threading.Lock()
        self._left = threading.Event()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._screen.start()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._ticker.join(timeout=2.0)
        if self._console.is_terminal:
            self._screen.stop()
        with self._lock:
            self._print(self.line([], None))

    def finished(self) -> None:
        """One more is made."""
        with self._lock:
            self.done += 1

    def has_failed(self) -> None:
        """One more cannot be made."""
        with self._lock:
            self.failed += 1

    def say(self, text: str) -> None:
        """Show lines at once, above what is drawn."""
        with self._lock:
            self._console.print(Text(text))
            sys.stdout.flush()

    def line(self, running: Sequence[Live], left: float | None) -> str:
        """Everything in one line."""
        parts = [f"{self.done} of {self.total} done", *([f"{self.failed} failed"] if self.failed else [])]
        if running:
            named = ", ".join(f"{live.cell} {stand(live)} on {here(live)}" for live in running[:LISTED])
            more = f" and {len(running) - LISTED} more" if len(running) > LISTED else ""
            parts += [f"running: {named}{more}", self._remaining(left)]
        return f"{self.what}: {'; '.join(parts)}"

    def _print(self, line: str) -> None:
        if line != self._last:
            print(line, flush=True)
        self._last = line

    def _remaining(self, left: float | None) -> str:
        return "time left unknown yet" if left is None else f"about {duration(left)} left"

    def _tick(self) -> None:
        while not self._left.wait(DRAW_SECONDS):
            running, left = self._look()
            with self._lock:
                if self._console.is_terminal:
                    self._screen.update(self._drawn(running, left), refresh=True)
                elif time.time() - self._said > QUIET_SECONDS:
                    self._said = time.time()
                    self._print(self.line(running, left))

    def _look(self) -> tuple[list[Live], float | None]:
        """The models that run, the oldest first, and the seconds left."""
        lives = list(self._reader.read().values())
        running = sorted((live for live in lives if live.state == RUNNING), key=lambda live: (live.started, live.cell))
        ended = [live for live in lives if live.state == FINISHED and (live.ended or 0.0) >= self._began]
        waiting = max(0, self.total - self.done - self.failed - len(running))
        return running, seconds_left(running, ended, waiting, self.workers, time.time())

    def _drawn(self, running: Sequence[Live], left: float | None) -> RenderableType:
        head = Table.grid(padding=(0, 2))
        failed = Text(f", {self.failed} failed" if self.failed else "", style="red")
        counts = Text(f"{self.done} of {self.total} done").append_text(failed)
        passed = duration(time.time() - self._began)
        bar = ProgressBar(total=self.total, completed=self.done + self.failed, width=30)
        head.add_row(self.what, bar, counts, passed, self._remaining(left))
        rows = Table.grid(padding=(0, 2))
        for live in running[:LISTED]:
            bar = ProgressBar(total=live.steps or 1, completed=live.step, width=20)
            rows.add_row(f"  {live.cell}", bar, stand(live), here(live), duration(time.time() - live.started))
        if len(running) > LISTED:
            rows.add_row(f"  and {len(running) - LISTED} more")
        return Group(head, rows)
