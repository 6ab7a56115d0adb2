"""Masks for the encoders of transformers. Shape legend: N texts, L tokens."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def attention_mask(mask: Tensor, encoder: Any) -> Tensor:
    """What `encoder` takes for `attention_mask`, of `mask` [N, L], true where there is a token.

    Of a mask [N, L] the library asks whether anything is padded at all, to do without. On a CPU that is quick; any
    other device would have to be waited for, so there the mask is spread out as attention reads it.
    """
    if mask.device.type == "cpu" or encoder.config._attn_implementation != "sdpa":
        return mask.long()
    return spread(mask)


def spread(mask: Tensor) -> Tensor:
    """[N, 1, L, L], of which every query sees the same keys."""
    return mask[:, None, None, :].expand(-1, 1, mask.shape[1], -1)
