"""Published SigLIP checkpoints of transformers, and students of them, as a transformers folder."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from study.export.pretrained_tokenizer import write_published_tokenizer
from study.export.sentence_files import write_sentence_files
from study.export.siglip2 import LOAD
from study.export.siglip2 import remarks as about_padding
from study.models.dual_encoder import DualEncoder
from study.models.siglip.pretrained import Siglip
from study.models.weights import quietly


def load(model: DualEncoder, folder: str) -> str:
    return LOAD.format(folder=folder)


def remarks(model: DualEncoder, texts: pd.DataFrame) -> list[str]:
    return [
        *about_padding(model, texts),
        "Images that are not of the tower's size are resized by torchvision, whose rounding differs from Pillow's, by "
        "which the scores here were measured, by one level of 255 at most.",
    ]


def write(model: DualEncoder, folder: Path) -> None:
    """Write config.json, model.safetensors, the processor's, the tokenizer's and sentence-transformers' files."""
    assert isinstance(model, Siglip)
    with quietly():
        model.model.save_pretrained(folder)
    processor = {
        **model.config["processor"],
        "image_processor_type": "SiglipImageProcessor",
        "processor_class": "SiglipProcessor",
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
    # Features are read at the last position, so a text is always padded; a processor takes these as its defaults.
    fixed = {"padding": "max_length", "truncation": True, "max_length": model.context}
    write_published_tokenizer(
        model.vocabulary,
        model.context,
        folder,
        processor_class="SiglipProcessor",
        model_input_names=["input_ids"],  # no attention mask: the tower was trained without
        **fixed,
    )
    write_sentence_files(folder, model.embedding_width)
