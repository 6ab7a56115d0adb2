"""What an open_clip checkpoint in a folder is made of."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from study.models import hub, torchvision_ops
from study.models.dropout import without_dropout
from study.models.errors import PretrainedError
from study.models.open_clip.images import image_kind
from study.models.open_clip.text import DEFAULT_CONTEXT, check_encoder, text_kind
from study.models.preprocess import of_open_clip
from study.models.text_config import encoder_config
from study.models.tokenizers.loading import reading
from study.models.tokenizers.pretrained import PretrainedTokenizer

torchvision_ops.ensure()

import open_clip  # noqa: E402 (needs torchvision's operators)
from open_clip.transform import PreprocessCfg, merge_preprocess_dict  # noqa: E402

CARD = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
"""In open_clip's order of preference; each may be divided into shards."""
IMAGE_KEYS = ("mean", "std", "interpolation", "resize_mode")
"""Entries of preprocess_cfg that change pixels; fill_color does only beside a picture."""
HF_CONFIGS = Path(__file__).parents[1] / "configs" / "hf_text"
"""Configurations of the text encoders that open_clip looks up on the hub by name, unpinned."""


@dataclass(frozen=True)
class OpenClipParts:
    """Where a checkpoint lies, and its family's configuration: model, text of a tower of transformers, preprocess.

    card: its open_clip_config.json, or what the library knows of its tag. assumed: what the card leaves open
    (`Evidence`), tokens aside. encoder_is_known: the text encoder's configuration is not the folder's own.
    """

    folder: Path
    config: Mapping[str, Any]
    card: Mapping[str, Any]
    assumed: tuple[str, ...]
    encoder_is_known: bool

    @cached_property
    def weights(self) -> tuple[Path, ...]:
        """Its weights as the library chooses among several files, or all their shards; raises PretrainedError."""
        return tuple(hub.weight_files(self.folder, self._weight_names))

    @property
    def _weight_names(self) -> list[str]:
        found = sorted(self.folder.glob(f"*{hub.SAFETENSORS}{hub.INDEX}"))
        indices = [path.name.removesuffix(hub.INDEX) for path in found]
        others = [path.name for path in sorted(self.folder.glob(f"*{hub.SAFETENSORS}")) if path.name not in WEIGHTS]
        if len(others) > 1 and not indices and not any((self.folder / name).is_file() for name in WEIGHTS):
            raise PretrainedError(
                f"{self.folder} holds {len(others)} files of weights ({others[0]}, ...) and no {WEIGHTS[0]}{hub.INDEX} "
                "that lists them as shards"
            )
        return [*WEIGHTS, *indices, *others]

    def tokens(self) -> PretrainedTokenizer:
        """Its tokens; raises PretrainedError."""
        text_cfg = self.config["model"]["text_cfg"]
        try:
            with reading(self.folder, "open_clip"):
                tokenizer = open_clip.tokenizer.HFTokenizer(
                    str(self.folder),
                    context_length=text_kind(self.config).context,
                    tokenizer_mode=text_cfg.get("tokenizer_mode"),
                    local_files_only=True,
                    trust_remote_code=False,
                    **(text_cfg.get("tokenizer_kwargs") or {}),
                )
        except TypeError as error:  # an entry of tokenizer_kwargs that open_clip does not know
            raise PretrainedError(f"{self.folder}: open_clip cannot load its tokenizer: {error}") from None
        return PretrainedTokenizer.from_open_clip(tokenizer)

    def check(self) -> None:
        """Refuse what cannot be used, without reading weights; raises PretrainedError."""
        where = self.folder / CARD
        image_kind(self.config).check(where)
        of_open_clip(self.config["preprocess"], where)
        hub.check_files(self.folder, self._weight_names, "the checkpoint's")


def parts(folder: Path, card: Mapping[str, Any] | None = None) -> OpenClipParts:
    """The parts of the checkpoint in `folder`, configured by `card` or its own open_clip_config.json.

    Raises:
        PretrainedError: it is another architecture, or something that is not supported.
    """
    where = folder / CARD
    if card is None and not where.is_file():
        raise PretrainedError(_another(folder))
    card = hub.read_json(where) if card is None else card
    if "model_cfg" not in card:
        raise PretrainedError(f"{where} has no model_cfg")
    model = copy.deepcopy(card["model_cfg"])
    model.pop("custom_text", None)
    for key in ("embed_dim", "vision_cfg", "text_cfg"):
        if key not in model:
            raise PretrainedError(f"{where}: model_cfg has no {key}")
    if "multimodal_cfg" in model:
        raise PretrainedError(f"{where}: a CoCa model, which also writes captions, is not supported")
    text_cfg, vision_cfg = model["text_cfg"], model["vision_cfg"]
    text_cfg["output_tokens"] = vision_cfg["output_tokens"] = False
    if "timm_model_name" in vision_cfg:
        vision_cfg["timm_model_pretrained"] = False
    if text_cfg.get("embed_cls"):
        raise PretrainedError(f"{where}: text_cfg.embed_cls is true, which is not supported")
    hf_name = text_cfg.get("hf_model_name")
    if hf_name:
        text_cfg["hf_model_pretrained"] = False
    elif not text_cfg.get("hf_tokenizer_name"):
        raise PretrainedError(f"{where}: text is read by open_clip's English tokenizer, which is not supported")
    config: dict[str, Any] = {"model": without_dropout(model), "preprocess": _preprocess(card, vision_cfg)}
    assumed, is_known = _unstated(card, config["preprocess"]), False
    if hf_name:
        config["text"], is_known = _hf_config(folder, hf_name, where)
        if is_known:
            assumed.append(f"the text encoder's configuration is that of {hf_name}, by its name")
    return OpenClipParts(folder, config, card, tuple(assumed), is_known)


def _unstated(card: Mapping[str, Any], preprocess: Mapping[str, Any]) -> list[str]:
    """What a card leaves to open_clip's defaults of how texts and images are read."""
    text_cfg, declared = card["model_cfg"]["text_cfg"], card.get("preprocess_cfg") or {}
    found = []
    if text_cfg.get("context_length") is None:
        found.append(f"texts are cut at {DEFAULT_CONTEXT} tokens, open_clip's default")
    if (text_cfg.get("tokenizer_kwargs") or {}).get("clean") is None:
        found.append("texts keep their capitals (clean is whitespace), open_clip's default")
    keys = [key for key in IMAGE_KEYS if declared.get(key) is None]
    if keys:
        values = ", ".join(f"{key} {preprocess[key]}" for key in keys)
        found.append(f"images are read with {values}, open_clip's default")
    return found


def _another(folder: Path) -> str:
    """Says what a folder without open_clip_config.json holds."""
    return f"{folder} holds no {CARD}: {hub.described(folder) or 'it is no checkpoint of open_clip'}"


def _preprocess(card: Mapping[str, Any], vision_cfg: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = merge_preprocess_dict(asdict(PreprocessCfg()), card.get("preprocess_cfg") or {})
    # As the library does: the tower's size, whatever the preprocessing says.
    return {**merged, "size": vision_cfg.get("image_size", 224)}


def _hf_config(folder: Path, name: str, where: Path) -> tuple[dict[str, Any], bool]:
    """The text encoder's configuration: the folder's own config.json, or the known one of that name, and whether it
    is that."""
    own, known = folder / "config.json", HF_CONFIGS / f"{Path(name).name}.json"
    declared = hub.read_json(own) if own.is_file() else {}
    is_known = False
    if declared.get("model_type") in (None, "clip", "siglip"):  # the same model, converted to transformers
        if not known.is_file():
            raise PretrainedError(
                f"{where}: the text tower is {name!r} of transformers; put its config.json into {folder}"
            )
        declared, is_known = hub.read_json(known), True
    check_encoder(declared["model_type"], where)
    full = encoder_config(declared, where)
    if full["model_type"] == "m2m_100":
        full["decoder_layers"] = 0  # built by the library, and thrown away
    return full, is_known
