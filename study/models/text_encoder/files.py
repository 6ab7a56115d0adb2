"""Text encoders of transformers: a folder or a name on the hub, read strictly and from safetensors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import nn

from study.models import hub, torchvision_ops
from study.models.errors import PretrainedError, reading
from study.models.siglip.files import WEIGHTS, locate
from study.models.text_config import POSITIONS_FROM_PAD, encoder_config
from study.models.tokenizers.pretrained import PretrainedTokenizer
from study.models.weights import SHOWN, check_finite, check_vocabulary, more, own_memory, quietly

torchvision_ops.ensure()

from transformers import MODEL_MAPPING, AutoConfig, AutoModel  # noqa: E402 (needs torchvision's operators)

HEADS = ("lm_head", "cls", "pooler", "classifier")
"""Parts of a checkpoint that an encoder without a head leaves out."""


@dataclass(frozen=True)
class Loaded:
    """An encoder with its weights, its configuration and its tokens."""

    encoder: nn.Module
    config: dict[str, Any]
    tokens: PretrainedTokenizer
    folder: Path
    assumed: tuple[str, ...]
    """What its files leave open (`Evidence`)."""


def check(checkpoint: str, revision: str | None) -> None:
    """Refuse, without any network and without its weights, what `download` could not load; raises PretrainedError."""
    if (folder := locate(checkpoint, revision)) is not None:
        config = _declared(folder)
        check_padding(config, _tokens(folder, config), folder)


def download(checkpoint: str, revision: str | None) -> Loaded:
    """The encoder of a folder or a name; raises PretrainedError."""
    with reading(checkpoint):
        return _brought(checkpoint, revision)


def _brought(checkpoint: str, revision: str | None) -> Loaded:
    folder = locate(checkpoint, revision)
    if folder is None:
        folder = hub.download(checkpoint, hub.commit(checkpoint, revision), WEIGHTS)
    config = _declared(folder)
    tokens = _tokens(folder, config)
    check_padding(config, tokens, folder)
    encoder = _weights(folder, config)
    check_vocabulary(tokens, table(encoder).num_embeddings, folder)
    assumed = list(tokens.assumed)
    if "max_position_embeddings" not in hub.read_json(folder / "config.json"):
        assumed.append(f"texts have {config['max_position_embeddings']} positions, the default of its configuration")
    return Loaded(encoder, config, tokens, folder, tuple(assumed))


def _tokens(folder: Path, config: dict[str, Any]) -> PretrainedTokenizer:
    tokens = PretrainedTokenizer.from_transformers(folder)
    if config["model_type"] not in POSITIONS_FROM_PAD:
        config["pad_token_id"] = tokens.pad  # used for nothing else; BERTs with XLM-R's tokenizer say BERT's
    return tokens


def build(config: Mapping[str, Any]) -> nn.Module:
    """An encoder of that configuration with fresh weights."""
    made: nn.Module = AutoModel.from_config(_config(config), **_without_head(config))
    return made


def cut(encoder: nn.Module, config: Mapping[str, Any], old_ids: np.ndarray) -> nn.Module:
    """The encoder with the rows `old_ids` of its token table only, as `config` says."""
    rows, state = table(encoder).weight, encoder.state_dict(keep_vars=True)
    kept = rows.detach()[torch.from_numpy(old_ids)]
    smaller = build(config)
    smaller.load_state_dict({name: kept if value is rows else value.detach() for name, value in state.items()})
    return smaller


def table(encoder: Any) -> nn.Embedding:
    """Its token table."""
    found: nn.Embedding = encoder.get_input_embeddings()
    return found


def check_padding(config: Mapping[str, Any], tokens: PretrainedTokenizer, where: object) -> None:
    """Refuse a padding id that shifts positions; raises PretrainedError."""
    if config["model_type"] in POSITIONS_FROM_PAD and tokens.pad != config["pad_token_id"]:
        raise PretrainedError(
            f"{where}: the tokenizer pads with {tokens.pad}, and a {config['model_type']} counts its positions from "
            f"{config['pad_token_id']}"
        )


def _declared(folder: Path) -> dict[str, Any]:
    """The checked configuration in `folder`; raises PretrainedError."""
    where = folder / "config.json"
    if (folder / "open_clip_config.json").is_file():
        raise PretrainedError(
            f"{folder} is a dual encoder of open_clip: it can be a teacher of family `open_clip`, but no text encoder"
        )
    declared = hub.read_json(where)
    if "vision_config" in declared:
        hint = ": it can be a teacher of family `transformers`, but" if declared.get("model_type") == "siglip" else ","
        raise PretrainedError(f"{folder} is a dual encoder of transformers{hint} no text encoder")
    config = encoder_config(declared, where)
    if config.get("is_encoder_decoder") or config.get("is_decoder"):
        raise PretrainedError(f"{where}: a {config['model_type']} also writes texts, must be an encoder")
    missing = [key for key in ("hidden_size", "max_position_embeddings", "pad_token_id") if config.get(key) is None]
    if missing or type(_config(config)) not in MODEL_MAPPING:
        raise PretrainedError(f"{where}: a {config['model_type']} is no text encoder with a table of positions")
    hub.check_files(folder, WEIGHTS, "the encoder's")
    return config


def _config(config: Mapping[str, Any]) -> Any:
    return AutoConfig.for_model(**config)


def _without_head(config: Mapping[str, Any]) -> dict[str, bool]:
    """The argument by which models that have a pooler leave it out."""
    kind: Any = MODEL_MAPPING[type(_config(config))]
    accepted = inspect.signature(kind).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in accepted else {}


def _weights(folder: Path, config: Mapping[str, Any]) -> nn.Module:
    try:
        with quietly():
            encoder, told = AutoModel.from_pretrained(
                folder,
                config=_config(config),
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
                **_without_head(config),
            )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise PretrainedError(f"{folder}: weights do not fit config.json: {error}") from None
    unknown = [name for name in map(str, told["unexpected_keys"]) if not set(name.split(".")[:2]) & set(HEADS)]
    found = {"missing": sorted(map(str, told["missing_keys"])), "unknown": sorted(unknown)}
    wrong = [f"{kind}: {', '.join(names[:SHOWN])}{more(names)}" for kind, names in found.items() if names]
    if wrong:
        raise PretrainedError(f"{folder}: weights do not fit config.json; {'; '.join(wrong)}")
    if table(encoder).embedding_dim != config["hidden_size"]:
        raise PretrainedError(f"{folder}: a token table narrower than the layers is not supported")
    own_memory(encoder)
    check_finite(encoder.state_dict(), folder)
    made: nn.Module = encoder
    return made
