"""The CLIP family as a transformers folder: the weights of open_clip's towers under the names of CLIPModel."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from study.export import ExportError
from study.export.clip import PREFIX
from study.export.sentence_files import write_sentence_files
from study.export.tokenizer import write_tokenizer
from study.models.dual_encoder import DualEncoder
from study.models.open_clip.clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD, Clip
from study.models.tokenizers.vocabulary import BOS, EOS, PAD
from study.models.weights import quietly

LOAD = """\
from PIL import Image
from transformers import AutoModel, AutoProcessor
image, texts = Image.open("photo.png"), ["a red apple", "ein roter Apfel"]
model, processor = AutoModel.from_pretrained("{folder}"), AutoProcessor.from_pretrained("{folder}")
inputs = processor(text=texts, images=image, return_tensors="pt")
logits = model(**inputs).logits_per_image"""

BICUBIC = 3
"""PIL's number."""
TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "pad_id", "eos_id", "pool_type"}
IMAGE = {"image_size", "patch_size", "layers", "width", "head_width", "mlp_ratio"}
MODEL = {"embed_dim", "quick_gelu", "text_cfg", "vision_cfg"}
"""What a configuration of open_clip may set for CLIPModel to have it; anything else is another architecture."""

TOWERS = {"visual": "vision_model", "text": "text_model"}
PARTS = {
    "conv1": "embeddings.patch_embedding",
    "class_embedding": "embeddings.class_embedding",
    "token_embedding": "embeddings.token_embedding",
    "ln_pre": "pre_layrnorm",  # transformers' own spelling
    "ln_post": "post_layernorm",
    "ln_final": "final_layer_norm",
}
BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def load(model: DualEncoder, folder: str) -> str:
    return LOAD.format(folder=folder)


def remarks(model: DualEncoder, texts: pd.DataFrame) -> list[str]:
    return [
        "The same weights as open_clip's towers, under the names of transformers' `CLIPModel`. The tokenizer's files "
        "hold the study's handling of texts, and nothing cleans texts before them.",
        "Images that are not of the tower's size are resized by torchvision, whose rounding differs from Pillow's, by "
        "which the scores here were measured, by one level of 255 at most.",
    ]


def write(model: DualEncoder, folder: Path) -> None:
    """Write config.json, model.safetensors, the processor's, the tokenizer's and sentence-transformers' files.

    Raises:
        ExportError: CLIPModel has no such towers.
    """
    assert isinstance(model, Clip)
    from transformers import CLIPModel

    theirs = CLIPModel(_config(model.config))
    theirs.load_state_dict(_state(model), strict=True)
    with quietly():
        theirs.save_pretrained(folder)
    size = model.fit.size
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "CLIPProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": size},
        "resample": BICUBIC,
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(OPENAI_DATASET_MEAN),
        "image_std": list(OPENAI_DATASET_STD),
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
    fixed = {"padding": "max_length", "truncation": True, "max_length": model.context}
    write_tokenizer(model.vocabulary, model.context, bos=True, folder=folder, processor_class="CLIPProcessor", **fixed)
    write_sentence_files(folder, model.embedding_width)


def _config(declared: Mapping[str, Any]) -> Any:
    """transformers' CLIPConfig of a configuration of open_clip."""
    from transformers import CLIPConfig

    text, image = declared["text_cfg"], declared["vision_cfg"]
    for name, block, known in (("", declared, MODEL), ("text_cfg.", text, TEXT), ("vision_cfg.", image, IMAGE)):
        if other := sorted(set(block) - known):
            raise ExportError(
                f"transformers' CLIPModel has nothing for {name}{other[0]} of open_clip's configuration "
                f"({json.dumps(block[other[0]])}); export to open_clip"
            )
    if not isinstance(image["layers"], int):
        raise ExportError("transformers' CLIPModel has no ResNet as image tower; export to open_clip")
    common = {
        "projection_dim": declared["embed_dim"],
        "hidden_act": "quick_gelu" if declared.get("quick_gelu") else "gelu",
    }
    ids = {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS}
    return CLIPConfig(
        projection_dim=declared["embed_dim"],
        text_config={
            **common,
            **ids,
            "vocab_size": text["vocab_size"],
            "hidden_size": text["width"],
            "intermediate_size": int(text["width"] * text.get("mlp_ratio", 4.0)),
            "num_hidden_layers": text["layers"],
            "num_attention_heads": text["heads"],
            "max_position_embeddings": text["context_length"],
        },
        vision_config={
            **common,
            "image_size": image["image_size"],
            "patch_size": image["patch_size"],
            "hidden_size": image["width"],
            "intermediate_size": int(image["width"] * image.get("mlp_ratio", 4.0)),
            "num_hidden_layers": image["layers"],
            "num_attention_heads": image["width"] // image.get("head_width", 64),
        },
    )


def _state(model: Clip) -> dict[str, Tensor]:
    """The weights as CLIPModel names and lays them out."""
    out: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        out |= _renamed(name.removeprefix(PREFIX), tensor.detach().cpu())
    return {name: tensor.contiguous() for name, tensor in out.items()}


def _renamed(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """One weight of open_clip's CustomTextCLIP as the one, or the three, of CLIPModel."""
    if name == "logit_scale":
        return {name: tensor}
    tower, part = name.split(".", 1)
    theirs = TOWERS[tower]
    if part in ("proj", "text_projection"):  # matrices that are multiplied from the right; transformers has layers
        return {f"{'visual' if tower == 'visual' else 'text'}_projection.weight": tensor.T}
    if part == "positional_embedding":
        return {f"{theirs}.embeddings.position_embedding.weight": tensor}
    if block := re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)", part):
        layer, inner = f"{theirs}.encoder.layers.{block[1]}.", block[2]
        if inner.startswith("attn.in_proj_"):
            kind = inner.removeprefix("attn.in_proj_")
            thirds = zip("qkv", torch.chunk(tensor, 3), strict=True)
            return {f"{layer}self_attn.{letter}_proj.{kind}": third for letter, third in thirds}
        stem, kind = inner.rsplit(".", 1)
        return {f"{layer}{BLOCK[stem]}.{kind}": tensor}
    stem, dot, kind = part.partition(".")
    return {f"{theirs}.{PARTS[stem]}{dot}{kind}": tensor}
