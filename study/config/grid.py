"""The experiment's factors, its cells and their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True, order=True)
class Cell:
    """One student of the grid."""

    arch: str
    size: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.arch}-{self.size}-{self.method}-s{self.seed}"

    @property
    def plan(self) -> str:
        """The name of what all seeds of this cell share."""
        return f"{self.arch}-{self.size}-{self.method}"

    @property
    def block(self) -> str:
        """Cells of one block share initialisation, batches and evaluation items: contrasts are paired."""
        return f"{self.arch}-{self.size}-s{self.seed}"


def cells(archs: Sequence[str], sizes: Sequence[str], methods: Sequence[str], seeds: Sequence[int]) -> Iterator[Cell]:
    """Every cell; seeds outermost, so that an unfinished grid is a balanced one."""
    for seed, arch, size, method in product(seeds, archs, sizes, methods):
        yield Cell(arch, size, method, seed)


def teacher_name(arch: str) -> str:
    """The name under which a teacher has rows in the result tables."""
    return f"{arch}-teacher"
