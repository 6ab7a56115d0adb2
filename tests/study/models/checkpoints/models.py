"""Tiny checkpoints with random weights in the formats in which large ones are published.

Each builder fills `folder`, given a folder `tokenizer` with the tokenizer's files; the libraries write the
rest. Offline, in about a second.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn

from study.seeds import torch_stream
from tests.study.models.checkpoints.tokenizers import (
    write_gemma,
    write_nllb,
    write_siglip_multilingual,
    write_xlm_roberta,
)

WIDTH, LAYERS, HEADS = 64, 4, 4
EMBED = 48
IMAGE = {"image_size": 32, "layers": 3, "width": 64, "head_width": 16, "patch_size": 8, "mlp_ratio": 2.0}
CLIP_PIXELS = {
    "size": 32,
    "mode": "RGB",
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}
SIGLIP_PIXELS = {**CLIP_PIXELS, "mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"}


Builder = Callable[[Path, Path], Path]


def rows(folder: Path) -> int:
    """Rows that a token table needs for the tokenizer in `folder`."""
    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    return max(vocabulary.values()) + 1


def stir(model: nn.Module, name: str) -> None:
    """Random values everywhere: libraries leave some at zero or one, where a lost weight would not show."""
    with torch.no_grad(), torch_stream("test", "stir", name):
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def copy_tokenizer(tokenizer: Path, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(tokenizer, folder, dirs_exist_ok=True)
    return rows(folder)


def open_clip_folder(folder: Path, model_cfg: dict[str, Any], preprocess_cfg: dict[str, Any]) -> None:
    """open_clip_config.json and open_clip_model.safetensors, as open_clip's `push_to_hf_hub` writes them."""
    import open_clip

    write_json(folder / "open_clip_config.json", {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg})
    with torch_stream("test", folder.name):
        model = open_clip.create_model(f"local-dir:{folder}", load_weights=False, **local_text(folder))
    stir(model, folder.name)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors", metadata={"format": "pt"})


def local_text(folder: Path) -> dict[str, Any]:
    """Arguments by which open_clip takes a text tower of transformers from the folder, not from the hub."""
    text_cfg = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    if "hf_model_name" not in text_cfg:
        return {}
    return {"text_cfg": {**text_cfg, "hf_model_name": str(folder), "hf_model_pretrained": False}}


def open_clip_xlm_roberta(folder: Path, tokenizer: Path, spare_rows: int = 0) -> Path:
    """As xlm-roberta-base-ViT-B-32: mean pooling, two-layer projection, softmax."""
    table = copy_tokenizer(tokenizer, folder) + spare_rows
    text = {
        "model_type": "xlm-roberta",
        "vocab_size": table,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": WIDTH,
        "max_position_embeddings": 82,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    write_json(folder / "config.json", text)
    text_cfg = {
        "hf_model_name": "xlm-roberta-base",
        "hf_tokenizer_name": "xlm-roberta-base",
        "hf_pooler_type": "mean_pooler",
    }
    open_clip_folder(folder, {"embed_dim": EMBED, "vision_cfg": IMAGE, "text_cfg": text_cfg}, CLIP_PIXELS)
    return folder


def open_clip_nllb(folder: Path, tokenizer: Path, spare_rows: int = 2) -> Path:
    """As nllb-clip-base-siglip: M2M100's encoder read at its first token, linear projection, sigmoid."""
    table = copy_tokenizer(tokenizer, folder) + spare_rows
    text = {
        "model_type": "m2m_100",
        "is_encoder_decoder": True,
        "vocab_size": table,
        "d_model": WIDTH,
        "encoder_layers": LAYERS,
        "decoder_layers": 1,
        "encoder_attention_heads": HEADS,
        "decoder_attention_heads": HEADS,
        "encoder_ffn_dim": WIDTH,
        "decoder_ffn_dim": WIDTH,
        "encoder_layerdrop": 0,
        "decoder_layerdrop": 0,
        "max_position_embeddings": 82,
        "activation_function": "relu",
        "scale_embedding": True,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    write_json(folder / "config.json", text)
    text_cfg = {
        "hf_model_name": "facebook/nllb-200-distilled-600M",
        "hf_tokenizer_name": "facebook/nllb-200-distilled-600M",
        "hf_proj_type": "linear",
        "hf_pooler_type": "cls_pooler",
    }
    model = {"embed_dim": EMBED, "init_logit_bias": -10, "custom_text": True, "vision_cfg": IMAGE}
    open_clip_folder(folder, {**model, "text_cfg": text_cfg}, SIGLIP_PIXELS)
    return folder


def open_clip_siglip2(folder: Path, tokenizer: Path) -> Path:
    """As ViT-B-16-SigLIP2-256: a ViT of timm with attention pooling, open_clip's own text tower read at the end."""
    text_cfg = {
        "context_length": 64,
        "vocab_size": copy_tokenizer(tokenizer, folder),
        "hf_tokenizer_name": "timm/ViT-B-16-SigLIP2-256",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "width": WIDTH,
        "heads": HEADS,
        "layers": LAYERS,
        "mlp_ratio": 1.0,
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
        "act_kwargs": {"approximate": "tanh"},
    }
    vision_cfg = {
        "image_size": 160,
        "timm_model_name": "test_vit",
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    }
    model = {"embed_dim": WIDTH, "init_logit_bias": -10, "custom_text": True, "vision_cfg": vision_cfg}
    open_clip_folder(folder, {**model, "text_cfg": text_cfg}, {**SIGLIP_PIXELS, "size": 160})
    return folder


def open_clip_native(folder: Path, tokenizer: Path) -> Path:
    """As ViT-H-14-worldwide: CLIP with a multilingual tokenizer, causal, read at eos, saved as open_clip's `CLIP`."""
    text_cfg = {
        "context_length": 40,
        "vocab_size": copy_tokenizer(tokenizer, folder),
        "hf_tokenizer_name": "facebook/xlm-v-base",
        "pool_type": "eos",
        "eos_id": 2,
        "width": WIDTH,
        "heads": HEADS,
        "layers": LAYERS,
        "mlp_ratio": 1.0,
    }
    open_clip_folder(folder, {"embed_dim": EMBED, "vision_cfg": IMAGE, "text_cfg": text_cfg}, CLIP_PIXELS)
    return folder


def transformers_siglip2(folder: Path, tokenizer: Path, spare_rows: int = 0) -> Path:
    """As google/siglip2-base-patch16-256: what `save_pretrained` of model and image processor write."""
    from transformers import SiglipConfig, SiglipModel

    table = copy_tokenizer(tokenizer, folder) + spare_rows
    tower = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_attention_heads": HEADS}
    text = {**tower, "num_hidden_layers": LAYERS, "vocab_size": table, "max_position_embeddings": 64}
    special = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    vision = {**tower, "num_hidden_layers": 3, "image_size": 32, "patch_size": 8}
    with torch_stream("test", folder.name):
        model = SiglipModel(SiglipConfig(text_config={**text, **special}, vision_config=vision))
    stir(model, folder.name)
    model.save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "SiglipImageProcessor",
            "processor_class": "SiglipProcessor",
            "do_convert_rgb": None,
            "do_resize": True,
            "size": {"height": 32, "width": 32},
            "resample": 2,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
        },
    )
    return folder


def transformers_naflex(folder: Path, tokenizer: Path) -> Path:
    """As google/siglip2-base-patch16-naflex, whose images keep their shape."""
    from transformers import Siglip2Config, Siglip2Model

    table = copy_tokenizer(tokenizer, folder)
    tower = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_attention_heads": HEADS, "num_hidden_layers": 1}
    text = {**tower, "vocab_size": table, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    vision = {**tower, "num_patches": 16, "patch_size": 8}
    Siglip2Model(Siglip2Config(text_config=text, vision_config=vision)).save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", {"image_processor_type": "Siglip2ImageProcessor"})
    return folder


def small_encoder(folder: Path, tokenizer: Path, width: int = 32) -> Path:
    """As a multilingual MiniLM or E5: an encoder of transformers, without any image tower."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    config = XLMRobertaConfig(
        vocab_size=copy_tokenizer(tokenizer, folder),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=82,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    with torch_stream("test", folder.name):
        model = XLMRobertaModel(config)
    stir(model, folder.name)
    model.save_pretrained(folder)
    return folder


OPEN_CLIP: dict[str, tuple[Builder, Callable[[Path], Path]]] = {
    "open_clip_xlm_roberta": (open_clip_xlm_roberta, write_xlm_roberta),
    "open_clip_nllb": (open_clip_nllb, write_nllb),
    "open_clip_siglip2": (open_clip_siglip2, write_gemma),
    "open_clip_native": (open_clip_native, write_xlm_roberta),
}
TRANSFORMERS: dict[str, tuple[Builder, Callable[[Path], Path]]] = {
    "transformers_siglip2": (transformers_siglip2, write_gemma),
    "transformers_multilingual": (transformers_siglip2, write_siglip_multilingual),
}
OTHERS: dict[str, tuple[Builder, Callable[[Path], Path]]] = {
    "transformers_naflex": (transformers_naflex, write_gemma),
    "small_encoder": (small_encoder, write_xlm_roberta),
}
TEACHERS = {**OPEN_CLIP, **TRANSFORMERS}


def build(name: str, folder: Path) -> Path:
    """The checkpoint called `name`, below `folder`; built once."""
    builder, tokenizer = {**TEACHERS, **OTHERS}[name]
    if not (folder / name).is_dir():
        builder(folder / name, tokenizer(folder / f"tokenizer of {name}"))
    return folder / name


def family(name: str) -> str:
    """The family that loads the teacher called `name`."""
    return "open_clip" if name in OPEN_CLIP else "transformers"
