"""Architecture families: one file each, one protocol over all of them.

A new family is one file with a `Trainable`, `Published` or `Borrowing` subclass and one line in the registry of
that name.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from study.names import UnknownNameError

if TYPE_CHECKING:
    from study.towers.protocol import Borrowing, DualEncoder, Published, Trainable

CONFIGURATIONS = {
    family: Path(__file__).parent / "configs" / name for family, name in (("clip", "open_clip"), ("siglip2", "siglip2"))
}
"""Where the configurations lie that this project brings for a family of `TRAINABLE`, one JSON file each."""

TRAINABLE = {"clip": "study.towers.clip:Clip", "siglip2": "study.towers.siglip2:Siglip2"}
"""Family name to `module:class`; imported on use, since each library takes seconds to import."""

PUBLISHED = {
    "open_clip": "study.towers.open_clip_published:OpenClip",
    "transformers": "study.towers.transformers_published:Siglip",
}
"""Likewise, families of checkpoints that others trained, by the library that loads them."""

BORROWING = {"encoder": "study.towers.encoder_student:EncoderStudent"}
"""Likewise, families of students with a text tower of their own."""

FAMILIES = {**TRAINABLE, **PUBLISHED, **BORROWING}


def family(name: str) -> type[DualEncoder]:
    """The family called `name`.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in FAMILIES:
        raise UnknownNameError("architecture family", name, FAMILIES)
    module, _, attribute = FAMILIES[name].partition(":")
    found: type[DualEncoder] = getattr(importlib.import_module(module), attribute)
    return found


def trainable(name: str) -> type[Trainable]:
    """The family called `name`, whose teachers are trained here; raises UnknownNameError."""
    if name not in TRAINABLE:
        raise UnknownNameError("architecture family", name, TRAINABLE)
    from study.towers.protocol import Trainable

    found = family(name)
    assert issubclass(found, Trainable)
    return found


def check_model(name: str, model: str) -> None:
    """Refuse, for a family of `TRAINABLE`, a configuration that it does not have; raises UnknownNameError.

    The library is asked only if the configuration is not one of this project's.
    """
    if (CONFIGURATIONS[name] / f"{model}.json").is_file():
        return
    if model not in (known := trainable(name).models()):
        raise UnknownNameError("model", model, known)


def published(name: str) -> type[Published]:
    """The family called `name`, whose teachers are published checkpoints; raises UnknownNameError."""
    if name not in PUBLISHED:
        raise UnknownNameError("family of published checkpoints", name, PUBLISHED)
    from study.towers.protocol import Published

    found = family(name)
    assert issubclass(found, Published)
    return found


def borrowing(name: str) -> type[Borrowing]:
    """The family called `name`, of students that take all but the text tower from their teacher; raises
    UnknownNameError."""
    if name not in BORROWING:
        raise UnknownNameError("family of students", name, BORROWING)
    from study.towers.protocol import Borrowing

    found = family(name)
    assert issubclass(found, Borrowing)
    return found
