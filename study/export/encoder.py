"""A student beside a published text encoder as open_clip's `local-dir:` folder, if its image tower is open_clip's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from study.export import ExportError
from study.export.clip import reads_otherwise
from study.export.open_clip_pretrained import LOAD_HF_TEXT, write_folder
from study.models.dual_encoder import DualEncoder
from study.models.open_clip.images import DEPTH
from study.models.open_clip.pretrained import OpenClip
from study.models.open_clip.text import ENCODERS
from study.models.text_encoder.student import EncoderStudent

POOLERS = {"mean": "mean_pooler", "cls": "cls_last_hidden_state_pooler"}


def load(model: DualEncoder, folder: str) -> str:
    return LOAD_HF_TEXT.format(folder=folder)


def remarks(model: DualEncoder, texts: pd.DataFrame) -> list[str]:
    shares = reads_otherwise(model, texts)
    changed = ", ".join(f"{language} {share:.0%}" for language, share in sorted(shares.items()))
    return [
        "The text tower is an encoder of transformers, whose configuration is this folder's config.json. open_clip "
        "knows no folder for it: pass `text_cfg` as above.",
        "open_clip cleans texts before any tokenizer sees them (`ftfy`, HTML entities, runs of spaces). The scores "
        f"here were measured without. Of the scored texts it changes the token ids of: {changed or 'none'}.",
    ]


def write(model: DualEncoder, folder: Path) -> None:
    """Write the folder; raises ExportError where open_clip has no such towers."""
    assert isinstance(model, EncoderStudent)
    eyes, encoder = model.eyes, model.config["encoder"]
    if not isinstance(eyes, OpenClip):
        raise ExportError(
            f"a text encoder beside an image tower of the family {eyes.family} is a model of no library: "
            "open_clip takes its own image towers only, transformers no encoder at all"
        )
    if encoder["model_type"] not in ENCODERS or DEPTH in eyes.config:
        raise ExportError(
            f"open_clip has no model of a {encoder['model_type']} and that image tower; its text encoders are "
            f"{', '.join(ENCODERS)}, its towers of timm are whole"
        )
    config: dict[str, Any] = {**eyes.config, "text": encoder}
    config["model"]["text_cfg"] = {
        "hf_model_name": "config.json",
        "hf_model_pretrained": False,
        "hf_pooler_type": POOLERS[model.config["pooling"]],
        "hf_proj_type": "linear",
        "context_length": model.context,
    }
    state = {name.removeprefix("eyes.model."): tensor for name, tensor in model.state_dict().items()}
    moved = {"text.encoder.": "text.transformer.", "text.projection.": "text.proj."}
    for old, new in moved.items():
        state = {new + name.removeprefix(old) if name.startswith(old) else name: t for name, t in state.items()}
    write_folder(folder, config, state, model.vocabulary, model.context)
