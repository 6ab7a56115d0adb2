"""What every task is: a folder to be made, and the fingerprint of what determines it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pipeline import stage

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called with the steps that are done, those there are, and the newest row of the training's history, if it is new."""


class Task(ABC):
    """A folder to be made."""

    kind: str
    name: str
    told: ClassVar[bool] = True
    """Whether it is a model, of which MLflow is told."""

    @property
    @abstractmethod
    def out(self) -> Path:
        """Where DVC expects it."""

    @cached_property
    @abstractmethod
    def fingerprint(self) -> str:
        """What determines it."""

    @abstractmethod
    def make(self, folder: Path, device: str, progress: Progress) -> None:
        """Fill `folder`."""

    @property
    def folder(self) -> Path:
        return stage.scratch(self.kind, self.fingerprint)

    def in_place(self) -> bool:
        """Whether DVC's output already is this very result."""
        record = self.out / "fingerprint"
        return record.is_file() and record.read_text().strip() == self.fingerprint

    def run(self, device: str, progress: Progress) -> None:
        def whole(folder: Path) -> None:
            self.make(folder, device, progress)
            (folder / "fingerprint").write_text(self.fingerprint + "\n")

        stage.make(self.folder, whole)
