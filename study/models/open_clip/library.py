"""The probe batch as open_clip itself reads and embeds it."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from study.models import probe, torchvision_ops
from study.models.open_clip.files import CARD, OpenClipParts
from study.models.weights import read_weights

torchvision_ops.ensure()

import open_clip  # noqa: E402 (needs torchvision's operators)
from open_clip.transform import PreprocessCfg, image_transform_v2  # noqa: E402

LIBRARY = f"open_clip {version('open_clip_torch')}"
SMALL = (".json", ".txt", ".model")
"""Endings of a tokenizer's files."""


def outputs(parts: OpenClipParts) -> probe.Outputs:
    """The batch, by what open_clip makes of the checkpoint in its `local-dir:` layout."""
    with TemporaryDirectory() as scratch:
        where = f"local-dir:{_folder(parts, Path(scratch))}"
        whole = len(parts.weights) == 1
        model = open_clip.create_model(where, load_weights=whole, pretrained_text=False)
        if not whole:  # the library reads no shards
            _load(model, parts)
        tokenizer: Any = open_clip.get_tokenizer(where, trust_remote_code=False, local_files_only=True)
        ids = tokenizer(list(probe.TEXTS))
    transform: Any = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    pixels = torch.stack([transform(image) for image in probe.images()])
    model.eval()
    texts, images = model.encode_text(ids[: probe.READ]), model.encode_image(pixels[: probe.SEEN])
    return probe.Outputs(ids, pixels, texts, images)


def _load(model: Any, parts: OpenClipParts) -> None:
    state = read_weights(*parts.weights)
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = open_clip.model.convert_to_custom_text_state_dict(state)
    model.load_state_dict(state)


def _folder(parts: OpenClipParts, scratch: Path) -> Path:
    """The checkpoint's files beside a card that names this folder for the text encoder: the library looks for it on
    the hub. Pickles stay out: the library prefers some of them."""
    for file in (*parts.folder.iterdir(), *(parts.weights if len(parts.weights) == 1 else ())):
        if (file.suffix in SMALL and file.name != CARD) or file in parts.weights:
            link = scratch / file.name
            if not link.is_symlink():
                link.symlink_to(file.resolve())
    card = json.loads(json.dumps(parts.card))
    text_cfg = card["model_cfg"]["text_cfg"]
    if "text" in parts.config:
        text_cfg.update(hf_model_name=str(scratch), hf_model_pretrained=False)
        if parts.encoder_is_known or parts.config["text"]["model_type"] == "m2m_100":
            # The library would build the decoder of an M2M100, too, and throw it away.
            config = scratch / "config.json"
            config.unlink(missing_ok=True)
            config.write_text(json.dumps(parts.config["text"]), encoding="utf-8")
    (scratch / CARD).write_text(json.dumps(card), encoding="utf-8")
    return scratch
