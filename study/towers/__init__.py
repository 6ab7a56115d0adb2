"""Architecture families: one file each, one protocol over all of them.

A new family is one file with a `Trainable`, `Published` or `Borrowing` subclass and one line in the registry of
that name.
"""

from __future__ import annotations

import importlib

from study.names import UnknownNameError
from study.towers.protocol import Borrowing, DualEncoder, Published, Trainable

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
    found = family(name)
    assert issubclass(found, Trainable)
    return found


def published(name: str) -> type[Published]:
    """The family called `name`, whose teachers are published checkpoints; raises UnknownNameError."""
    if name not in PUBLISHED:
        raise UnknownNameError("family of published checkpoints", name, PUBLISHED)
    found = family(name)
    assert issubclass(found, Published)
    return found


def borrowing(name: str) -> type[Borrowing]:
    """The family called `name`, of students that take all but the text tower from their teacher; raises
    UnknownNameError."""
    if name not in BORROWING:
        raise UnknownNameError("family of students", name, BORROWING)
    found = family(name)
    assert issubclass(found, Borrowing)
    return found
