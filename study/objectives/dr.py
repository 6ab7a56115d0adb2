"""DR, distributional replication: the student sees the same neighbours as the teacher.

    p(z) = softmax(z Q^T / tau)
    L_i = alpha CE(p_T(T(e_i)), p_S(S(e_i))) + (1 - alpha) CE(p_T(T(e_i)), p_S(S(x_i)))

Q is a first-in-first-out queue of the teacher's English embeddings that includes the current batch. ConGen's code holds
K embeddings beside the batch: its K is `queue` less the size of a batch.
Source: ConGen (Limkonchotiwat et al., EMNLP Findings 2022), equations 1 and 2; alpha is 1/2 in its code. Confidence
that arXiv 2510.26271 means this form: 90 %, with these settings: 65 % (ConGen's multilingual ones are temperatures of
0.05 and 0.07 and a queue of 65,536, which should be smaller than the corpus).
Option `start`: `empty` (the default) lets the queue fill with the batches; `corpus` fills it beforehand with the
teacher's English embeddings of sampled training captions, as ConGen does. ConGen's code then leaves these sentences out
of training; here they stay in, because all methods must see the same batches, and so may be in the queue twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from study.objectives.views import Objective, Queue, Settings, Surroundings, Views


class DrOptions(Settings):
    tau_teacher: float = Field(default=0.05, gt=0)
    tau_student: float = Field(default=0.07, gt=0)
    queue: int = Field(default=65_536, gt=0)
    alpha: float = Field(default=0.5, ge=0, le=1, description="weight of the English caption's term")
    start: Literal["empty", "corpus"] = Field(default="empty", description="what the queue holds before the first step")

    @property
    def needs(self) -> frozenset[str]:
        weights = {"student_e": self.alpha, "student_x": 1 - self.alpha}
        return frozenset(view for view, weight in weights.items() if weight > 0)


def distributional_replication(
    student: Tensor, teacher: Tensor, queue: Tensor, tau_student: float, tau_teacher: float
) -> Tensor:
    """CE(softmax(teacher Q^T / tau_T), softmax(student Q^T / tau_S)): [N, D], [N, D], [M, D] -> [N]."""
    target = F.softmax(teacher @ queue.T / tau_teacher, dim=-1)
    return -(target * F.log_softmax(student @ queue.T / tau_student, dim=-1)).sum(dim=-1)


class Dr(Objective):
    Options = DrOptions

    def __init__(self, options: DrOptions, around: Surroundings) -> None:
        super().__init__(options, around)
        self.options = options
        self.queue = Queue(options.queue, around.embedding_width)

    def start(self, sample: Callable[[int], Tensor]) -> None:
        if self.options.start == "corpus":
            self.queue.push(sample(self.options.queue))

    def forward(self, views: Views) -> Tensor:
        if self.training:
            self.queue.push(views.teacher_e)
        queue, taus = self.queue.content(), (self.options.tau_student, self.options.tau_teacher)
        terms = []
        for weight, student in ((self.options.alpha, views.student_e), (1 - self.options.alpha, views.student_x)):
            if weight > 0:
                assert student is not None  # promised by `needs`
                terms.append(weight * distributional_replication(student, views.teacher_e, queue, *taus))
        return torch.stack(terms).sum(dim=0)
