"""The SigLIP2 family as a transformers folder: AutoModel, AutoProcessor, AutoTokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from study.export.sentence_files import OLDEST, write_sentence_files
from study.export.tokenizer import write_tokenizer
from study.models.dual_encoder import DualEncoder
from study.models.siglip.siglip2 import Siglip2
from study.models.weights import quietly

LOAD = """\
from PIL import Image
from transformers import AutoModel, AutoProcessor
image, texts = Image.open("photo.png"), ["a red apple", "ein roter Apfel"]
model, processor = AutoModel.from_pretrained("{folder}"), AutoProcessor.from_pretrained("{folder}")
inputs = processor(text=texts, images=image, padding="max_length", truncation=True, return_tensors="pt")
logits = model(**inputs).logits_per_image"""

BILINEAR = 2
"""PIL's number; the published SigLIP2 checkpoints resize so."""


def load(model: DualEncoder, folder: str) -> str:
    return LOAD.format(folder=folder)


def remarks(model: DualEncoder, texts: pd.DataFrame) -> list[str]:
    return [
        f"Texts must be padded to the full {model.context} tokens (`padding='max_length'`), without an attention mask: "
        "features are read at the last position. The processor does so by default, and so does sentence-transformers "
        f"({OLDEST} or newer), as modules.json and its files here tell it; `AutoTokenizer` alone does not.",
        "transformers 5.23 says of any SigLIP that it loads that the token ids 49406 and 49407 lie outside the "
        "vocabulary. It means defaults of its own, which this model does not use.",
        "transformers' zero-shot pipeline pads every SigLIP to 64 tokens: pass it "
        f"`tokenizer_kwargs={{'max_length': {model.context}}}`.",
    ]


def write(model: DualEncoder, folder: Path) -> None:
    """Write config.json, model.safetensors, the processor's, the tokenizer's and sentence-transformers' files."""
    assert isinstance(model, Siglip2)
    with quietly():
        model.model.save_pretrained(folder)
    size = model.config["vision_config"]["image_size"]
    processor = {
        "image_processor_type": "SiglipImageProcessor",
        "processor_class": "SiglipProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": size, "width": size},
        "resample": BILINEAR,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
    # The features are read at the last position, so a text that is not padded to the full length is another
    # text. A processor takes these as its defaults.
    fixed = {"padding": "max_length", "truncation": True, "max_length": model.context}
    write_tokenizer(
        model.vocabulary, model.context, bos=False, folder=folder, processor_class="SiglipProcessor", **fixed
    )
    write_sentence_files(folder, model.embedding_width)
