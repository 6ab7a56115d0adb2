"""Colour jitter for the teacher's training images: artwork of another vendor has other colours."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

GAIN, OFFSET, GREY = 0.3, 25.0, 0.1
"""Largest relative gain and absolute offset of a channel, and the share of images without colour."""


def jitter(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Each image with random channel gains and offsets, some without colour; uint8 [N, H, W, 3] to the same."""
    n = len(pixels)
    draw = torch.from_numpy(rng.uniform(-1.0, 1.0, size=(2, n, 1, 1, 3)).astype(np.float32)).to(pixels.device)
    grey = torch.from_numpy(rng.random(n) < GREY).to(pixels.device)
    images = pixels.float()
    images = torch.where(grey.view(n, 1, 1, 1), images.mean(dim=-1, keepdim=True), images)
    return (images * (1.0 + GAIN * draw[0]) + OFFSET * draw[1]).clamp(0.0, 255.0).to(torch.uint8)
