"""The two kinds of text tower that open_clip has: its own transformer, and one of transformers.

A kind knows a model's configuration, not its weights. Shape legend: N items, L tokens, D, E as in `protocol`.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from study.models import torchvision_ops
from study.models.errors import PretrainedError
from study.models.padding import without_padding
from study.models.text_config import positions
from study.models.tokenizers.pretrained import PretrainedTokenizer
from study.names import hint

torchvision_ops.ensure()

from open_clip.transformer import text_global_pool  # noqa: E402 (needs torchvision's operators)

DEFAULT_CONTEXT = 77
"""open_clip's own, where a configuration names none."""


class TextKind(ABC):
    """What differs between kinds of text tower. `config` is the family's: model, and text for a tower of
    transformers."""

    prefix: ClassVar[str]
    """State-dict prefix of the numbered layers, below the text tower."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.text_cfg: Mapping[str, Any] = config["model"]["text_cfg"]

    @property
    def context(self) -> int:
        return int(self.text_cfg.get("context_length", DEFAULT_CONTEXT))

    @property
    @abstractmethod
    def layers(self) -> int: ...

    @abstractmethod
    def check(self, vocabulary: PretrainedTokenizer, where: object) -> None:
        """Refuse tokens whose special ids are not the tower's; raises PretrainedError."""

    @abstractmethod
    def table(self, text: nn.Module) -> nn.Embedding:
        """The token table of the tower `text`."""

    @abstractmethod
    def run(self, text: Any, ids: Tensor, mask: Tensor, keep_hidden: bool) -> tuple[Tensor, list[Tensor], Tensor]:
        """Features [N, D], not yet normalised, hidden states [N, L, E] and the mask that belongs to them.

        As the library computes them for the full length; cut to the batch's longest text where padding
        changes nothing.
        """

    @abstractmethod
    def resized(self, layers: int, vocabulary: PretrainedTokenizer) -> dict[str, Any]:
        """The family's configuration with that many layers and those tokens."""


class NativeText(TextKind):
    """open_clip's TextTransformer: causal and read at eos (CLIP), or not causal and read at the end (SigLIP)."""

    prefix = "transformer.resblocks."

    @property
    def layers(self) -> int:
        return int(self.text_cfg.get("layers", 12))

    def check(self, vocabulary: PretrainedTokenizer, where: object) -> None:
        pool, eos = self.text_cfg.get("pool_type", "argmax"), vocabulary.eos
        if pool == "eos" and eos != self.text_cfg.get("eos_id", 2):
            raise PretrainedError(
                f"{where}: tokenizer and weights do not match: the tokenizer's eos is {eos}, text_cfg.eos_id is "
                f"{self.text_cfg.get('eos_id', 2)}"
            )
        if pool == "argmax" and eos != len(vocabulary) - 1:
            raise PretrainedError(
                f"{where}: tokenizer and weights do not match: features are read at the highest id, "
                f"{len(vocabulary) - 1}, which is not the tokenizer's eos, {eos}"
            )

    def table(self, text: Any) -> nn.Embedding:
        table: nn.Embedding = text.token_embedding
        return table

    def run(self, text: Any, ids: Tensor, mask: Tensor, keep_hidden: bool) -> tuple[Tensor, list[Tensor], Tensor]:
        if text.attn_mask is not None and text.pool_type != "last":  # causal: nobody sees the padding
            ids, mask = without_padding(ids, mask)
        length = ids.shape[1]
        x = text.token_embedding(ids) + text.positional_embedding[:length]
        seen = None if text.attn_mask is None else text.attn_mask[:length, :length]
        hidden = [x]
        for block in text.transformer.resblocks:
            x = block(x, attn_mask=seen)
            if keep_hidden:
                hidden.append(x)
        pooled = text_global_pool(text.ln_final(x), ids, text.pool_type, eos_token_id=text.eos_id)
        if isinstance(text.text_projection, nn.Linear):
            pooled = text.text_projection(pooled)
        elif text.text_projection is not None:
            pooled = pooled @ text.text_projection
        return pooled, hidden, mask

    def resized(self, layers: int, vocabulary: PretrainedTokenizer) -> dict[str, Any]:
        config = copy.deepcopy(dict(self.config))
        text_cfg = config["model"]["text_cfg"]
        text_cfg.update(layers=layers, vocab_size=len(vocabulary), pad_id=vocabulary.pad)
        if text_cfg.get("pool_type", "argmax") in ("argmax", "eos"):
            # The highest id need not be eos among the ids that are left.
            text_cfg.update(pool_type="eos", eos_id=vocabulary.eos)
        return config


@dataclass(frozen=True)
class Encoder:
    """Names within an encoder of transformers: its layers' key, and their and the table's place."""

    layers: str
    prefix: str
    table: str


ENCODERS = {
    "xlm-roberta": Encoder("num_hidden_layers", "transformer.encoder.layer.", "embeddings.word_embeddings"),
    "roberta": Encoder("num_hidden_layers", "transformer.encoder.layer.", "embeddings.word_embeddings"),
    "bert": Encoder("num_hidden_layers", "transformer.encoder.layer.", "embeddings.word_embeddings"),
    "m2m_100": Encoder("encoder_layers", "transformer.layers.", "embed_tokens"),
}
"""Model types of transformers that may be text towers."""


class HfText(TextKind):
    """open_clip's HFTextEncoder: an encoder of transformers, a pooler and a projection; padding is masked."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.encoder = ENCODERS[config["text"]["model_type"]]
        self.prefix = self.encoder.prefix  # type: ignore[misc]

    @property
    def layers(self) -> int:
        return int(self.config["text"][self.encoder.layers])

    def check(self, vocabulary: PretrainedTokenizer, where: object) -> None:
        own = self.config["text"]["pad_token_id"]
        if vocabulary.pad != own:
            raise PretrainedError(
                f"{where}: tokenizer and weights do not match: the tokenizer pads with {vocabulary.pad}, "
                f"the text tower with {own}"
            )
        room = positions(self.config["text"])
        if room is not None and self.context > room:
            raise PretrainedError(
                f"{where}: text_cfg.context_length is {self.context}, the text tower has {room} positions"
            )

    def table(self, text: Any) -> nn.Embedding:
        table: nn.Embedding = text.transformer.get_submodule(self.encoder.table)
        return table

    def run(self, text: Any, ids: Tensor, mask: Tensor, keep_hidden: bool) -> tuple[Tensor, list[Tensor], Tensor]:
        ids, mask = without_padding(ids, mask)
        attended = (ids != self.config["text"]["pad_token_id"]).long()  # as open_clip: also of an eos that pads
        out = text.transformer(input_ids=ids, attention_mask=attended, output_hidden_states=keep_hidden)
        return text.proj(text.pooler(out, attended)), list(out.hidden_states or ()), mask

    def resized(self, layers: int, vocabulary: PretrainedTokenizer) -> dict[str, Any]:
        config = copy.deepcopy(dict(self.config))
        text = config["text"]
        if vocabulary.pad != text["pad_token_id"]:
            raise PretrainedError(
                f"trimming moved the padding token from {text['pad_token_id']} to {vocabulary.pad}; "
                f"a {text['model_type']} counts its positions from that id"
            )
        text.update({self.encoder.layers: layers, "vocab_size": len(vocabulary)})
        for key, value in (("bos_token_id", vocabulary.bos), ("eos_token_id", vocabulary.eos)):
            if value is not None:
                text[key] = value
        text.pop("decoder_start_token_id", None)
        return config


def text_kind(config: Mapping[str, Any]) -> TextKind:
    """The kind of the family's configuration."""
    return HfText(config) if "text" in config else NativeText(config)


def check_encoder(model_type: object, where: object) -> None:
    """Refuse an encoder that is not in ENCODERS; raises PretrainedError."""
    if model_type not in ENCODERS:
        raise PretrainedError(
            f"{where}: a text tower of transformers' type {model_type!r} is not supported"
            f"{hint(str(model_type), ENCODERS)}"
        )
