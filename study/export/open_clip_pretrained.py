"""Published checkpoints of open_clip, and students of them, as open_clip's `local-dir:` folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.torch import save_file
from torch import Tensor

from study.export import ExportError
from study.export.clip import LOAD
from study.export.pretrained_tokenizer import write_published_tokenizer
from study.models.dual_encoder import DualEncoder
from study.models.open_clip.images import DEPTH
from study.models.open_clip.pretrained import OpenClip
from study.models.tokenizers.handling import OPEN_CLIP
from study.models.tokenizers.pretrained import PretrainedTokenizer

PREFIX = "model."
"""Of the library's own module in our state dict."""

LOAD_HF_TEXT = """\
import json, open_clip
from PIL import Image
image, texts, folder = Image.open("photo.png"), ["a red apple", "ein roter Apfel"], "{folder}"
text_cfg = json.load(open(folder + "/open_clip_config.json"))["model_cfg"]["text_cfg"]
text_cfg.update(hf_model_name=folder, hf_model_pretrained=False)  # its config.json; open_clip would ask the hub
model, preprocess = open_clip.create_model_from_pretrained("local-dir:" + folder, text_cfg=text_cfg)
model.eval()
tokenizer = open_clip.get_tokenizer("local-dir:" + folder)
similarity = model.encode_image(preprocess(image)[None], True) @ model.encode_text(tokenizer(texts), True).T"""


def load(model: DualEncoder, folder: str) -> str:
    lines = LOAD_HF_TEXT if "text" in model.config else LOAD
    return lines.format(folder=folder)


def remarks(model: DualEncoder, texts: pd.DataFrame) -> list[str]:
    if "text" not in model.config:
        return []
    return [
        "The text tower is an encoder of transformers, whose configuration is this folder's config.json. open_clip "
        "knows no folder for it: pass `text_cfg` as above."
    ]


def write(model: DualEncoder, folder: Path) -> None:
    """Write open_clip_config.json, open_clip_model.safetensors, config.json of a text encoder, and the tokenizer."""
    assert isinstance(model, OpenClip)
    if DEPTH in model.config:
        name = model.config["model"]["vision_cfg"]["timm_model_name"]
        raise ExportError(f"open_clip has no image tower {name!r} of {model.config[DEPTH]} layers, only the whole one")
    state = {name.removeprefix(PREFIX): tensor for name, tensor in model.state_dict().items()}
    write_folder(folder, model.config, state, model.vocabulary, model.context)


def write_folder(
    folder: Path, config: Mapping[str, Any], state: Mapping[str, Tensor], tokens: PretrainedTokenizer, context: int
) -> None:
    """Write the folder of a `config` as the open_clip family has it, with weights as CustomTextCLIP names them."""
    model: dict[str, Any] = {**config["model"], "custom_text": True}  # the class whose state dict this is
    text_cfg = model["text_cfg"]
    cleaning = tokens.handling.clean.removeprefix("open_clip ")
    # Any name makes open_clip read the tokenizer beside the config; left out, it takes its own English one.
    text_cfg["hf_tokenizer_name"] = "tokenizer.json"
    text_cfg["tokenizer_kwargs"] = {"clean": cleaning} if cleaning in OPEN_CLIP else {}
    text_cfg.pop("tokenizer_mode", None)
    card = {"model_cfg": model, "preprocess_cfg": config["preprocess"]}
    (folder / "open_clip_config.json").write_text(json.dumps(card, indent=2) + "\n")
    if "text" in config:
        (folder / "config.json").write_text(json.dumps(config["text"], indent=2) + "\n")
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    save_file(kept, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    write_published_tokenizer(tokens, context, folder)
