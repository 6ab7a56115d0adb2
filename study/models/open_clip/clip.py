"""The CLIP family (Radford et al. 2021, arXiv 2103.00020), built by open_clip.

Text: lower case, bos, tokens, eos; causal attention; features are read at eos.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from study.data.pictures import Fit
from study.models import torchvision_ops
from study.models.dual_encoder import TextOutput, Trainable, normalise
from study.models.open_clip.model import OpenClipTowers
from study.models.tokenizers.base import TextTokenizer
from study.models.tokenizers.vocabulary import EOS, PAD, Vocabulary
from study.names import UnknownNameError

torchvision_ops.ensure()

import open_clip  # noqa: E402 (needs torchvision's operators)
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD  # noqa: E402
from open_clip.transformer import text_global_pool  # noqa: E402

open_clip.add_model_config(Path(__file__).parents[1] / "configs" / "open_clip")


class Clip(OpenClipTowers, Trainable):
    """open_clip's CustomTextCLIP with its own native text tower."""

    family: ClassVar[str] = "clip"
    tokens = Vocabulary
    vocabulary: Vocabulary

    def __init__(self, config: dict[str, Any], vocabulary: Vocabulary) -> None:
        super().__init__()
        self._config = config
        self.vocabulary = vocabulary
        self.model = open_clip.CustomTextCLIP(**copy.deepcopy(config))
        self.register_buffer("mean", 255 * torch.tensor(OPENAI_DATASET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(OPENAI_DATASET_STD).view(3, 1, 1), persistent=False)

    @classmethod
    def models(cls) -> list[str]:
        names: list[str] = open_clip.list_models()
        return names

    @classmethod
    def build(cls, model: str, vocabulary: Vocabulary, context: int) -> Self:
        config = open_clip.get_model_config(model)
        if config is None:
            raise UnknownNameError("open_clip configuration", model, cls.models())
        config = copy.deepcopy(config)
        config.pop("custom_text", None)
        config["text_cfg"].update(
            vocab_size=len(vocabulary), context_length=context, pad_id=PAD, eos_id=EOS, pool_type="eos"
        )
        return cls(config, vocabulary)

    @classmethod
    def from_config(cls, config: dict[str, Any], vocabulary: TextTokenizer) -> Self:
        assert isinstance(vocabulary, Vocabulary)
        return cls(copy.deepcopy(config), vocabulary)

    @property
    def embedding_width(self) -> int:
        return int(self._config["embed_dim"])

    @property
    def context(self) -> int:
        return int(self._config["text_cfg"]["context_length"])

    @property
    def text_layers(self) -> int:
        return int(self._config["text_cfg"]["layers"])

    @property
    def image_layers(self) -> int:
        return int(self._config["vision_cfg"]["layers"])

    @property
    def image_tokens(self) -> int:
        vision = self._config["vision_cfg"]
        return int(vision["image_size"] // vision["patch_size"]) ** 2

    @property
    def fit(self) -> Fit:
        return Fit(int(self._config["vision_cfg"]["image_size"]))

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        return torch.from_numpy(self.vocabulary.encode(texts, self.context, bos=True))

    def text_features(self, ids: Tensor) -> Tensor:
        return self._text(ids, keep_hidden=False)[0]

    def text_output(self, ids: Tensor) -> TextOutput:
        features, hidden, ids = self._text(ids, keep_hidden=True)
        return TextOutput(features, tuple(hidden), ids != PAD)

    def _text(self, ids: Tensor, keep_hidden: bool) -> tuple[Tensor, list[Tensor], Tensor]:
        """As open_clip's encode_text, on the batch's longest text: causal, so padding changes nothing."""
        longest = int((ids != PAD).sum(dim=1).max())
        ids = ids[:, :longest]
        text = self.model.text
        x = text.token_embedding(ids) + text.positional_embedding[:longest]
        mask = text.attn_mask[:longest, :longest]
        hidden = [x]
        for block in text.transformer.resblocks:
            x = block(x, attn_mask=mask)
            if keep_hidden:
                hidden.append(x)
        pooled = text_global_pool(text.ln_final(x), ids, "eos", eos_token_id=EOS)
        return normalise(pooled @ text.text_projection), hidden, ids

    def token_table(self) -> nn.Embedding:
        return self.model.text.token_embedding

    def layer_prefixes(self) -> dict[str, str]:
        return {"text": "model.text.transformer.resblocks.", "image": "model.visual.transformer.resblocks."}

    def resized(self, text_layers: int, image_layers: int, vocabulary: TextTokenizer) -> dict[str, Any]:
        config = self.config
        config["text_cfg"].update(layers=text_layers, vocab_size=len(vocabulary))
        config["vision_cfg"]["layers"] = image_layers
        return config
