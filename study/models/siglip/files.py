"""What a SigLIP checkpoint of transformers is made of, and where that comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.models import hub, torchvision_ops
from study.models.errors import PretrainedError
from study.models.preprocess import SIGLIP_SIZE, Preprocess, of_transformers, square
from study.models.text_config import architecture
from study.models.tokenizers.pretrained import PretrainedTokenizer

torchvision_ops.ensure()

from transformers import SiglipConfig  # noqa: E402 (needs torchvision's operators)

WEIGHTS = ("model.safetensors",)
"""Whole, or divided into shards."""
IMAGE_DEFAULTS = {"size": SIGLIP_SIZE, "resample": 3, "image_mean": 0.5, "image_std": 0.5}
"""What the library's processor does where preprocessor_config.json does not say; resample is Pillow's number."""
NAFLEX = "siglip2"
PROCESSORS = ("SiglipImageProcessor", "SiglipImageProcessorFast", "SiglipImageProcessorPil")


@dataclass(frozen=True)
class SiglipParts:
    """Where a checkpoint lies, its model's and its image processor's configuration."""

    folder: Path
    model: Mapping[str, Any]
    processor: Mapping[str, Any]
    assumed: tuple[str, ...]
    """What its files leave open (`Evidence`), tokens aside."""

    @property
    def config(self) -> dict[str, Any]:
        """The family's configuration."""
        return {"model": dict(self.model), "processor": dict(self.processor)}

    def tokens(self) -> PretrainedTokenizer:
        """Its tokens; raises PretrainedError."""
        tokens = PretrainedTokenizer.from_transformers(self.folder)
        self._check_room()
        return tokens

    def all_assumed(self, tokens: PretrainedTokenizer) -> tuple[str, ...]:
        """What its files leave open, tokens and all."""
        return (*self.assumed, *tokens.assumed)

    def _check_room(self) -> None:
        """Refuse a tokenizer that pads to another length than the tower has: features are read at the last position."""
        declared = hub.read_json(self.folder / "tokenizer_config.json").get("model_max_length")
        context = self.model["text_config"]["max_position_embeddings"]
        if isinstance(declared, int) and declared < context:
            raise PretrainedError(
                f"{self.folder}: tokenizer_config.json's model_max_length is {declared}, and the text tower reads "
                f"{context} tokens, to which texts are padded: they must be equal"
            )

    def check(self) -> None:
        """Refuse what cannot be used, without reading weights; raises PretrainedError."""
        hub.check_files(self.folder, WEIGHTS, "the checkpoint's")
        preprocess(self.config, self.folder)


def preprocess(config: Mapping[str, Any], where: object) -> Preprocess:
    """The way of an image that the family's configuration declares; raises PretrainedError."""
    size = square(config["model"]["vision_config"]["image_size"], f"{where}: vision_config.image_size")
    return of_transformers(config["processor"], size, where)


def parts(folder: Path) -> SiglipParts:
    """The parts of the checkpoint in `folder`; raises PretrainedError where it is another architecture."""
    path = folder / "config.json"
    card = folder / "open_clip_config.json"
    if not path.is_file() and (what := hub.described(folder)):
        raise PretrainedError(f"{folder} holds no config.json: {what}")
    declared = hub.read_json(path)
    kind = declared.get("model_type")
    if kind != "siglip" and card.is_file():
        raise PretrainedError(
            f"{folder} is a checkpoint of open_clip, which family `open_clip` loads; its config.json is that of its "
            f"text encoder, a {kind!r}"
        )
    if kind == NAFLEX:
        raise PretrainedError(
            f"{path}: model_type {kind!r} is SigLIP2's NaFlex variant (images of any shape), which is not supported; "
            "take a checkpoint of a fixed resolution, whose model_type is 'siglip'"
        )
    if kind != "siglip":
        raise PretrainedError(f"{path}: model_type is {kind!r}, must be 'siglip': {hub.described(folder)}")
    try:
        full = SiglipConfig(**{key: value for key, value in declared.items() if key != "model_type"}).to_dict()
    except (TypeError, ValueError) as error:
        raise PretrainedError(f"{path}: transformers cannot read it: {error}") from None
    towers = ("text_config", "vision_config")
    model = {name: architecture(full[name]) for name in towers}
    if not model["vision_config"]["vision_use_head"]:
        raise PretrainedError(f"{path}: vision_config.vision_use_head is false: without it an image has no embedding")
    text, image = model["text_config"]["projection_size"], model["vision_config"]["hidden_size"]
    if text != image:
        raise PretrainedError(f"{path}: texts have {text} dimensions and images {image}, they must be equal")
    processor = _processor(folder)
    return SiglipParts(folder, model, processor, tuple(_unstated(declared, model, processor)))


def _unstated(declared: Mapping[str, Any], model: Mapping[str, Any], processor: Mapping[str, Any]) -> list[str]:
    """What the files leave to transformers' defaults of how texts and images are read."""
    found = []
    if "max_position_embeddings" not in declared.get("text_config", {}):
        context = model["text_config"]["max_position_embeddings"]
        found.append(f"texts are padded to {context} tokens, the default of SiglipConfig")
    if missing := [f"{key} {value}" for key, value in IMAGE_DEFAULTS.items() if key not in processor]:
        found.append(f"images are read with {', '.join(missing)}, the default of {PROCESSORS[0]}")
    return found


def _processor(folder: Path) -> dict[str, Any]:
    """The image processor's settings, of the two files that may hold them the one that the library prefers."""
    path = folder / "processor_config.json"
    found = hub.read_json(path).get("image_processor") if path.is_file() else None
    if found is None:
        path = folder / "preprocessor_config.json"
        if not path.is_file():
            raise PretrainedError(f"{folder} holds no preprocessor_config.json: how are images read?")
        found = hub.read_json(path)
    if not isinstance(found, dict):
        raise PretrainedError(f"{path}: image_processor must be a mapping, is {type(found).__name__}")
    kind = found.get("image_processor_type", PROCESSORS[0])
    if kind not in PROCESSORS:
        raise PretrainedError(f"{path}: image_processor_type is {kind!r}, must be one of {', '.join(PROCESSORS)}")
    return found


def locate(checkpoint: str, revision: str | None) -> Path | None:
    """The folder that is there already, or None for a name on the hub; raises PretrainedError."""
    if Path(checkpoint).is_dir():
        hub.check_unpinned(checkpoint, revision)
        return Path(checkpoint)
    hub.check_repository(checkpoint, checkpoint)
    hub.commit(checkpoint, revision)
    return None


def check(checkpoint: str, revision: str | None) -> None:
    """As `Published.check`."""
    if (folder := locate(checkpoint, revision)) is not None:
        parts(folder).check()


def download(checkpoint: str, revision: str | None) -> SiglipParts:
    """The parts of a folder, or of a name that is downloaded; raises PretrainedError."""
    folder = locate(checkpoint, revision)
    if folder is None:
        folder = hub.download(checkpoint, hub.commit(checkpoint, revision), WEIGHTS)
    found = parts(folder)
    found.check()
    return found
