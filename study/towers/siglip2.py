"""The SigLIP2 family (Tschannen et al. 2025, arXiv 2502.14786), built by transformers.

The fixed-resolution SigLIP2 checkpoints are `SiglipModel`s. Text as SigLIP2 reads it: lower case, no
bos, eos, right-padded to a fixed length without an attention mask, features from the last position.
Loss: pairwise sigmoid with a learned temperature and bias (Zhai et al. 2023, arXiv 2303.15343).
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from study.names import UnknownNameError
from study.objectives.contrastive import sigmoid_contrastive
from study.pictures import Fit
from study.tokens import Tokens
from study.towers import torchvision_ops
from study.towers.protocol import TextOutput, Trainable, normalise
from study.vocabulary import BOS, EOS, PAD, Vocabulary

torchvision_ops.ensure()

from transformers import SiglipConfig, SiglipModel  # noqa: E402 (needs torchvision's operators)

PAPER_START = {"scale": 10.0, "bias": -10.0}
"""SigLIP's start, for its batches of 32,768; a configuration's `start` has another where batches are small."""

CONFIGS = Path(__file__).parent / "configs" / "siglip2"


class Siglip2(Trainable):
    """transformers' SiglipModel."""

    family: ClassVar[str] = "siglip2"
    tokens = Vocabulary
    vocabulary: Vocabulary

    def __init__(self, config: dict[str, Any], vocabulary: Vocabulary) -> None:
        super().__init__()
        self._config = config
        self.vocabulary = vocabulary
        declared = copy.deepcopy(config)
        start = declared.pop("start", PAPER_START)
        declared["text_config"].setdefault("bos_token_id", BOS)  # unused, but transformers checks it
        self.model = SiglipModel(SiglipConfig(**declared))
        with torch.no_grad():  # transformers leaves both at zero
            self.model.logit_scale.fill_(math.log(start["scale"]))
            self.model.logit_bias.fill_(start["bias"])

    @classmethod
    def models(cls) -> list[str]:
        return sorted(path.stem for path in CONFIGS.glob("*.json"))

    @classmethod
    def build(cls, model: str, vocabulary: Vocabulary, context: int) -> Self:
        path = CONFIGS / f"{model}.json"
        if not path.is_file():
            raise UnknownNameError("SigLIP2 configuration", model, cls.models())
        config = json.loads(path.read_text())
        config["text_config"].update(
            vocab_size=len(vocabulary), max_position_embeddings=context, pad_token_id=PAD, eos_token_id=EOS
        )
        return cls(config, vocabulary)

    @classmethod
    def from_config(cls, config: dict[str, Any], vocabulary: Tokens) -> Self:
        assert isinstance(vocabulary, Vocabulary)
        return cls(copy.deepcopy(config), vocabulary)

    @property
    def config(self) -> dict[str, Any]:
        return copy.deepcopy(self._config)

    @property
    def embedding_width(self) -> int:
        return int(self._config["text_config"]["projection_size"])

    @property
    def context(self) -> int:
        return int(self._config["text_config"]["max_position_embeddings"])

    @property
    def text_layers(self) -> int:
        return int(self._config["text_config"]["num_hidden_layers"])

    @property
    def image_layers(self) -> int:
        return int(self._config["vision_config"]["num_hidden_layers"])

    @property
    def image_tokens(self) -> int:
        vision = self._config["vision_config"]
        return int(vision["image_size"] // vision["patch_size"]) ** 2

    @property
    def fit(self) -> Fit:
        return Fit(int(self._config["vision_config"]["image_size"]), mode="squash")

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        return torch.from_numpy(self.vocabulary.encode(texts, self.context, bos=False))

    def image_features(self, pixels: Tensor) -> Tensor:
        images = pixels.permute(0, 3, 1, 2).to(self.model.dtype) / 127.5 - 1.0
        return normalise(self.model.vision_model(pixel_values=images).pooler_output)

    def text_features(self, ids: Tensor) -> Tensor:
        return normalise(self.model.text_model(input_ids=ids).pooler_output)

    def text_output(self, ids: Tensor) -> TextOutput:
        out = self.model.text_model(input_ids=ids, output_hidden_states=True)
        return TextOutput(normalise(out.pooler_output), tuple(out.hidden_states), ids != PAD)

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

    def resized(self, text_layers: int, image_layers: int, vocabulary: Tokens) -> dict[str, Any]:
        config = self.config
        config["text_config"].update(num_hidden_layers=text_layers, vocab_size=len(vocabulary))
        config["vision_config"]["num_hidden_layers"] = image_layers
        return config
