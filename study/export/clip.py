"""The CLIP family as open_clip's `local-dir:` (and `hf-hub:`) folder."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from study.export.tokenizer import write_tokenizer
from study.towers.clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD, Clip
from study.towers.protocol import DualEncoder

PREFIX = "model."
"""Of the library's own module in our state dict."""


def write(model: DualEncoder, folder: Path) -> None:
    """Write open_clip_config.json, open_clip_model.safetensors and the tokenizer's files."""
    assert isinstance(model, Clip)
    config = model.config
    config["custom_text"] = True  # the class whose state dict this is
    # Any name makes open_clip read the tokenizer beside the config; left out, it takes its own English one.
    config["text_cfg"]["hf_tokenizer_name"] = "tokenizer.json"
    size = config["vision_cfg"]["image_size"]
    preprocess = {
        "size": size,
        "mode": "RGB",
        "mean": list(OPENAI_DATASET_MEAN),
        "std": list(OPENAI_DATASET_STD),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
        "fill_color": 0,
    }
    card = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(card, indent=2) + "\n")
    state = {
        name.removeprefix(PREFIX): tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    save_file(state, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    write_tokenizer(model.vocabulary, model.context, bos=True, folder=folder)
