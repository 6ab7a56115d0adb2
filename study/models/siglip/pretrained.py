"""Published SigLIP and SigLIP2 checkpoints of transformers, of a fixed resolution (SiglipModel).

A folder that `save_pretrained` wrote, or a name on the hub with its commit.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from safetensors import SafetensorError
from torch import Tensor

from study.data.pictures import Fit
from study.models import probe, torchvision_ops
from study.models.dual_encoder import Pretrained, standardised
from study.models.errors import PretrainedError
from study.models.evidence import Evidence
from study.models.siglip import files, library
from study.models.siglip.model import SiglipTowers
from study.models.tokenizers.base import TextTokenizer
from study.models.tokenizers.pretrained import PretrainedTokenizer
from study.models.weights import SHOWN, check_finite, check_vocabulary, more, own_memory, quietly

torchvision_ops.ensure()

from transformers import SiglipConfig, SiglipModel  # noqa: E402 (needs torchvision's operators)


class Siglip(SiglipTowers, Pretrained):
    """transformers' SiglipModel with published weights."""

    family: ClassVar[str] = "transformers"
    tokens = PretrainedTokenizer
    vocabulary: PretrainedTokenizer
    mean: Tensor
    std: Tensor

    def __init__(
        self, config: dict[str, Any], vocabulary: PretrainedTokenizer, model: SiglipModel | None = None
    ) -> None:
        super().__init__()
        self._config = config
        self.vocabulary = vocabulary
        self._preprocess = files.preprocess(config, "config.json")
        self.model = SiglipModel(SiglipConfig(**copy.deepcopy(config["model"]))) if model is None else model
        mean, std = self._preprocess.buffers()
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    @classmethod
    def check(cls, checkpoint: str, revision: str | None) -> None:
        files.check(checkpoint, revision)

    @classmethod
    def fetch(cls, checkpoint: str, revision: str | None) -> Self:
        parts = files.download(checkpoint, revision)
        tokens = parts.tokens()
        model = cls(parts.config, tokens, _weights(parts))
        check_vocabulary(tokens, model.token_table().num_embeddings, parts.folder)
        model.eval()
        compared = probe.compare(
            parts.folder,
            library.LIBRARY,
            lambda: probe.ours(model, model.mean, model.std),
            lambda: library.outputs(parts.folder, model.context),
        )
        model.evidence = Evidence(parts.all_assumed(tokens), compared)
        return model

    @classmethod
    def build_on_meta(cls, folder: str) -> Self:
        parts = files.download(folder, None)
        tokens = parts.tokens()
        try:
            with torch.device("meta"):
                model = cls(parts.config, tokens)
        except PretrainedError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
            raise PretrainedError(f"{parts.folder}: transformers cannot build what it declares: {error}") from None
        model.evidence = Evidence(parts.all_assumed(tokens))
        return model

    @classmethod
    def from_config(cls, config: dict[str, Any], vocabulary: TextTokenizer) -> Self:
        assert isinstance(vocabulary, PretrainedTokenizer)
        return cls(copy.deepcopy(config), vocabulary)

    @property
    def declared(self) -> dict[str, Any]:
        declared: dict[str, Any] = self._config["model"]
        return declared

    @property
    def fit(self) -> Fit:
        return self._preprocess.fit

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        return torch.from_numpy(self.vocabulary.encode(texts, self.context))

    def normalised(self, pixels: Tensor) -> Tensor:
        return standardised(pixels, self.mean, self.std)

    def resized(self, text_layers: int, image_layers: int, vocabulary: TextTokenizer) -> dict[str, Any]:
        assert isinstance(vocabulary, PretrainedTokenizer)
        config = self.config
        # The tower looks at none of these ids; they are true for whoever reads the configuration.
        special = {"pad_token_id": vocabulary.pad, "bos_token_id": vocabulary.bos, "eos_token_id": vocabulary.eos}
        config["model"]["text_config"].update(num_hidden_layers=text_layers, vocab_size=len(vocabulary), **special)
        config["model"]["vision_config"]["num_hidden_layers"] = image_layers
        return config


def _weights(parts: files.SiglipParts) -> SiglipModel:
    """The model with its weights from safetensors, all of them and no others; raises PretrainedError."""
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
        raise PretrainedError(f"{parts.folder}: weights do not fit config.json: {error}") from None
    found = {kind: sorted(map(str, told.get(kind) or [])) for kind in ("missing_keys", "unexpected_keys", "error_msgs")}
    wrong = [f"{kind}: {', '.join(names[:SHOWN])}{more(names)}" for kind, names in found.items() if names]
    if wrong:
        raise PretrainedError(f"{parts.folder}: weights do not fit config.json; {'; '.join(wrong)}")
    loaded: SiglipModel = model
    own_memory(loaded)
    check_finite(loaded.state_dict(), parts.folder)
    return loaded
