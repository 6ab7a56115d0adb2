"""What makes a transformers folder a sentence-transformers one, too: the same weights, without code of ours.

Left to itself, sentence-transformers pads a batch to its longest text and gives features that are not of length 1.
SigLIP reads its features at the last of all positions, so that gives other embeddings, without a word.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OLDEST = "5.4"
"""The first sentence-transformers with these modules; an older one refuses the folder, as it knows no such module."""

MODULES = "sentence_transformers.sentence_transformer.modules"
NORMALIZE = "1_Normalize"


def write_sentence_files(folder: Path, width: int) -> None:
    """Write modules.json and what it names into `folder`, which holds a model with get_text_features and its processor.

    Texts are padded to the full context whatever is encoded with them, and embeddings have length 1.
    `width` is that of an embedding: sentence-transformers reads it in config.json and else takes the text tower's.
    """
    config = folder / "config.json"
    _write(config, {**json.loads(config.read_text(encoding="utf-8")), "projection_dim": width})
    modules = [("", "Transformer"), (NORMALIZE, "Normalize")]
    declared = [
        {"idx": index, "name": str(index), "path": path, "type": f"{MODULES}.{kind}"}
        for index, (path, kind) in enumerate(modules)
    ]
    _write(folder / "modules.json", declared)
    _write(
        folder / "sentence_bert_config.json",
        {
            "transformer_task": "feature-extraction",
            "modality_config": {
                kind: {"method": f"get_{kind}_features", "method_output_name": "pooler_output"}
                for kind in ("text", "image")
            },
            "module_output_name": "sentence_embedding",
            "processing_kwargs": {"text": {"padding": "max_length", "truncation": True}},
        },
    )
    _write(
        folder / "config_sentence_transformers.json",
        {"model_type": "SentenceTransformer", "prompts": {}, "similarity_fn_name": "cosine"},
    )
    (folder / NORMALIZE).mkdir()
    _write(
        folder / NORMALIZE / "config.json",
        {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"},
    )


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
