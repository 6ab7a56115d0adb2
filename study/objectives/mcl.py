"""MCL, multilingual contrastive learning: each caption finds its own key among the batch's.

    L_i = -log softmax_j( S(x_i) . k_j / tau )[i],  k_j = T(e_j) by default

Source: "CKD" in ConGen (Limkonchotiwat et al., EMNLP Findings 2022), which takes positives and negatives from the
teacher; mCLIP (Chen et al. 2023). Confidence that arXiv 2510.26271 means this form: 55 %.
Options: `key: same_language` takes k = T(x), `key: image` k = T(v); `bank` adds that many of the last
keys as further negatives (0: in-batch only); `tau` is the temperature.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from study.objectives.base import Batch, ModelInfo, Objective, Queue
from study.objectives.options.mcl import MclOptions

_KEYS = {"english": "teacher_e", "same_language": "teacher_x", "image": "teacher_image"}


def multilingual_contrastive(queries: Tensor, keys: Tensor, tau: float, bank: Tensor | None = None) -> Tensor:
    """InfoNCE of queries [N, D] against keys [N, D], with further negatives bank [M, D] -> [N]."""
    candidates = keys if bank is None else torch.cat([keys, bank])
    logits = queries @ candidates.T / tau
    return F.cross_entropy(logits, torch.arange(len(queries), device=queries.device), reduction="none")


class Mcl(Objective):
    Options = MclOptions

    def __init__(self, options: MclOptions, around: ModelInfo) -> None:
        super().__init__(options, around)
        self.options = options
        self.bank = Queue(options.bank, around.embedding_width) if options.bank else None

    def forward(self, batch: Batch) -> Tensor:
        assert batch.student_x is not None  # promised by `needs`
        keys: Tensor = getattr(batch, _KEYS[self.options.key])
        old = self.bank.content() if self.bank is not None else None
        loss = multilingual_contrastive(batch.student_x, keys, self.options.tau, old)
        if self.bank is not None and self.training:
            self.bank.push(keys)
        return loss
