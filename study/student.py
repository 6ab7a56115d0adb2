"""A student is its teacher made smaller: fewer layers, a smaller vocabulary, everything else inherited."""

from __future__ import annotations

import math
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

    Depth takes its share first, rounded; the vocabulary makes the total true, to less than a row of the token
    table. Where it would need more tokens than the teacher has, or fewer than always stay, the nearest depth that
    fits takes its place. The teacher's own depth takes all tokens that there are: of a table with more rows
    than tokens the spare rows go.

    Raises:
        SizeError: no depth fits; the message says which fractions are possible.
    """
    if not 0.0 < fraction <= 1.0:
        raise SizeError(f"size {fraction}: allowed is a fraction of the teacher above 0, up to 1")
    wanted = max(1, round(fraction * teacher.text_layers))
    least, most = teacher.vocabulary.smallest + 1, len(teacher.vocabulary)
    for text_layers in sorted(range(1, teacher.text_layers + 1), key=lambda n: (abs(n - wanted), -n)):
        rest, total, width = _sizes(teacher, text_layers)
        vocabulary = int((fraction * total - rest) // width)
        whole = text_layers == teacher.text_layers and vocabulary > most
        if least <= vocabulary <= most or whole:
            image_layers = teacher.image_layers if towers == "text" else max(1, round(fraction * teacher.image_layers))
            return Shape(text_layers, image_layers, min(vocabulary, most))
    raise SizeError(
        f"size {fraction}: a text tower of {fraction * teacher.text_counts().total:.0f} parameters has no room for "
        f"its layers and {least} to {most} tokens; possible are {possible(teacher)}"
    )


def possible(teacher: DualEncoder) -> str:
    """The fractions of the text tower that `shape` can make, in words."""
    least, most = teacher.vocabulary.smallest + 1, len(teacher.vocabulary)
    ranges: list[tuple[float, float]] = []
    for text_layers in range(1, teacher.text_layers + 1):
        rest, total, width = _sizes(teacher, text_layers)
        low, high = ((rest + tokens * width) / total for tokens in (least, most))
        if text_layers == teacher.text_layers:
            high = 1.0
        joined = bool(ranges) and low <= ranges[-1][1]
        ranges = [*ranges[:-1], (ranges[-1][0], high)] if joined else [*ranges, (low, high)]
    return ", ".join(f"{math.ceil(1e4 * low) / 1e4:g} to {math.floor(1e4 * high) / 1e4:g}" for low, high in ranges)


def _sizes(teacher: DualEncoder, text_layers: int) -> tuple[int, int, int]:
    """Parameters outside the token table at that depth, the teacher's total, and the table's width."""
    counts = teacher.text_counts()
    rest = counts.non_vocabulary - (teacher.text_layers - text_layers) * _layer_parameters(teacher, "text")
    return rest, counts.total, teacher.token_table().embedding_dim


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
    kept = table.detach()[torch.from_numpy(old_ids).to(table.device)]
    for name in [name for name, tensor in teacher.state_dict(keep_vars=True).items() if tensor is table]:
        state[name] = kept
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
