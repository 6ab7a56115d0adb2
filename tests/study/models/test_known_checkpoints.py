"""The counts of known checkpoints are those of the libraries' own configurations."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from torch import nn

from study.models import torchvision_ops
from study.models.known_checkpoints import KNOWN, known

torchvision_ops.ensure()

import open_clip  # noqa: E402
from open_clip.model import CLIPVisionCfg, _build_vision_tower  # noqa: E402
from transformers import SiglipConfig, SiglipModel, XLMRobertaConfig, XLMRobertaModel  # noqa: E402


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", ["ViT-B-16-SigLIP2-256", "ViT-B-16-SigLIP-i18n-256"])
def test_siglip_of_open_clip(name: str) -> None:
    config = copy.deepcopy(open_clip.get_model_config(name))
    config.pop("custom_text", None)
    config["vision_cfg"]["timm_model_pretrained"] = False
    with torch.device("meta"):
        model = open_clip.CustomTextCLIP(**config)
    table = model.text.token_embedding.weight.numel()
    found = KNOWN[name]
    assert (count(model.text), table, count(model.visual)) == (found.text, found.table, found.image)
    assert (config["text_cfg"]["context_length"], config["embed_dim"]) == (found.context, found.width)


def test_clip_with_xlm_roberta() -> None:
    from study.models.open_clip.files import HF_CONFIGS

    config = open_clip.get_model_config("xlm-roberta-base-ViT-B-32")
    with torch.device("meta"):
        encoder = XLMRobertaModel(
            XLMRobertaConfig(**json.loads((HF_CONFIGS / "xlm-roberta-base.json").read_text())), add_pooling_layer=False
        )
        image = _build_vision_tower(config["embed_dim"], CLIPVisionCfg(**config["vision_cfg"]))
    hidden = (768 + 512) // 2  # open_clip's projection `mlp`, without biases
    found = KNOWN["xlm-roberta-base-ViT-B-32"]
    assert count(encoder) + hidden * (768 + 512) == found.text
    assert (encoder.embeddings.word_embeddings.weight.numel(), count(image)) == (found.table, found.image)


@pytest.mark.parametrize(
    ("name", "tokens"), [("siglip2-base-patch16-256", 256_000), ("siglip-base-patch16-256-multilingual", 250_000)]
)
def test_siglip_of_transformers(name: str, tokens: int) -> None:
    base = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
    text = {**base, "vocab_size": tokens, "max_position_embeddings": 64, "projection_size": 768}
    with torch.device("meta"):
        model = SiglipModel(SiglipConfig(text_config=text, vision_config={**base, "image_size": 256, "patch_size": 16}))
    table = model.text_model.embeddings.token_embedding.weight.numel()
    found = KNOWN[name]
    assert (count(model.text_model), table, count(model.vision_model)) == (found.text, found.table, found.image)


def test_a_checkpoint_is_known_by_folder_name_and_tag() -> None:
    for name in (
        "google/siglip2-base-patch16-256",
        "data/siglip2-base-patch16-256",
        "hf-hub:x/siglip2-base-patch16-256",
    ):
        assert known(name) is KNOWN["siglip2-base-patch16-256"]
    assert known("xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k") is KNOWN["xlm-roberta-base-ViT-B-32"]
    assert known("data/mine") is None
