"""The two kinds of image tower that open_clip has: its own vision transformer, and one of timm."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from study.models.errors import PretrainedError
from study.models.preprocess import square
from study.names import nearest

DEPTH = "image_layers"
"""Key of the family's configuration: layers that are left of a timm tower, whose name fixes how many it has."""


class ImageKind(ABC):
    """What differs between kinds of image tower; knows the configuration, not the weights."""

    prefix: ClassVar[str]
    """State-dict prefix of the numbered layers, below the image tower."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.vision_cfg: Mapping[str, Any] = config["model"]["vision_cfg"]

    @abstractmethod
    def check(self, where: object) -> None:
        """Refuse, from the configuration alone, what is no vision transformer; raises PretrainedError."""

    @abstractmethod
    def cut(self, visual: Any) -> None:
        """Bring a tower as the library builds it to the depth of the configuration; raises PretrainedError."""

    @abstractmethod
    def layers(self, visual: Any) -> int: ...

    @abstractmethod
    def patches(self, visual: Any) -> int: ...

    @abstractmethod
    def resized(self, layers: int) -> dict[str, Any]:
        """The family's configuration with that many layers."""


class NativeVit(ImageKind):
    """open_clip's VisionTransformer."""

    prefix = "transformer.resblocks."

    def check(self, where: object) -> None:
        if not isinstance(self.vision_cfg.get("layers", 12), int):
            raise PretrainedError(
                f"{where}: the image tower is a ResNet (vision_cfg.layers is {self.vision_cfg['layers']}), "
                "must be a vision transformer"
            )
        square(self.vision_cfg.get("image_size", 224), f"{where}: vision_cfg.image_size")

    def cut(self, visual: Any) -> None:
        """Its depth is an option of the library."""

    def layers(self, visual: Any) -> int:
        return len(visual.transformer.resblocks)

    def patches(self, visual: Any) -> int:
        return math.prod(visual.grid_size)

    def resized(self, layers: int) -> dict[str, Any]:
        config = copy.deepcopy(dict(self.config))
        config["model"]["vision_cfg"]["layers"] = layers
        return config


class TimmVit(ImageKind):
    """A vision transformer of timm."""

    prefix = "trunk.blocks."

    def check(self, where: object) -> None:
        import timm

        name = self.vision_cfg["timm_model_name"]
        if not timm.is_model(name):
            meant = nearest(name, timm.list_models())
            raise PretrainedError(f"{where}: timm has no model {name!r}; the nearest is {meant!r}")
        square(self.vision_cfg.get("image_size", 224), f"{where}: vision_cfg.image_size")

    def cut(self, visual: Any) -> None:
        blocks = getattr(visual.trunk, "blocks", None)
        if not isinstance(blocks, nn.Sequential):
            raise PretrainedError(f"timm model {self.vision_cfg['timm_model_name']!r} is no plain vision transformer")
        visual.trunk.blocks = blocks[: self.config.get(DEPTH, len(blocks))]

    def layers(self, visual: Any) -> int:
        return len(visual.trunk.blocks)

    def patches(self, visual: Any) -> int:
        return int(visual.trunk.patch_embed.num_patches)

    def resized(self, layers: int) -> dict[str, Any]:
        return {**copy.deepcopy(dict(self.config)), DEPTH: layers}


def image_kind(config: Mapping[str, Any]) -> ImageKind:
    """The kind of the family's configuration."""
    return TimmVit(config) if config["model"]["vision_cfg"].get("timm_model_name") else NativeVit(config)
