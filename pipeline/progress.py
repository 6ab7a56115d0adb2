"""Progress over the grid: cells done, running, and the time left."""

from __future__ import annotations

import sys
import threading
import time
from multiprocessing.queues import SimpleQueue
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

QUIET_SECONDS = 20.0
"""Between two lines where there is no terminal to draw on."""


def duration(seconds: float) -> str:
    """`1 h 05 min`, `3 min 20 s`, `45 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


class Board:
    """Shows `total` jobs of `workers` workers; `reports` brings (job, steps done, steps in all)."""

    def __init__(self, what: str, total: int, workers: int, reports: SimpleQueue[tuple[str, int, int]]) -> None:
        self.what, self.total, self.workers, self.reports = what, total, workers, reports
        self.fractions: dict[str, float] = {}
        self.done: set[str] = set()
        self.started = self.said = time.perf_counter()
        self.console = Console(file=sys.stdout, soft_wrap=True)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task(what, total=total, left="")
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        self.bar.start()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reports.put(("", 0, 0))
        self.listener.join(timeout=2.0)
        self.bar.stop()

    def _listen(self) -> None:
        while True:
            name, done, total = self.reports.get()
            if not total:
                return
            with self.lock:
                # Scoring follows training, so a trained student is not yet a whole one.
                self.fractions[name] = 0.9 * done / total
            self._show()

    def finished(self, name: str) -> None:
        with self.lock:
            self.fractions.pop(name, None)
            self.done.add(name)
        self._show()

    def left(self) -> str:
        """Time left, from the work done so far."""
        with self.lock:
            work = len(self.done) + sum(value for name, value in self.fractions.items() if name not in self.done)
        elapsed = time.perf_counter() - self.started
        if work < 0.02 * self.total:
            return "estimating"
        return f"about {duration(elapsed * (self.total - work) / work)} left"

    def _show(self) -> None:
        left = self.left()
        self.bar.update(self.task, completed=len(self.done), left=left)
        now = time.perf_counter()
        if not self.console.is_terminal and (now - self.said > QUIET_SECONDS or len(self.done) == self.total):
            self.said = now
            print(f"{self.what}: {len(self.done)} of {self.total} done, {left}", flush=True)
