"""SD, self-distillation across languages: ED, and the student's own two captions come together.

    L_i = ED_i + ||S(x_i) - S(e_i)||^2, summed over D

Source: "SKD" in ConGen (Limkonchotiwat et al., EMNLP Findings 2022), the same three terms. ConGen cites CL-ReLKT for
it, whose code has three student-to-teacher terms and none between the student's own embeddings. Confidence: 70 %.
Options: `terms: self` leaves ED out; `stop_gradient` holds S(e) still in the self term.
"""

from __future__ import annotations

from torch import Tensor

from study.objectives.base import Batch, ModelInfo, Objective, squared_distance
from study.objectives.ed import english_distillation
from study.objectives.options.sd import SdOptions


def self_distillation(student_x: Tensor, student_e: Tensor, stop_gradient: bool = False) -> Tensor:
    """||S(x) - S(e)||^2: two [N, D] -> [N]."""
    return squared_distance(student_x, student_e.detach() if stop_gradient else student_e)


class Sd(Objective):
    Options = SdOptions

    def __init__(self, options: SdOptions, around: ModelInfo) -> None:
        super().__init__(options, around)
        self.options = options

    def forward(self, batch: Batch) -> Tensor:
        assert batch.student_x is not None  # promised by `needs`
        assert batch.student_e is not None
        loss = self_distillation(batch.student_x, batch.student_e, self.options.stop_gradient)
        if self.options.terms == "ed+self":
            loss = loss + english_distillation(batch.student_x, batch.student_e, batch.teacher_e)
        return loss
