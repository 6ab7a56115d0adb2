"""FD, feature distillation: the student's embedding of each caption becomes the teacher's.

    L_i = ||S(x_i) - T(x_i)||^2, summed over D

Source: "L2" among the losses compared by ConGen (Limkonchotiwat et al., EMNLP Findings 2022). ConGen's own form
compares the control view only, which is English where captions are translations: option `view: english`, with e_i in
the place of x_i. The default takes each caption in its own language, since the teachers here are multilingual.
Confidence that arXiv 2510.26271 means the default: 60 %; its equations could not be read.
Option `layers`: plus the same distance on token-pooled intermediate layers of x, each student layer to the
evenly matched teacher layer through a learned linear map, averaged over layers (as TinyBERT, Jiao et
al. 2020, and DistilBERT do; left out: attention maps).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from study.models.shape import matched_layers
from study.objectives.base import Batch, ModelInfo, Objective, squared_distance
from study.objectives.options.fd import FdOptions


def feature_distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """||S - T||^2 summed over the last axis: [N, D], [N, D] -> [N]."""
    return squared_distance(student, teacher)


class Fd(Objective):
    Options = FdOptions

    def __init__(self, options: FdOptions, around: ModelInfo) -> None:
        super().__init__(options, around)
        self.options = options
        self.matches: list[int] = []
        if options.layers:
            # Entry 0 of the hidden states is the embedding layer, which is not matched.
            self.matches = [m + 1 for m in matched_layers(around.teacher_layers, around.student_layers)]
        self.maps = nn.ModuleList(nn.Linear(around.student_width, around.teacher_width) for _ in self.matches)

    def forward(self, batch: Batch) -> Tensor:
        student, teacher = {
            "own": (batch.student_x, batch.teacher_x),
            "english": (batch.student_e, batch.teacher_e),
        }[self.options.view]
        assert student is not None  # promised by `needs`
        loss = feature_distillation(student, teacher)
        if self.matches and batch.student_layers is not None and batch.teacher_layers is not None:
            terms = [
                squared_distance(layer_map(batch.student_layers[:, own]), batch.teacher_layers[:, theirs])
                for own, (layer_map, theirs) in enumerate(zip(self.maps, self.matches, strict=True), start=1)
            ]
            loss = loss + torch.stack(terms).mean(dim=0)
        return loss
