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

import torch
import torch.nn.functional as F
from torch import Tensor

from study.objectives.base import Batch, ModelInfo, Objective, Queue
from study.objectives.options.dr import DrOptions


def distributional_replication(
    student: Tensor, teacher: Tensor, queue: Tensor, tau_student: float, tau_teacher: float
) -> Tensor:
    """CE(softmax(teacher Q^T / tau_T), softmax(student Q^T / tau_S)): [N, D], [N, D], [M, D] -> [N]."""
    target = F.softmax(teacher @ queue.T / tau_teacher, dim=-1)
    return -(target * F.log_softmax(student @ queue.T / tau_student, dim=-1)).sum(dim=-1)


class Dr(Objective):
    Options = DrOptions

    def __init__(self, options: DrOptions, around: ModelInfo) -> None:
        super().__init__(options, around)
        self.options = options
        self.queue = Queue(options.queue, around.embedding_width)

    def start(self, sample: Callable[[int], Tensor]) -> None:
        if self.options.start == "corpus":
            self.queue.push(sample(self.options.queue))

    def forward(self, batch: Batch) -> Tensor:
        if self.training:
            self.queue.push(batch.teacher_e)
        queue, taus = self.queue.content(), (self.options.tau_student, self.options.tau_teacher)
        terms = []
        for weight, student in ((self.options.alpha, batch.student_e), (1 - self.options.alpha, batch.student_x)):
            if weight > 0:
                assert student is not None  # promised by `needs`
                terms.append(weight * distributional_replication(student, batch.teacher_e, queue, *taus))
        return torch.stack(terms).sum(dim=0)
