"""The SigLIP2 family as a transformers folder: AutoModel, AutoProcessor, AutoTokenizer."""

from __future__ import annotations

import json
from pathlib import Path

from study.export.tokenizer import write_tokenizer
from study.towers.protocol import DualEncoder
from study.towers.siglip2 import Siglip2

BILINEAR = 2
"""PIL's number; the published SigLIP2 checkpoints resize so."""


def write(model: DualEncoder, folder: Path) -> None:
    """Write config.json, model.safetensors, preprocessor_config.json and the tokenizer's files."""
    assert isinstance(model, Siglip2)
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
