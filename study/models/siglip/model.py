"""transformers' SiglipModel as a dual encoder: SigLIP and SigLIP2 of a fixed resolution.

Text is padded to the full length without an attention mask and read at the last position. Loss: pairwise sigmoid
with a learned temperature and bias (Zhai et al. 2023, arXiv 2303.15343).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn

from study.models import torchvision_ops
from study.models.dual_encoder import DualEncoder, TextOutput, normalise
from study.models.losses import sigmoid_contrastive

torchvision_ops.ensure()

from transformers import SiglipModel  # noqa: E402 (needs torchvision's operators)


class SiglipTowers(DualEncoder):
    """What is the same wherever the weights come from."""

    model: SiglipModel

    @property
    def declared(self) -> dict[str, Any]:
        """`text_config` and `vision_config`, as SiglipConfig takes them."""
        return self._config

    @property
    def embedding_width(self) -> int:
        return int(self.declared["text_config"]["projection_size"])

    @property
    def context(self) -> int:
        return int(self.declared["text_config"]["max_position_embeddings"])

    @property
    def text_layers(self) -> int:
        return int(self.declared["text_config"]["num_hidden_layers"])

    @property
    def image_layers(self) -> int:
        return int(self.declared["vision_config"]["num_hidden_layers"])

    @property
    def image_tokens(self) -> int:
        vision = self.declared["vision_config"]
        return int(vision["image_size"] // vision["patch_size"]) ** 2

    @abstractmethod
    def normalised(self, pixels: Tensor) -> Tensor:
        """[N, 3, H, W] as the image tower reads them, of uint8 pixels [N, H, W, 3]."""

    def image_features(self, pixels: Tensor) -> Tensor:
        return normalise(self.model.vision_model(pixel_values=self.normalised(pixels)).pooler_output)

    def text_features(self, ids: Tensor) -> Tensor:
        return normalise(self.model.text_model(input_ids=ids).pooler_output)

    def text_output(self, ids: Tensor) -> TextOutput:
        out = self.model.text_model(input_ids=ids, output_hidden_states=True)
        return TextOutput(normalise(out.pooler_output), tuple(out.hidden_states), self.vocabulary.mask(ids))

    def image_text_loss(self, images: Tensor, texts: Tensor) -> Tensor:
        return sigmoid_contrastive(images, texts, self.model.logit_scale.exp(), self.model.logit_bias)

    def temperature_parameters(self) -> list[nn.Parameter]:
        return [self.model.logit_scale, self.model.logit_bias]

    def text_module(self) -> nn.Module:
        return self.model.text_model

    def image_module(self) -> nn.Module:
        return self.model.vision_model

    def token_table(self) -> nn.Embedding:
        return self.model.text_model.embeddings.token_embedding

    def layer_prefixes(self) -> dict[str, str]:
        return {"text": "model.text_model.encoder.layers.", "image": "model.vision_model.encoder.layers."}
