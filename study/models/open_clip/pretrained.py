"""Published checkpoints of open_clip: a folder, a model and its tag, or a repository of the hub.

`models/xlmr` (the library's local-dir layout), `xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k`,
`hf-hub:timm/ViT-B-16-SigLIP2-256`.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from study.data.pictures import Fit
from study.models import probe
from study.models.dual_encoder import Pretrained, TextOutput, normalise
from study.models.errors import PretrainedError
from study.models.evidence import Evidence
from study.models.open_clip import library
from study.models.open_clip.files import OpenClipParts, open_clip
from study.models.open_clip.images import image_kind
from study.models.open_clip.model import OpenClipTowers
from study.models.open_clip.origin import origin
from study.models.open_clip.text import text_kind
from study.models.preprocess import of_open_clip
from study.models.tokenizers.base import TextTokenizer
from study.models.tokenizers.pretrained import PretrainedTokenizer
from study.models.weights import check_vocabulary, load_weights, read_weights

DERIVED = "text.transformer.embeddings.position_ids"
"""A constant that older versions of transformers saved; open_clip leaves it out, too."""


class OpenClip(OpenClipTowers, Pretrained):
    """open_clip's CustomTextCLIP; its CLIP, whose text tower is not a module of its own, is read as one."""

    family: ClassVar[str] = "open_clip"
    tokens = PretrainedTokenizer
    vocabulary: PretrainedTokenizer

    def __init__(self, config: dict[str, Any], vocabulary: PretrainedTokenizer) -> None:
        super().__init__()
        self._config = config
        self.vocabulary = vocabulary
        self._reads, self._sees = text_kind(config), image_kind(config)
        self._preprocess = of_open_clip(config["preprocess"], "config.json")
        self.model = _build(config)
        self._sees.cut(self.model.visual)
        mean, std = self._preprocess.buffers()
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    @classmethod
    def check(cls, checkpoint: str, revision: str | None) -> None:
        origin(checkpoint, revision).check()

    @classmethod
    def fetch(cls, checkpoint: str, revision: str | None) -> Self:
        parts = origin(checkpoint, revision).parts()
        model = cls._unread(parts)
        load_weights(model.model, _state(parts, model.model), parts.folder)
        check_vocabulary(model.vocabulary, model.token_table().num_embeddings, parts.folder)
        model.eval()
        compared = probe.compare(
            parts.folder,
            library.LIBRARY,
            lambda: probe.ours(model, model.mean, model.std),
            lambda: library.outputs(parts),
        )
        model.evidence = dataclasses.replace(model.evidence, compared=compared)
        return model

    @classmethod
    def build_on_meta(cls, folder: str) -> Self:
        with torch.device("meta"):
            return cls._unread(origin(folder, None).parts())

    @classmethod
    def _unread(cls, parts: OpenClipParts) -> Self:
        """The model, before its weights are read."""
        tokens = parts.tokens()
        text_kind(parts.config).check(tokens, parts.folder)
        try:
            model = cls(copy.deepcopy(dict(parts.config)), tokens)
        except (TypeError, ValueError, AssertionError, RuntimeError, KeyError, AttributeError) as error:
            if isinstance(error, PretrainedError):
                raise
            raise PretrainedError(f"{parts.folder}: open_clip cannot build what it declares: {error}") from None
        model.evidence = Evidence((*parts.assumed, *tokens.assumed))
        return model

    @classmethod
    def from_config(cls, config: dict[str, Any], vocabulary: TextTokenizer) -> Self:
        assert isinstance(vocabulary, PretrainedTokenizer)
        return cls(copy.deepcopy(config), vocabulary)

    @property
    def embedding_width(self) -> int:
        return int(self._config["model"]["embed_dim"])

    @property
    def context(self) -> int:
        return self._reads.context

    @property
    def text_layers(self) -> int:
        return self._reads.layers

    @property
    def image_layers(self) -> int:
        return self._sees.layers(self.model.visual)

    @property
    def image_tokens(self) -> int:
        return self._sees.patches(self.model.visual)

    @property
    def fit(self) -> Fit:
        return self._preprocess.fit

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        return torch.from_numpy(self.vocabulary.encode(texts, self.context))

    def text_features(self, ids: Tensor) -> Tensor:
        return normalise(self._reads.run(self.model.text, ids, self.vocabulary.mask(ids), False)[0])

    def text_output(self, ids: Tensor) -> TextOutput:
        features, hidden, mask = self._reads.run(self.model.text, ids, self.vocabulary.mask(ids), True)
        return TextOutput(normalise(features), tuple(hidden), mask)

    def token_table(self) -> nn.Embedding:
        return self._reads.table(self.model.text)

    def layer_prefixes(self) -> dict[str, str]:
        return {"text": f"model.text.{self._reads.prefix}", "image": f"model.visual.{self._sees.prefix}"}

    def resized(self, text_layers: int, image_layers: int, vocabulary: TextTokenizer) -> dict[str, Any]:
        assert isinstance(vocabulary, PretrainedTokenizer)
        config = self._reads.resized(text_layers, vocabulary)
        return config if image_layers == self.image_layers else image_kind(config).resized(image_layers)


def _build(config: Mapping[str, Any]) -> Any:
    """The library's model with fresh weights, without the hub: a text encoder's configuration lies in a folder."""
    model = copy.deepcopy(config["model"])
    with TemporaryDirectory() as folder:
        if "text" in config:
            Path(folder, "config.json").write_text(json.dumps(config["text"]))
            model["text_cfg"].update(hf_model_name=folder, hf_model_pretrained=False)
        return open_clip.CustomTextCLIP(**model)


def _state(parts: OpenClipParts, model: Any) -> dict[str, Tensor]:
    """The checkpoint's weights under CustomTextCLIP's names."""
    state = read_weights(*parts.weights)
    if "positional_embedding" in state:
        state = open_clip.model.convert_to_custom_text_state_dict(state)
    if DERIVED not in model.state_dict():
        state.pop(DERIVED, None)
    for name in ("logit_scale", "logit_bias"):  # a scalar, or a vector of one
        if name in state and (own := getattr(model, name)) is not None:
            state[name] = state[name].reshape(own.shape)
    return state
