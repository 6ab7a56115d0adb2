"""What a dual encoder has to offer, whatever library it comes from.

Shape legend: N items, H x W pixels, L tokens, D embedding width, E width of the text tower.
"""

from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from study.data.pictures import Fit
from study.models.errors import PretrainedError as PretrainedError
from study.models.evidence import Evidence
from study.models.tokenizers.base import TextTokenizer
from study.models.tokenizers.vocabulary import Vocabulary


@dataclass(frozen=True)
class TextOutput:
    """What the text tower makes of N token sequences.

    features: [N, D], L2-normalised. hidden: one [N, L, E] a layer, embedding output first.
    mask: [N, L], true where a token is not padding.
    """

    features: Tensor
    hidden: tuple[Tensor, ...]
    mask: Tensor


@dataclass(frozen=True)
class TextCounts:
    """Parameters of a text tower, and how many of them are the token table."""

    total: int
    vocabulary: int

    @property
    def non_vocabulary(self) -> int:
        return self.total - self.vocabulary


def count(module: nn.Module | None) -> int:
    """Parameters of a module, each counted once."""
    return 0 if module is None else sum(p.numel() for p in module.parameters())


class DualEncoder(nn.Module, ABC):
    """An image tower, a text tower, a temperature, and the text handling that belongs to them."""

    family: ClassVar[str]
    tokens: ClassVar[type[TextTokenizer]]
    vocabulary: TextTokenizer
    evidence: Evidence = Evidence()
    """Of a checkpoint that others published, where it was loaded; not saved with the model."""

    _config: dict[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        """The library's own configuration, enough to build the same architecture again."""
        return copy.deepcopy(self._config)

    @classmethod
    @abstractmethod
    def from_config(cls, config: dict[str, Any], vocabulary: TextTokenizer) -> Self:
        """A model of that configuration with fresh weights."""

    @property
    @abstractmethod
    def embedding_width(self) -> int:
        """D."""

    @property
    @abstractmethod
    def context(self) -> int:
        """L, the longest token sequence."""

    @property
    @abstractmethod
    def text_layers(self) -> int:
        """Number of transformer layers in the text tower."""

    @property
    @abstractmethod
    def image_layers(self) -> int:
        """Number of transformer layers in the image tower."""

    @property
    @abstractmethod
    def image_tokens(self) -> int:
        """Patches of an image."""

    @property
    @abstractmethod
    def fit(self) -> Fit:
        """How an image becomes the pixels that `image_features` reads."""

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Token ids [N, L] int64, by this family's text handling."""

    def columns(self, ids: Tensor) -> Tensor:
        """[N] leading columns of ids [N, L] that the tower has to read of each text: what follows changes nothing.

        For ids on the host, where they are known before a device is waited for; a batch is cut to the most of its
        texts. All of them, unless a family says otherwise.
        """
        return torch.full((len(ids),), ids.shape[1])

    def cut(self, ids: Tensor) -> Tensor:
        """Host ids [N, L'] of a batch [N, L] without the columns that the tower need not read; N is not 0."""
        return ids[:, : int(self.columns(ids).max())]

    @abstractmethod
    def image_features(self, pixels: Tensor) -> Tensor:
        """[N, D], L2-normalised, of uint8 pixels [N, H, W, 3]."""

    @abstractmethod
    def text_features(self, ids: Tensor) -> Tensor:
        """[N, D], L2-normalised, of token ids [N, L]."""

    @abstractmethod
    def text_output(self, ids: Tensor) -> TextOutput:
        """Features and hidden states of token ids [N, L]."""

    @abstractmethod
    def image_text_loss(self, images: Tensor, texts: Tensor) -> Tensor:
        """The family's own contrastive loss of N matching pairs [N, D], a value an item [N]."""

    @abstractmethod
    def temperature_parameters(self) -> list[nn.Parameter]:
        """The learned temperature (and bias)."""

    @abstractmethod
    def text_module(self) -> nn.Module:
        """All parameters of the text tower, and nothing else."""

    @abstractmethod
    def image_module(self) -> nn.Module:
        """All parameters of the image tower, and nothing else."""

    @abstractmethod
    def token_table(self) -> nn.Embedding:
        """The token embedding [V, E]."""

    @abstractmethod
    def layer_prefixes(self) -> dict[str, str]:
        """State-dict prefix of the numbered layers: {"text": ..., "image": ...}."""

    @abstractmethod
    def resized(self, text_layers: int, image_layers: int, vocabulary: TextTokenizer) -> dict[str, Any]:
        """The configuration of the same model with other depths and another vocabulary."""

    @property
    def image_family(self) -> str:
        """The family that the image tower is of."""
        return self.family

    @property
    def temperature(self) -> dict[str, float]:
        """Learned logit scale (after exp) and bias, for the record."""
        return {
            name: float(parameter.detach().exp() if "scale" in name else parameter.detach())
            for name, parameter in self.named_parameters()
            if name.endswith(("logit_scale", "logit_bias"))
        }

    def text_counts(self) -> TextCounts:
        return TextCounts(count(self.text_module()), self.token_table().weight.numel())

    def save(self, folder: Path, images: bool = True) -> None:
        """Write configuration, vocabulary and weights (safetensors) into `folder`.

        Without `images` the image tower's weights are left out, for a student that uses its teacher's.
        """
        folder.mkdir(parents=True, exist_ok=True)
        card = {"family": self.family, "images": images, "config": self.config}
        (folder / "config.json").write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")
        self.vocabulary.save(folder)
        left_out = set() if images else {id(p) for p in self.image_module().state_dict(keep_vars=True).values()}
        state = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in self.state_dict(keep_vars=True).items()
            if id(tensor) not in left_out
        }
        save_file(state, folder / "model.safetensors")


class Trainable(DualEncoder):
    """A family whose teachers are trained here, from a registered configuration."""

    @classmethod
    @abstractmethod
    def models(cls) -> list[str]:
        """Names of the registered configurations."""

    @classmethod
    @abstractmethod
    def build(cls, model: str, vocabulary: Vocabulary, context: int) -> Self:
        """A fresh model of the registered configuration `model`.

        Raises:
            study.names.UnknownNameError: no configuration is registered under that name.
        """


class Pretrained(DualEncoder):
    """A family whose teachers others have trained: a checkpoint by name or in a folder."""

    @classmethod
    @abstractmethod
    def check(cls, checkpoint: str, revision: str | None) -> None:
        """Refuse, before anything is downloaded, what `fetch` could not bring.

        Raises:
            PretrainedError: the message names the checkpoint and says what is allowed.
        """

    @classmethod
    @abstractmethod
    def fetch(cls, checkpoint: str, revision: str | None) -> Self:
        """The published model with its own tokenizer, text handling and image transform, in evaluation mode.

        `checkpoint` is a folder (a relative one starts at the working folder), or a name that the library
        resolves; `revision` pins what a name means.

        Raises:
            PretrainedError: it is not there, is another architecture, or its parts do not fit one another.
        """

    @classmethod
    @abstractmethod
    def build_on_meta(cls, folder: str) -> Self:
        """What `fetch` makes of a folder, before its weights are read: they are on the meta device and take no memory.

        Raises:
            PretrainedError: as `fetch`, so far as it shows without weights.
        """


@dataclass(frozen=True)
class EncoderChoice:
    """A published text encoder, pooled over tokens as named; with a `vocabulary`, that many of its tokens stay."""

    encoder: str
    revision: str | None
    pooling: str
    vocabulary: int | None


class PretrainedTextStudent(DualEncoder):
    """A family of students with a text tower of their own; image tower, temperature and loss are the teacher's."""

    @classmethod
    @abstractmethod
    def check(cls, encoder: str, revision: str | None) -> None:
        """Refuse, without any network, a text encoder that cannot be obtained; raises PretrainedError."""

    @classmethod
    @abstractmethod
    def initial(
        cls,
        teacher: DualEncoder,
        choice: EncoderChoice,
        *,
        texts: Sequence[str],
        init: str,
        stream: tuple[str | int, ...],
    ) -> Self:
        """The student before training, with the published encoder; what is fresh draws from the stream.

        The tokens that stay are those that `texts` need. init `random`: a fresh encoder, too.

        Raises:
            PretrainedError: the encoder is not there, is something else, or its parts do not fit one another.
        """

    @classmethod
    @abstractmethod
    def beside(cls, teacher: DualEncoder, config: dict[str, Any], vocabulary: TextTokenizer) -> Self:
        """A model of that configuration with a fresh text tower and the teacher's image tower."""


def standardised(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(pixels - mean) / std as [N, 3, H, W], of uint8 pixels [N, H, W, 3] and statistics [3, 1, 1] on their scale."""
    return (pixels.permute(0, 3, 1, 2).to(mean.dtype) - mean) / std


def normalise(features: Tensor) -> Tensor:
    """L2-normalise the last axis, in single precision."""
    return torch.nn.functional.normalize(features.float(), dim=-1)
