"""DR, distributional replication: the student sees the same neighbours as the teacher.

    p(z) = softmax(z Q^T / tau)
    L_i = 1/2 CE(p_T(T(e_i)), p_S(S(e_i))) + 1/2 CE(p_T(T(e_i)), p_S(S(x_i)))

Q is a first-in-first-out queue of the teacher's English embeddings that includes the current batch.
Source: ConGen (Limkonchotiwat et al., EMNLP Findings 2022), equations 1 and 2. Confidence: form 85 %,
settings 55 %. At full scale ConGen's queue holds 65,536; it should be smaller than the corpus.
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from study.objectives.views import Objective, Queue, Settings, Surroundings, Views


class DrOptions(Settings):
    tau_teacher: float = Field(default=0.05, gt=0)
    tau_student: float = Field(default=0.07, gt=0)
    queue: int = Field(default=65_536, gt=0)


def distributional_replication(
    student: Tensor, teacher: Tensor, queue: Tensor, tau_student: float, tau_teacher: float
) -> Tensor:
    """CE(softmax(teacher Q^T / tau_T), softmax(student Q^T / tau_S)): [N, D], [N, D], [M, D] -> [N]."""
    target = F.softmax(teacher @ queue.T / tau_teacher, dim=-1)
    return -(target * F.log_softmax(student @ queue.T / tau_student, dim=-1)).sum(dim=-1)


class Dr(Objective):
    Options = DrOptions
    needs = frozenset({"student_e"})

    def __init__(self, options: DrOptions, around: Surroundings) -> None:
        super().__init__(options, around)
        self.options = options
        self.queue = Queue(options.queue, around.embedding_width)

    def forward(self, views: Views) -> Tensor:
        assert views.student_e is not None  # promised by `needs`
        if self.training:
            self.queue.push(views.teacher_e)
        queue, taus = self.queue.content(), (self.options.tau_student, self.options.tau_teacher)
        english = distributional_replication(views.student_e, views.teacher_e, queue, *taus)
        other = distributional_replication(views.student_x, views.teacher_e, queue, *taus)
        return (english + other) / 2
