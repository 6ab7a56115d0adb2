"""ED, English-control distillation: both captions of an item go to the teacher's English embedding.

    L_i = ||S(e_i) - T(e_i)||^2 + ||S(x_i) - T(e_i)||^2, summed over D

Source: Reimers & Gurevych 2020 (arXiv 2004.09813), equation 1; "Dual-L2" in ConGen (Limkonchotiwat et al., EMNLP
Findings 2022), whose control view, the unaltered sentence, is English where the other view is a translation.
Confidence that arXiv 2510.26271 means this form: 80 %.
"""

from __future__ import annotations

from torch import Tensor

from study.objectives.base import Batch, ModelInfo, Objective, squared_distance
from study.objectives.options.ed import EdOptions


def english_distillation(student_x: Tensor, student_e: Tensor, teacher_e: Tensor) -> Tensor:
    """Three [N, D] -> [N]."""
    return squared_distance(student_e, teacher_e) + squared_distance(student_x, teacher_e)


class Ed(Objective):
    Options = EdOptions

    def __init__(self, options: EdOptions, around: ModelInfo) -> None:
        super().__init__(options, around)

    def forward(self, batch: Batch) -> Tensor:
        assert batch.student_x is not None  # promised by `needs`
        assert batch.student_e is not None
        return english_distillation(batch.student_x, batch.student_e, batch.teacher_e)
