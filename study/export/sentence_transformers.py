"""A transformers folder that sentence-transformers, and with it MTEB, loads as it is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from study.export.sentence_files import OLDEST
from study.models.dual_encoder import DualEncoder

LOAD = """\
from PIL import Image
from sentence_transformers import SentenceTransformer
image, texts = Image.open("photo.png"), ["a red apple", "ein roter Apfel"]
model = SentenceTransformer("{folder}")
similarity = model.similarity(model.encode([image]), model.encode(texts))"""


def load(model: DualEncoder, folder: str) -> str:
    return LOAD.format(folder=folder)


def remarks(model: DualEncoder, texts: pd.DataFrame) -> list[str]:
    return [
        f"sentence-transformers {OLDEST} or newer, with stock modules; older ones refuse the folder. Texts are padded "
        f"to the full {model.context} tokens, whatever they are encoded with, and embeddings have length 1.",
        "It is a transformers folder, too: AutoModel and AutoProcessor load it.",
        "Images that are not of the tower's size are resized by torchvision, whose rounding differs from Pillow's, by "
        "which the scores here were measured, by one level of 255 at most.",
    ]


def write(model: DualEncoder, folder: Path) -> None:
    """Write the family's transformers folder, which holds sentence-transformers' files."""
    from study.export import target

    target("transformers", model.family).write(model, folder)
