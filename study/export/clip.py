"""The CLIP family as open_clip's `local-dir:` (and `hf-hub:`) folder."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from safetensors.torch import save_file

from study.export.tokenizer import write_tokenizer
from study.models.dual_encoder import DualEncoder
from study.models.open_clip.clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD, Clip

LOAD = """\
import open_clip
from PIL import Image
image, texts = Image.open("photo.png"), ["a red apple", "ein roter Apfel"]
model, preprocess = open_clip.create_model_from_pretrained("local-dir:{folder}")
model.eval()
tokenizer = open_clip.get_tokenizer("local-dir:{folder}")
similarity = model.encode_image(preprocess(image)[None], True) @ model.encode_text(tokenizer(texts), True).T"""

PREFIX = "model."
"""Of the library's own module in our state dict."""


def load(model: DualEncoder, folder: str) -> str:
    return LOAD.format(folder=folder)


def remarks(model: DualEncoder, texts: pd.DataFrame) -> list[str]:
    shares = reads_otherwise(model, texts)
    most = sorted(shares, key=lambda language: -shares[language])
    changed = ", ".join(f"{language} {shares[language]:.0%}" for language in most)
    return [
        "open_clip cleans texts before any tokenizer sees them (`ftfy`: curly quotes, full-width characters; HTML "
        "entities; runs of spaces), and that cannot be turned off. The scores here were measured without. Of the "
        f"scored texts it changes the token ids of: {changed or 'none'}.",
        "`tokenizer.tokenizer(texts, padding='max_length', truncation=True, return_tensors='pt').input_ids` leaves the "
        "cleaning out and gives the study's ids for every text.",
    ]


def reads_otherwise(model: DualEncoder, texts: pd.DataFrame) -> dict[str, float]:
    """Share of the texts whose ids open_clip changes by cleaning them before it calls any tokenizer.

    `texts` has the columns language and text; languages without such texts are left out.
    """
    from open_clip.tokenizer import get_clean_fn  # importable once our tower is

    clean = get_clean_fn("whitespace")  # its HFTokenizer's default; none of its choices leaves texts alone
    rows = texts.drop_duplicates().reset_index(drop=True)
    cleaned = [clean(text) for text in rows["text"]]
    other = (model.tokenize(rows["text"].tolist()) != model.tokenize(cleaned)).any(dim=1)
    shares = rows.assign(other=other.numpy()).groupby("language")["other"].mean()
    return {str(language): float(share) for language, share in shares.items() if share > 0}


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
