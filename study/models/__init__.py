"""Architecture families: one file each, one protocol over all of them.

A new family is one file with a `Trainable`, `Pretrained` or `PretrainedTextStudent` subclass and one
line in the registry of that name.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from study.names import UnknownNameError

if TYPE_CHECKING:
    from study.models.dual_encoder import DualEncoder, Pretrained, PretrainedTextStudent, Trainable

CONFIGURATIONS = {
    family: Path(__file__).parent / "configs" / name for family, name in (("clip", "open_clip"), ("siglip2", "siglip2"))
}
"""Where the configurations lie that this project brings for a family of `TRAINABLE`, one JSON file each."""

TRAINABLE = {"clip": "study.models.open_clip.clip:Clip", "siglip2": "study.models.siglip.siglip2:Siglip2"}
"""Family name to `module:class`; imported on use, since each library takes seconds to import."""

PRETRAINED = {
    "open_clip": "study.models.open_clip.pretrained:OpenClip",
    "transformers": "study.models.siglip.pretrained:Siglip",
}
"""Likewise, families of checkpoints that others trained, by the library that loads them."""

PRETRAINED_TEXT = {"encoder": "study.models.text_encoder.student:EncoderStudent"}
"""Likewise, families of students with a text tower of their own."""

FAMILIES = {**TRAINABLE, **PRETRAINED, **PRETRAINED_TEXT}


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
    from study.models.dual_encoder import Trainable

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


def pretrained_family(name: str) -> type[Pretrained]:
    """The family called `name`, whose teachers are published checkpoints; raises UnknownNameError."""
    if name not in PRETRAINED:
        raise UnknownNameError("family of published checkpoints", name, PRETRAINED)
    from study.models.dual_encoder import Pretrained

    found = family(name)
    assert issubclass(found, Pretrained)
    return found


def pretrained_text_family(name: str) -> type[PretrainedTextStudent]:
    """The family called `name`, of students that take all but the text tower from their teacher; raises
    UnknownNameError."""
    if name not in PRETRAINED_TEXT:
        raise UnknownNameError("family of students", name, PRETRAINED_TEXT)
    from study.models.dual_encoder import PretrainedTextStudent

    found = family(name)
    assert issubclass(found, PretrainedTextStudent)
    return found
