"""Configurations of transformers as they are kept here: every value explicit, nothing that is no architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from study.models import torchvision_ops
from study.models.dropout import without_dropout
from study.models.errors import PretrainedError

torchvision_ops.ensure()

from transformers import AutoConfig  # noqa: E402 (needs torchvision's operators)

NOT_ARCHITECTURE = {
    *("dtype", "torch_dtype", "transformers_version", "_name_or_path", "architectures", "auto_map"),
    *("id2label", "label2id", "problem_type", "chunk_size_feed_forward", "output_hidden_states", "output_attentions"),
    *("return_dict", "use_cache"),
}


POSITIONS_FROM_PAD = ("roberta", "xlm-roberta", "camembert", "mpnet", "data2vec-text", "xlm-roberta-xl")
"""Model types that count positions from the padding id: it must not move."""
SINUSOIDAL = ("m2m_100",)
"""Model types that compute positions: of any number."""


def positions(config: Mapping[str, Any]) -> int | None:
    """Tokens of the longest text that an encoder reads; None where there is no limit."""
    if config["model_type"] in SINUSOIDAL:
        return None
    behind = config["pad_token_id"] + 1 if config["model_type"] in POSITIONS_FROM_PAD else 0
    return int(config["max_position_embeddings"]) - behind


def architecture(full: Mapping[str, Any]) -> dict[str, Any]:
    """What of a library's `to_dict` makes the architecture; without dropout."""
    return without_dropout({key: value for key, value in full.items() if key not in NOT_ARCHITECTURE})


def encoder_config(declared: Mapping[str, Any], where: object) -> dict[str, Any]:
    """An encoder's config.json with the library's defaults filled in; raises PretrainedError."""
    if "model_type" not in declared:
        raise PretrainedError(f"{where}: config.json has no model_type: it is no model of transformers")
    rest = {key: value for key, value in declared.items() if key not in ("model_type", *NOT_ARCHITECTURE)}
    try:
        return architecture(AutoConfig.for_model(declared["model_type"], **rest).to_dict())
    except (TypeError, ValueError) as error:
        raise PretrainedError(f"{where}: transformers cannot read its config.json: {error}") from None
