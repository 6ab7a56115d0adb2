"""Checkpoints on disk: what `DualEncoder.save` wrote, read again and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from study.models import family
from study.models.dual_encoder import DualEncoder, PretrainedTextStudent
from study.models.errors import PretrainedError


class CheckpointError(ValueError):
    """A checkpoint folder is not one of ours, or its weights do not fit its configuration."""


def has_images(folder: Path) -> bool:
    """Whether the checkpoint in `folder` brings its own image tower."""
    return bool(_card(folder)["images"])


def needs_teacher(folder: Path) -> bool:
    """Whether the checkpoint in `folder` can be read beside its teacher only."""
    declared = _card(folder)
    return not declared["images"] or issubclass(family(declared["family"]), PretrainedTextStudent)


def load(folder: Path, teacher: DualEncoder | None = None) -> DualEncoder:
    """The model that `DualEncoder.save` wrote into `folder`.

    A student without its own image tower takes it from `teacher`; one of a borrowing family needs its teacher
    always, which knows the form of that tower.

    Raises:
        CheckpointError: a file is missing, or a weight is missing, unknown or of another shape.
    """
    declared = _card(folder)
    model = _fresh(folder, declared, teacher)
    if not declared["images"]:
        if teacher is None or teacher.family != model.image_family:
            raise CheckpointError(f"{folder}: has no image tower, and no {model.image_family} teacher to take it from")
        model.image_module().load_state_dict(teacher.image_module().state_dict(), strict=True)
    _fill(folder, declared, model)
    return model.eval()


def build_on_meta(folder: Path) -> DualEncoder:
    """The architecture and the tokenizer of the teacher in `folder`: its weights are on the meta device, which takes
    no memory.

    Raises:
        CheckpointError: a file is missing, or it is a student that is read beside its teacher only.
    """
    with torch.device("meta"):
        return _fresh(folder, _card(folder), None)


def load_text(folder: Path, taught: Path) -> DualEncoder:
    """A student without an image tower of its own, with what reads texts alone: its image tower is on the meta
    device, where to use it is an error. `taught` is its teacher's folder, whose weights are not read.

    Raises:
        CheckpointError: as `load`, or the checkpoint has an image tower of its own.
    """
    declared = _card(folder)
    if declared["images"]:
        raise CheckpointError(f"{folder}: has its own image tower: load it whole")
    borrows = issubclass(family(declared["family"]), PretrainedTextStudent)
    model = _fresh(folder, declared, build_on_meta(taught) if borrows else None)
    if (whose := _card(taught)["family"]) != model.image_family:
        raise CheckpointError(f"{folder}: its image tower is of family {model.image_family}, {taught} is {whose}")
    model.image_module().to("meta")
    _fill(folder, declared, model)
    return model.eval()


def _fresh(folder: Path, declared: Mapping[str, Any], teacher: DualEncoder | None) -> DualEncoder:
    """A model of the checkpoint's configuration, before it has the checkpoint's weights."""
    kind = family(declared["family"])
    try:
        vocabulary = kind.tokens.load(folder)
    except (FileNotFoundError, PretrainedError) as error:
        raise CheckpointError(f"{folder}: checkpoint is not whole: {error}") from None
    borrows = issubclass(kind, PretrainedTextStudent)
    if borrows and teacher is None:
        raise CheckpointError(f"{folder}: a student of family {kind.family!r} is read beside its teacher only")
    try:
        if issubclass(kind, PretrainedTextStudent) and teacher is not None:
            return kind.beside(teacher, declared["config"], vocabulary)
        return kind.from_config(declared["config"], vocabulary)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # libraries meet what they meet in a configuration that was changed
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise CheckpointError(f"{folder}: config.json is not what was saved: {said}") from error


def _fill(folder: Path, declared: Mapping[str, Any], model: DualEncoder) -> None:
    """Give the model the checkpoint's weights, exactly; what is on the meta device stays there."""
    try:
        state = load_file(folder / "model.safetensors")
    except (FileNotFoundError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: checkpoint is not whole: {error}") from None
    own = model.state_dict(keep_vars=True)
    borrowed = model.image_module().state_dict(keep_vars=True) if not declared["images"] else {}
    given = {id(tensor) for tensor in borrowed.values()}
    missing = [name for name, tensor in own.items() if name not in state and id(tensor) not in given]
    unknown = [name for name in state if name not in own]
    if missing or unknown:
        raise CheckpointError(f"{folder}: weights do not fit config.json: missing {missing}, unknown {unknown}")
    if wrong := [name for name, tensor in state.items() if tensor.shape != own[name].shape]:
        raise CheckpointError(f"{folder}: weights do not fit config.json: of another shape {wrong}")
    model.load_state_dict({name: tensor for name, tensor in state.items() if not own[name].is_meta}, strict=False)


def _card(folder: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads((folder / "config.json").read_text())
    except FileNotFoundError:
        raise CheckpointError(f"{folder}: no config.json: not a checkpoint of this project") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder}: config.json is not whole: {error}") from None
    kinds = {"family": str, "config": dict, "images": bool}
    if wrong := [key for key, kind in kinds.items() if not isinstance(card, dict) or type(card.get(key)) is not kind]:
        raise CheckpointError(f"{folder}: config.json is none of this project: {', '.join(wrong)} missing or mistyped")
    return card
