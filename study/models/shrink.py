"""A student is its teacher made smaller: fewer layers, a smaller vocabulary, everything else inherited."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from study.models.dual_encoder import DualEncoder, count
from study.models.shape import Shape, TowerSizes, matched_layers, shape_of
from study.seeds import torch_stream


def shape(teacher: DualEncoder, fraction: float, towers: str) -> Shape:
    """The student whose text tower has `fraction` of the teacher's text-tower total; raises as `shape_of`."""
    return shape_of(measured(teacher), fraction, towers)


def measured(teacher: DualEncoder) -> TowerSizes:
    """What the sizes of a teacher's students follow from."""
    counts = teacher.text_counts()
    return TowerSizes(
        text=counts.total,
        table=counts.vocabulary,
        text_layer=_layer_parameters(teacher, "text"),
        text_layers=teacher.text_layers,
        image_layers=teacher.image_layers,
        width=teacher.token_table().embedding_dim,
        tokens=len(teacher.vocabulary),
        smallest=teacher.vocabulary.smallest,
    )


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
