"""Padding at the ends of a batch of token ids. Shape legend: N texts, L tokens."""

from __future__ import annotations

from torch import Tensor


def without_padding(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """`ids` and `mask`, [N, L] each, without the columns at the right end in which every text is padding.

    Padding on the left stays whole: it moves the text behind it, so a tower that counts positions from the first
    column reads another text without it.
    """
    used = mask.any(dim=0).nonzero()
    longest = int(used.max()) + 1 if len(used) else 1
    return ids[:, :longest], mask[:, :longest]
