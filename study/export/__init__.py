"""Models leave as what people use: a folder that a public library loads without any code of ours.

A new target is one file with a function like those below and one line in `TARGETS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from study.names import UnknownNameError
from study.towers.protocol import DualEncoder

Write = Callable[[DualEncoder, Path], None]
"""Fills a folder with everything but the card: weights, configuration, tokenizer, image processing."""


class ExportError(ValueError):
    """A model cannot be written as asked; the message says what is possible."""


@dataclass(frozen=True)
class Target:
    """A library that models are written for: the family it can load, and who writes it (`module:function`)."""

    family: str
    writer: str

    def write(self, model: DualEncoder, folder: Path) -> None:
        module, _, function = self.writer.partition(":")
        write: Write = getattr(importlib.import_module(module), function)
        write(model, folder)


TARGETS = {
    "open_clip": Target("clip", "study.export.clip:write"),
    "transformers": Target("siglip2", "study.export.siglip2:write"),
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
