"""Published SigLIP and SigLIP2 checkpoints of transformers, of a fixed resolution (SiglipModel).

A folder that `save_pretrained` wrote, or a name on the hub with its commit. Text is padded to the full length
without an attention mask and read at the last position. Loss: pairwise sigmoid with temperature and bias.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from study.objectives.contrastive import sigmoid_contrastive
from study.pictures import Fit
from study.published_tokens import PublishedTokens
from study.tokens import Tokens
from study.towers import torchvision_ops, transformers_files
from study.towers.protocol import Published, PublishedError, TextOutput, normalise
from study.towers.weights import SHOWN, check_vocabulary, more, own_memory, quietly

torchvision_ops.ensure()

from transformers import SiglipConfig, SiglipModel  # noqa: E402 (needs torchvision's operators)


class Siglip(Published):
    """transformers' SiglipModel with published weights."""

    family: ClassVar[str] = "transformers"
    tokens = PublishedTokens
    vocabulary: PublishedTokens
    mean: Tensor
    std: Tensor

    def __init__(self, config: dict[str, Any], vocabulary: PublishedTokens, model: SiglipModel | None = None) -> None:
        super().__init__()
        self._config = config
        self.vocabulary = vocabulary
        self._preprocess = transformers_files.preprocess(config, "config.json")
        self.model = SiglipModel(SiglipConfig(**copy.deepcopy(config["model"]))) if model is None else model
        mean, std = self._preprocess.buffers()
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    @classmethod
    def check(cls, checkpoint: str, revision: str | None) -> None:
        transformers_files.check(checkpoint, revision)

    @classmethod
    def fetch(cls, checkpoint: str, revision: str | None) -> Self:
        parts = transformers_files.bring(checkpoint, revision)
        tokens = parts.tokens()
        model = cls(parts.config, tokens, _weights(parts))
        check_vocabulary(tokens, model.token_table().num_embeddings, parts.folder)
        return model.eval()

    @classmethod
    def from_config(cls, config: dict[str, Any], vocabulary: Tokens) -> Self:
        assert isinstance(vocabulary, PublishedTokens)
        return cls(copy.deepcopy(config), vocabulary)

    @property
    def config(self) -> dict[str, Any]:
        return copy.deepcopy(self._config)

    @property
    def _text(self) -> dict[str, Any]:
        declared: dict[str, Any] = self._config["model"]["text_config"]
        return declared

    @property
    def _vision(self) -> dict[str, Any]:
        declared: dict[str, Any] = self._config["model"]["vision_config"]
        return declared

    @property
    def embedding_width(self) -> int:
        return int(self._text["projection_size"])

    @property
    def context(self) -> int:
        return int(self._text["max_position_embeddings"])

    @property
    def text_layers(self) -> int:
        return int(self._text["num_hidden_layers"])

    @property
    def image_layers(self) -> int:
        return int(self._vision["num_hidden_layers"])

    @property
    def image_tokens(self) -> int:
        return int(self._vision["image_size"] // self._vision["patch_size"]) ** 2

    @property
    def fit(self) -> Fit:
        return self._preprocess.fit

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        return torch.from_numpy(self.vocabulary.encode(texts, self.context))

    def image_features(self, pixels: Tensor) -> Tensor:
        images = (pixels.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std
        return normalise(self.model.vision_model(pixel_values=images).pooler_output)

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

    def resized(self, text_layers: int, image_layers: int, vocabulary: Tokens) -> dict[str, Any]:
        assert isinstance(vocabulary, PublishedTokens)
        config = self.config
        # The tower looks at none of these ids; they are true for whoever reads the configuration.
        special = {"pad_token_id": vocabulary.pad, "bos_token_id": vocabulary.bos, "eos_token_id": vocabulary.eos}
        config["model"]["text_config"].update(num_hidden_layers=text_layers, vocab_size=len(vocabulary), **special)
        config["model"]["vision_config"]["num_hidden_layers"] = image_layers
        return config


def _weights(parts: transformers_files.Parts) -> SiglipModel:
    """The model with its weights from safetensors, all of them and no others; raises PublishedError."""
    loader: Any = SiglipModel
    try:
        with quietly():
            model, told = loader.from_pretrained(
                parts.folder,
                config=SiglipConfig(**copy.deepcopy(dict(parts.model))),
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise PublishedError(f"{parts.folder}: weights do not fit config.json: {error}") from None
    found = {kind: sorted(map(str, told.get(kind) or [])) for kind in ("missing_keys", "unexpected_keys", "error_msgs")}
    wrong = [f"{kind}: {', '.join(names[:SHOWN])}{more(names)}" for kind, names in found.items() if names]
    if wrong:
        raise PublishedError(f"{parts.folder}: weights do not fit config.json; {'; '.join(wrong)}")
    loaded: SiglipModel = model
    own_memory(loaded)
    return loaded
