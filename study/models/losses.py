"""The two image-text losses of the architecture families, as plain functions.

Both take L2-normalised a, b [N, D], row i of a matching row i of b, and return a value an item [N].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def softmax_contrastive(a: Tensor, b: Tensor, scale: Tensor | float) -> Tensor:
    """Symmetric InfoNCE (CLIP, Radford et al. 2021, figure 3): mean of both directions, [N].

    `scale` multiplies the cosines: the inverse temperature, already exponentiated.
    """
    logits = scale * a @ b.T
    target = torch.arange(len(a), device=a.device)
    forward = F.cross_entropy(logits, target, reduction="none")
    backward = F.cross_entropy(logits.T, target, reduction="none")
    return (forward + backward) / 2


def sigmoid_contrastive(a: Tensor, b: Tensor, scale: Tensor | float, bias: Tensor | float) -> Tensor:
    """Pairwise sigmoid loss (SigLIP, Zhai et al. 2023, algorithm 1), summed over the N pairs of an item, [N]."""
    logits = scale * a @ b.T + bias
    sign = 2 * torch.eye(len(a), device=a.device, dtype=logits.dtype) - 1
    return -F.logsigmoid(sign * logits).sum(dim=1)
