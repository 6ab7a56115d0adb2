"""Checkpoints on disk: what `DualEncoder.save` wrote, read again and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from study.towers import family
from study.towers.protocol import Borrowing, DualEncoder, PublishedError


class CheckpointError(ValueError):
    """A checkpoint folder is not one of ours, or its weights do not fit its configuration."""


def has_images(folder: Path) -> bool:
    """Whether the checkpoint in `folder` brings its own image tower."""
    return bool(_card(folder)["images"])


def load(folder: Path, teacher: DualEncoder | None = None) -> DualEncoder:
    """The model that `DualEncoder.save` wrote into `folder`.

    A student without its own image tower takes it from `teacher`; one of a borrowing family needs its teacher
    always, which knows the form of that tower.

    Raises:
        CheckpointError: a file is missing, or a weight is missing, unknown or of another shape.
    """
    declared = _card(folder)
    kind = family(declared["family"])
    try:
        vocabulary = kind.tokens.load(folder)
        state = load_file(folder / "model.safetensors")
    except (FileNotFoundError, SafetensorError, PublishedError) as error:
        raise CheckpointError(f"{folder}: checkpoint is not whole: {error}") from None
    if issubclass(kind, Borrowing):
        if teacher is None:
            raise CheckpointError(f"{folder}: a student of family {kind.family!r} is read beside its teacher only")
        model: DualEncoder = kind.beside(teacher, declared["config"], vocabulary)
    else:
        model = kind.from_config(declared["config"], vocabulary)
    if not declared["images"]:
        if teacher is None or teacher.family != model.image_family:
            raise CheckpointError(f"{folder}: has no image tower, and no {model.image_family} teacher to take it from")
        model.image_module().load_state_dict(teacher.image_module().state_dict(), strict=True)
    try:
        missing, unknown = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f"{folder}: weights do not fit config.json: {error}") from None
    if not declared["images"]:
        own = {id(tensor) for tensor in model.image_module().state_dict(keep_vars=True).values()}
        borrowed = {name for name, tensor in model.state_dict(keep_vars=True).items() if id(tensor) in own}
        missing = [name for name in missing if name not in borrowed]
    if missing or unknown:
        raise CheckpointError(f"{folder}: weights do not fit config.json: missing {missing}, unknown {unknown}")
    return model.eval()


def _card(folder: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads((folder / "config.json").read_text())
    except FileNotFoundError:
        raise CheckpointError(f"{folder}: no config.json: not a checkpoint of this project") from None
    return card
