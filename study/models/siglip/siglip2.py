"""The SigLIP2 family (Tschannen et al. 2025, arXiv 2502.14786), built by transformers.

The fixed-resolution SigLIP2 checkpoints are `SiglipModel`s. Text as SigLIP2 reads it: lower case, no
bos, eos, right-padded to a fixed length.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from study.data.pictures import Fit
from study.models import torchvision_ops
from study.models.dual_encoder import Trainable
from study.models.siglip.model import SiglipTowers
from study.models.tokenizers.base import TextTokenizer
from study.models.tokenizers.vocabulary import BOS, EOS, PAD, Vocabulary
from study.names import UnknownNameError

torchvision_ops.ensure()

from transformers import SiglipConfig, SiglipModel  # noqa: E402 (needs torchvision's operators)

PAPER_START = {"scale": 10.0, "bias": -10.0}
"""SigLIP's start, for its batches of 32,768; a configuration's `start` has another where batches are small."""

CONFIGS = Path(__file__).parents[1] / "configs" / "siglip2"


class Siglip2(SiglipTowers, Trainable):
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
    def from_config(cls, config: dict[str, Any], vocabulary: TextTokenizer) -> Self:
        assert isinstance(vocabulary, Vocabulary)
        return cls(copy.deepcopy(config), vocabulary)

    @property
    def fit(self) -> Fit:
        return Fit(int(self._config["vision_config"]["image_size"]), mode="squash")

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        return torch.from_numpy(self.vocabulary.encode(texts, self.context, bos=False))

    def normalised(self, pixels: Tensor) -> Tensor:
        return pixels.permute(0, 3, 1, 2).to(self.model.dtype) / 127.5 - 1.0

    def resized(self, text_layers: int, image_layers: int, vocabulary: TextTokenizer) -> dict[str, Any]:
        config = self.config
        config["text_config"].update(num_hidden_layers=text_layers, vocab_size=len(vocabulary))
        config["vision_config"]["num_hidden_layers"] = image_layers
        return config
