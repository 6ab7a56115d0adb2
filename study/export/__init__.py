"""Models leave as what people use: a folder that a public library loads without any code of ours.

A new target is one file with `LOAD`, `write` and `remarks` like those there are, and one line in `TARGETS`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pandas as pd

from study.names import UnknownNameError
from study.towers.protocol import DualEncoder


class ExportError(ValueError):
    """A model cannot be written as asked; the message says what is possible."""


@dataclass(frozen=True)
class Target:
    """A library that models are written for: the family it can load, and the module that knows it."""

    family: str
    module: str

    def write(self, model: DualEncoder, folder: Path) -> None:
        """Fill `folder` with everything but the card: weights, configuration, tokenizer, image processing."""
        self._module.write(model, folder)

    def remarks(self, model: DualEncoder, texts: pd.DataFrame) -> list[str]:
        """What a user has to know of the library; `texts` are the scored ones (columns language, text)."""
        found: list[str] = self._module.remarks(model, texts)
        return found

    def load(self, folder: str) -> str:
        """Python lines that load `folder` with the library."""
        lines: str = self._module.LOAD.format(folder=folder)
        return lines

    @property
    def _module(self) -> ModuleType:
        return importlib.import_module(self.module)


TARGETS = {
    "open_clip": Target("clip", "study.export.clip"),
    "transformers": Target("siglip2", "study.export.siglip2"),
}
"""Library name to target; its module is imported on use, since each library takes seconds to import."""


def target(name: str, family: str) -> Target:
    """The target called `name`, for a model of `family`.

    Raises:
        UnknownNameError: there is no such target.
        ExportError: that library does not load this family.
    """
    if name not in TARGETS:
        raise UnknownNameError("library to export to", name, TARGETS)
    found = TARGETS[name]
    if found.family != family:
        possible = [other for other, entry in TARGETS.items() if entry.family == family]
        raise ExportError(
            f"a model of the family {family} cannot be exported to {name}; "
            f"that family can be exported to {' or '.join(possible) or 'nothing'}"
        )
    return found
