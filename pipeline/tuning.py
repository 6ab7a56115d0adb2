"""All searches of `make tune`, side by side by the declared engine.

A search is sequential, since each trial follows from those before it; so the trials of one search are never spread.
Different searches know nothing of one another, and each has its own journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import ClassVar

from pipeline import params, stage
from pipeline.engines import engine
from pipeline.engines.base import Job
from pipeline.pool import run_jobs
from pipeline.work.device import execution
from pipeline.work.task import Progress, Task


@dataclass(frozen=True)
class SearchTask(Task):
    """The search of a method in an architecture and size. It is never done for whoever asks: its journal knows."""

    arch: str
    size: str
    method: str
    kind = "search"
    told: ClassVar[bool] = False

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.arch}-{self.size}-{self.method}"

    @property
    def out(self) -> Path:
        return stage.scratch(self.kind, self.name)

    @cached_property
    def fingerprint(self) -> str:
        return self.name

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        raise NotImplementedError("a search leaves a file, not a folder")

    def run(self, device: str, progress: Progress) -> None:
        from pipeline import tune

        tune.run(self.arch, self.size, self.method, device)


def jobs(arch: str | None = None, size: str | None = None, method: str | None = None) -> list[Job]:
    """Every search that the grid declares, or those of one architecture, size or method."""
    grid = params.grid()
    wanted = (arch, size, method)
    cells = product(grid.archs, grid.sizes, grid.methods)
    return [(SearchTask(*cell),) for cell in cells if all(w in (None, n) for w, n in zip(wanted, cell, strict=True))]


def run(arch: str | None = None, size: str | None = None, method: str | None = None) -> None:
    """Carry out `jobs`.

    Raises:
        StageError: some failed; what the others found is kept.
    """
    todo = jobs(arch, size, method)
    if len(todo) == 1:  # shows its trials
        todo[0][0].run(execution().device, lambda done, total, row: None)
    else:
        run_jobs("searches", todo, engine(execution(), len(todo)))
