"""The towers of a teacher that is trained here, counted from its configuration: no library is needed for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from study.models import CONFIGURATIONS
from study.models.shape import TowerSizes
from study.models.tokenizers.vocabulary import SMALLEST


@dataclass(frozen=True)
class TrainedTowers:
    """text: see Towers. image: parameters of the image tower. patches: of an image. embedding: width D."""

    text: TowerSizes
    image: int
    patches: int
    embedding: int


def towers_of(family: str, model: str, tokens: int, context: int) -> TrainedTowers | None:
    """The towers of the family's configuration `model`; None for a configuration of the library's own."""
    if family not in COUNTS:
        return None
    path = CONFIGURATIONS[family] / f"{model}.json"
    if not path.is_file():
        return None
    return COUNTS[family](json.loads(path.read_text(encoding="utf-8")), tokens, context)


def _layer(width: int, inner: int) -> int:
    """A transformer layer: attention, two norms, a perceptron of one hidden layer; all with biases."""
    return 4 * width * (width + 1) + 4 * width + width * inner + inner + inner * width + width


def _clip(config: Mapping[str, Any], tokens: int, context: int) -> TrainedTowers:
    """open_clip's CustomTextCLIP with its native towers."""
    text, vision, embedding = config["text_cfg"], config["vision_cfg"], config["embed_dim"]
    width, layer = text["width"], _layer(text["width"], 4 * text["width"])
    total = (tokens + context) * width + text["layers"] * layer + 2 * width + width * embedding
    seen, patch = vision["width"], vision["patch_size"]
    patches = (vision["image_size"] // patch) ** 2
    # A class token with its position, the patches, two further norms, and a projection.
    image = seen + (patches + 1) * seen + 3 * patch**2 * seen + 4 * seen + seen * embedding
    image += vision["layers"] * _layer(seen, 4 * seen)
    towers = TowerSizes(
        total, tokens * width, layer, text["layers"], vision["layers"], width, tokens=tokens, smallest=SMALLEST
    )
    return TrainedTowers(towers, image, patches, embedding)


def _siglip(config: Mapping[str, Any], tokens: int, context: int) -> TrainedTowers:
    """transformers' SiglipModel."""
    text, vision = config["text_config"], config["vision_config"]
    width, layer = text["hidden_size"], _layer(text["hidden_size"], text["intermediate_size"])
    embedding, deep = text["projection_size"], text["num_hidden_layers"]
    total = (tokens + context) * width + deep * layer + 2 * width + width * embedding + embedding
    seen, inner, patch = vision["hidden_size"], vision["intermediate_size"], vision["patch_size"]
    patches = (vision["image_size"] // patch) ** 2
    # The patches with their positions, a norm, and the head: a probe that attends, a norm, a perceptron.
    image = 3 * patch**2 * seen + seen + patches * seen + 2 * seen
    image += vision["num_hidden_layers"] * _layer(seen, inner) + seen + _layer(seen, inner) - 2 * seen
    towers = TowerSizes(
        total, tokens * width, layer, deep, vision["num_hidden_layers"], width, tokens=tokens, smallest=SMALLEST
    )
    return TrainedTowers(towers, image, patches, embedding)


COUNTS: Mapping[str, Callable[[Mapping[str, Any], int, int], TrainedTowers]] = {"clip": _clip, "siglip2": _siglip}
