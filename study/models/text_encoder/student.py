"""A student that is not its teacher made smaller: a small text encoder that others trained, beside the teacher's
image tower, with the teacher's temperature and loss.

Text: tokens, an encoder of transformers with its padding masked, the mean over tokens or the first of them, and a
linear projection to the teacher's width that starts fresh. Texts get no prefix (`query:` of E5).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from study.data.pictures import Fit
from study.models.attention import attention_mask
from study.models.dual_encoder import DualEncoder, EncoderChoice, PretrainedTextStudent, TextOutput, normalise
from study.models.evidence import Evidence
from study.models.padding import used_columns
from study.models.text_config import positions
from study.models.text_encoder import files, library
from study.models.tokenizers.base import TextTokenizer
from study.models.tokenizers.pretrained import PretrainedTokenizer
from study.seeds import torch_stream


class Reader(nn.Module):
    """The encoder and its projection, [E] to [D]."""

    def __init__(self, encoder: nn.Module, width: int, embedding_width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = nn.Linear(width, embedding_width, bias=False)


class EncoderStudent(PretrainedTextStudent):
    """`config`: encoder (of transformers), pooling (mean or cls), context. The teacher gives all the rest."""

    family: ClassVar[str] = "encoder"
    tokens = PretrainedTokenizer
    vocabulary: PretrainedTokenizer

    def __init__(
        self, config: dict[str, Any], vocabulary: PretrainedTokenizer, teacher: DualEncoder, encoder: nn.Module
    ) -> None:
        super().__init__()
        self._config = config
        self.vocabulary = vocabulary
        self.eyes = _without_text(teacher)
        self.text = Reader(encoder, int(config["encoder"]["hidden_size"]), teacher.embedding_width)

    @classmethod
    def check(cls, encoder: str, revision: str | None) -> None:
        files.check(encoder, revision)

    @classmethod
    def initial(
        cls,
        teacher: DualEncoder,
        choice: EncoderChoice,
        *,
        texts: Sequence[str],
        init: str,
        stream: tuple[str | int, ...],
    ) -> Self:
        loaded = files.download(choice.encoder, choice.revision)
        tokens, declared, body = loaded.tokens, loaded.config, loaded.encoder
        context = min(teacher.context, positions(declared) or teacher.context)
        compared = library.compare(loaded, context, POOLING[choice.pooling])
        if choice.vocabulary is not None:
            tokens, old_ids = tokens.trim(choice.vocabulary, texts)
            files.check_padding(declared, tokens, choice.encoder)
            declared = {**declared, "vocab_size": len(tokens), **_special(tokens)}
            body = files.cut(body, declared, old_ids)
        config = {"encoder": declared, "pooling": choice.pooling, "context": context}
        with torch_stream(*stream):
            made = cls(config, tokens, teacher, files.build(declared) if init == "random" else body)
        made.evidence = Evidence(loaded.assumed, compared)
        return made

    @classmethod
    def from_config(cls, config: dict[str, Any], vocabulary: TextTokenizer) -> Self:
        raise ValueError(f"a student of family {cls.family!r} is built beside its teacher")

    @classmethod
    def beside(cls, teacher: DualEncoder, config: dict[str, Any], vocabulary: TextTokenizer) -> Self:
        assert isinstance(vocabulary, PretrainedTokenizer)
        return cls(copy.deepcopy(config), vocabulary, teacher, files.build(config["encoder"]))

    @property
    def image_family(self) -> str:
        return self.eyes.image_family

    @property
    def embedding_width(self) -> int:
        return self.eyes.embedding_width

    @property
    def context(self) -> int:
        return int(self._config["context"])

    @property
    def text_layers(self) -> int:
        return int(self._config["encoder"]["num_hidden_layers"])

    @property
    def image_layers(self) -> int:
        return self.eyes.image_layers

    @property
    def image_tokens(self) -> int:
        return self.eyes.image_tokens

    @property
    def fit(self) -> Fit:
        return self.eyes.fit

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        return torch.from_numpy(self.vocabulary.encode(texts, self.context))

    def image_features(self, pixels: Tensor) -> Tensor:
        return self.eyes.image_features(pixels)

    def text_features(self, ids: Tensor) -> Tensor:
        return self._read(ids, keep_hidden=False).features

    def text_output(self, ids: Tensor) -> TextOutput:
        return self._read(ids, keep_hidden=True)

    def columns(self, ids: Tensor) -> Tensor:
        return used_columns(self.vocabulary.mask(ids))  # padding is masked

    def _read(self, ids: Tensor, keep_hidden: bool) -> TextOutput:
        mask = self.vocabulary.mask(ids)
        seen = attention_mask(mask, self.text.encoder)
        out = self.text.encoder(input_ids=ids, attention_mask=seen, output_hidden_states=keep_hidden)
        pooled = POOLING[self._config["pooling"]](out.last_hidden_state, mask)
        return TextOutput(normalise(self.text.projection(pooled)), tuple(out.hidden_states or ()), mask)

    def image_text_loss(self, images: Tensor, texts: Tensor) -> Tensor:
        return self.eyes.image_text_loss(images, texts)

    def temperature_parameters(self) -> list[nn.Parameter]:
        return self.eyes.temperature_parameters()

    def text_module(self) -> nn.Module:
        return self.text

    def image_module(self) -> nn.Module:
        return self.eyes.image_module()

    def token_table(self) -> nn.Embedding:
        return files.table(self.text.encoder)

    def layer_prefixes(self) -> dict[str, str]:
        layers = next(
            name
            for name, module in self.text.encoder.named_modules()
            if isinstance(module, nn.ModuleList) and len(module) == self.text_layers
        )
        return {"text": f"text.encoder.{layers}.", "image": f"eyes.{self.eyes.layer_prefixes()['image']}"}

    def resized(self, text_layers: int, image_layers: int, vocabulary: TextTokenizer) -> dict[str, Any]:
        raise ValueError(f"a student of family {self.family!r} is not made smaller again")


def mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens that are not padding: [N, L, E], [N, L] -> [N, E]."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def first(states: Tensor, mask: Tensor) -> Tensor:
    """The first token's state, which is not the first column's where padding is on the left: [N, L, E] -> [N, E]."""
    return states[torch.arange(len(states), device=states.device), mask.int().argmax(dim=1)]


POOLING = {"mean": mean, "cls": first}


def _special(tokens: PretrainedTokenizer) -> dict[str, int]:
    """The special ids of trimmed tokens, as a configuration names them."""
    ids = {"pad_token_id": tokens.pad, "bos_token_id": tokens.bos, "eos_token_id": tokens.eos}
    return {name: value for name, value in ids.items() if value is not None}


def _without_text(teacher: DualEncoder) -> DualEncoder:
    """A trainable copy of the teacher that cannot read: its text tower, and nothing else, is left out."""
    return copy.deepcopy(teacher, {id(teacher.text_module()): nn.Module()}).requires_grad_(True)
