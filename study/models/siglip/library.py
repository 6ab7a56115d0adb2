"""The probe batch as transformers itself reads and embeds it, for SigLIP checkpoints."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from study.models import probe, torchvision_ops
from study.models.tokenizers.handling import CLEANING
from study.models.tokenizers.loading import has_sentencepiece, transformers_reader
from study.models.weights import quietly

torchvision_ops.ensure()

import transformers  # noqa: E402 (needs torchvision's operators)

LIBRARY = f"transformers {version('transformers')}"


def outputs(folder: Path, context: int) -> probe.Outputs:
    """The batch, by what transformers makes of the folder; texts are padded to `context` tokens."""
    ids = tokenizer(folder)(
        list(probe.TEXTS), padding="max_length", max_length=context, truncation=True, return_tensors="pt"
    ).input_ids
    # The default processor resizes by torchvision, whose rounding differs from Pillow's by a level.
    processor: Any = transformers.SiglipImageProcessorPil
    pixels = processor.from_pretrained(folder, local_files_only=True)(list(probe.images()), return_tensors="pt")
    loader: Any = transformers.AutoModel
    with quietly():
        model = loader.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=torch.float32
        ).eval()
    seen = pixels["pixel_values"]
    texts = model.get_text_features(ids[: probe.READ]).pooler_output
    return probe.Outputs(ids, seen, texts, model.get_image_features(seen[: probe.SEEN]).pooler_output)


def tokenizer(folder: Path) -> Any:
    """The library's tokenizer of a SigLIP: SentencePiece's where the files name it, and it can be read."""
    reader = transformers_reader(str(folder), {})
    slow: Any = transformers.SiglipTokenizer if reader.clean != "none" and has_sentencepiece(folder) else None
    read = (slow or reader.kind).from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if slow or reader.clean == "none":
        return read
    return lambda texts, **settings: read([CLEANING[reader.clean](text) for text in texts], **settings)
