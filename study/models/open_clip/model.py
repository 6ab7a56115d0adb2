"""open_clip's CustomTextCLIP as a dual encoder.

Loss: symmetric softmax cross-entropy with a learned temperature (CLIP; Radford et al. 2021, arXiv 2103.00020), or
pairwise sigmoid where the model has a bias too (SigLIP; Zhai et al. 2023, arXiv 2303.15343).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from study.models.dual_encoder import DualEncoder, normalise, standardised
from study.models.losses import sigmoid_contrastive, softmax_contrastive

MAX_LOGIT_SCALE = 100.0
"""open_clip's own clamp while it trains with softmax."""


class OpenClipTowers(DualEncoder):
    """What is the same wherever the weights come from. `mean`, `std`: [3, 1, 1], of pixels from 0 to 255."""

    model: Any
    mean: Tensor
    std: Tensor

    def image_features(self, pixels: Tensor) -> Tensor:
        return normalise(self.model.visual(standardised(pixels, self.mean, self.std)))

    def image_text_loss(self, images: Tensor, texts: Tensor) -> Tensor:
        scale, bias = self.model.logit_scale.exp(), self.model.logit_bias
        if bias is None:
            return softmax_contrastive(images, texts, scale.clamp(max=MAX_LOGIT_SCALE))
        return sigmoid_contrastive(images, texts, scale, bias)

    def temperature_parameters(self) -> list[nn.Parameter]:
        return [p for p in (self.model.logit_scale, self.model.logit_bias) if p is not None]

    def text_module(self) -> nn.Module:
        text: nn.Module = self.model.text
        return text

    def image_module(self) -> nn.Module:
        visual: nn.Module = self.model.visual
        return visual
