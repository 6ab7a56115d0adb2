"""A student is its teacher made smaller: fewer layers, a smaller vocabulary, everything else inherited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from study.layers import matched_layers
from study.seeds import torch_stream
from study.towers.protocol import DualEncoder, count


class SizeError(ValueError):
    """No student of that size can be made from that teacher."""


@dataclass(frozen=True)
class Shape:
    """Depths and vocabulary of a student."""

    text_layers: int
    image_layers: int
    vocabulary: int


def shape(teacher: DualEncoder, fraction: float, towers: str) -> Shape:
    """The student whose text tower has `fraction` of the teacher's text-tower total.

    Depth takes its share first, rounded; the vocabulary makes the total true.

    Raises:
        SizeError: the fraction leaves no room for a vocabulary.
    """
    if not 0.0 < fraction <= 1.0:
        raise SizeError(f"size {fraction}: allowed is a fraction of the teacher above 0, up to 1")
    counts, width = teacher.text_counts(), teacher.token_table().embedding_dim
    layer = _layer_parameters(teacher, "text")
    text_layers = max(1, round(fraction * teacher.text_layers))
    rest = counts.non_vocabulary - (teacher.text_layers - text_layers) * layer
    vocabulary = int((fraction * counts.total - rest) // width)
    smallest = teacher.vocabulary.smallest
    if vocabulary <= smallest:
        raise SizeError(
            f"size {fraction}: {text_layers} layers leave {vocabulary} tokens of a text tower of "
            f"{fraction * counts.total:.0f} parameters, more than {smallest} are needed"
        )
    image_layers = teacher.image_layers if towers == "text" else max(1, round(fraction * teacher.image_layers))
    return Shape(text_layers, image_layers, min(vocabulary, len(teacher.vocabulary)))


def _layer_parameters(model: DualEncoder, tower: str) -> int:
    prefix = model.layer_prefixes()[tower] + "0."
    return sum(p.numel() for name, p in model.named_parameters() if name.startswith(prefix))


def shrink(
    teacher: DualEncoder,
    target: Shape,
    texts: Sequence[str],
    init: str,
    stream: tuple[str | int, ...],
    towers: str = "text",
) -> DualEncoder:
    """A student of that shape.

    `texts` decide which tokens stay. init `teacher`: evenly spaced layers (the last always), the kept
    rows of the token table and everything else are inherited, by a strict load. init `random`: fresh
    weights, drawn from the stream named by `stream`; only an image tower that is not trained (towers `text`)
    is still the teacher's.
    """
    vocabulary, old_ids = teacher.vocabulary.trim(target.vocabulary, texts)
    config = teacher.resized(target.text_layers, target.image_layers, vocabulary)
    with torch_stream(*stream):
        student = type(teacher).from_config(config, vocabulary)
    if init == "teacher":
        student.load_state_dict(inherited(teacher, target, old_ids), strict=True)
    elif towers == "text":
        student.image_module().load_state_dict(teacher.image_module().state_dict(), strict=True)
    return student


def inherited(teacher: DualEncoder, target: Shape, old_ids: np.ndarray) -> dict[str, Tensor]:
    """The teacher's state dict with its layers renumbered and its token table cut to `old_ids`."""
    state = dict(teacher.state_dict())
    depths = {
        "text": (teacher.text_layers, target.text_layers),
        "image": (teacher.image_layers, target.image_layers),
    }
    for tower, prefix in teacher.layer_prefixes().items():
        old, new = depths[tower]
        moved = {source: index for index, source in enumerate(matched_layers(old, new))}
        for name in [name for name in state if name.startswith(prefix)]:
            tensor = state.pop(name)
            number, _, tail = name.removeprefix(prefix).partition(".")
            if int(number) in moved:
                state[f"{prefix}{moved[int(number)]}.{tail}"] = tensor
    table = teacher.token_table().weight
    name = next(name for name, parameter in teacher.named_parameters() if parameter is table)
    state[name] = table.detach()[torch.from_numpy(old_ids)]
    return state


def summary(student: DualEncoder, teacher: DualEncoder) -> dict[str, int | float]:
    """Parameter counts of a run, as the `cells` table wants them."""
    counts = student.text_counts()
    return {
        "parameters": count(student),
        "text_parameters": counts.total,
        "text_vocabulary_parameters": counts.vocabulary,
        "text_fraction": counts.total / teacher.text_counts().total,
        "image_parameters": count(student.image_module()),
        "vocabulary": len(student.vocabulary),
    }
