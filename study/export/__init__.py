"""Models leave as what people use: a folder that a public library loads without any code of ours.

A new target is one file with `load`, `write` and `remarks` like those there are, and one line in `TARGETS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pandas as pd

from study.models.dual_encoder import DualEncoder
from study.names import UnknownNameError


class ExportError(ValueError):
    """A model cannot be written as asked; the message says what is possible."""


@dataclass(frozen=True)
class Target:
    """A library that models of one family are written for, and the module that knows how."""

    module: str

    def write(self, model: DualEncoder, folder: Path) -> None:
        """Fill `folder` with everything but the card: weights, configuration, tokenizer, image processing.

        Raises:
            ExportError: the library has no such model.
        """
        self._module.write(model, folder)

    def remarks(self, model: DualEncoder, texts: pd.DataFrame) -> list[str]:
        """What a user has to know of the library; `texts` are the scored ones (columns language, text)."""
        found: list[str] = self._module.remarks(model, texts)
        return found

    def load(self, model: DualEncoder, folder: str) -> str:
        """Python lines that load `folder` with the library."""
        lines: str = self._module.load(model, folder)
        return lines

    @property
    def _module(self) -> ModuleType:
        return importlib.import_module(self.module)


TARGETS: Mapping[str, Mapping[str, Target]] = {
    "open_clip": {
        "clip": Target("study.export.clip"),
        "open_clip": Target("study.export.open_clip_pretrained"),
        "encoder": Target("study.export.encoder"),
    },
    "transformers": {
        "clip": Target("study.export.clip_transformers"),
        "siglip2": Target("study.export.siglip2"),
        "transformers": Target("study.export.transformers_pretrained"),
    },
    "sentence-transformers": dict.fromkeys(
        ("clip", "siglip2", "transformers"), Target("study.export.sentence_transformers")
    ),
}
"""Library name to the families that it can load; modules are imported on use, since each library takes seconds."""


def target(name: str, family: str) -> Target:
    """The target called `name`, for a model of `family`.

    Raises:
        UnknownNameError: there is no such target.
        ExportError: that library does not load this family.
    """
    if name not in TARGETS:
        raise UnknownNameError("library to export to", name, TARGETS)
    if family not in TARGETS[name]:
        possible = [other for other, families in TARGETS.items() if family in families]
        raise ExportError(
            f"a model of the family {family} cannot be exported to {name}; "
            f"that family can be exported to {' or '.join(possible) or 'nothing'}"
        )
    return TARGETS[name][family]
