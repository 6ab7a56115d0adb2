"""Padding at the ends of a batch of token ids. Shape legend: N texts, L tokens.

For ids on the host: how long the longest text is decides the shape of all that follows, so on a device it would have
to be waited for.
"""

from __future__ import annotations

import torch
from torch import Tensor


def used_columns(mask: Tensor) -> Tensor:
    """[N] columns up to the last token of each text of `mask` [N, L], which is true where there is one; at least 1.

    Padding on the left counts as used: it moves the text behind it, so a tower that counts positions from the first
    column reads another text without it.
    """
    numbers = torch.arange(1, mask.shape[1] + 1)
    return (mask * numbers).amax(dim=1).clamp(min=1)


def without_padding(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """`ids` and `mask`, [N, L] each, without the columns at the right end in which every text is padding."""
    longest = int(used_columns(mask).max())
    return ids[:, :longest], mask[:, :longest]
