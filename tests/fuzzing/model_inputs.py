"""Files of checkpoints: other people's, read as teachers and as text encoders, and this project's own."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch

from study.config.pretrained import PretrainedSpec
from study.config.size import EncoderSpec
from study.models import checkpoint
from tests.fuzzing import treewise
from tests.fuzzing.inputs import Kind, Later, json_large, json_tree, raw
from tests.study.models.checkpoints import models

TEXTS = ["a red cat", "", "ein Hund, zwei Katzen", "猫が二匹", "x" * 500]


def tensors(random: Random, content: bytes) -> bytes:
    """Safetensors whose header says something else, in JSON that can be read; sometimes other bytes."""
    if random.random() < 0.4:
        return raw(random, content)
    (length,) = struct.unpack("<Q", content[:8])
    header = treewise.mutate(random, json.loads(content[8 : 8 + length]))
    shown = json.dumps(header).encode("utf-8", "surrogatepass")
    declared = len(shown) if random.random() < 0.8 else random.choice((0, 7, length, 2**40, 2**63))
    return struct.pack("<Q", declared) + shown + content[8 + length :]


@cache
def write_checkpoint(name: str) -> Callable[[Path], None]:
    """The checkpoint's files straight in the folder."""

    def write(folder: Path) -> None:
        import shutil

        shutil.copytree(models.build(name, folder.with_name(f"{folder.name}.made")), folder, dirs_exist_ok=True)
        shutil.rmtree(folder.with_name(f"{folder.name}.made"))

    return write


def read_teacher(family: str) -> Callable[[], Later]:
    """Checked as by `make check`, fetched as by the stage `teacher`; then it reads texts and images, and is cut."""

    def read() -> Later:
        spec = PretrainedSpec(family=family, checkpoint=".")
        spec.check()
        model = spec.fetch()
        return lambda: use(model)

    return read


def use(model: Any) -> None:
    with torch.inference_mode():
        features = model.text_features(model.tokenize(TEXTS))
        size = model.fit.size
        images = model.image_features(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    assert features.shape[1] == images.shape[1]
    model.vocabulary.fragmentation({"en": TEXTS})


def read_encoder() -> Later:
    """As the text encoder of a size."""
    spec = EncoderSpec(encoder=".")
    spec.check()
    from study.models.text_config import positions
    from study.models.text_encoder import files

    loaded = files.download(".", None)

    def later() -> None:
        ids = torch.from_numpy(loaded.tokens.encode(TEXTS, min(16, positions(loaded.config) or 16)))
        with torch.inference_mode():
            loaded.encoder(input_ids=ids, attention_mask=loaded.tokens.mask(ids))

    return later


def write_own(folder: Path) -> None:
    from study.models.siglip.siglip2 import Siglip2
    from study.models.tokenizers.vocabulary import Vocabulary
    from study.seeds import torch_stream

    vocabulary = Vocabulary.train(TEXTS, 300)
    tower = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    text = {**tower, "vocab_size": len(vocabulary), "max_position_embeddings": 16, "projection_size": 32}
    config = {"text_config": text, "vision_config": {**tower, "image_size": 32, "patch_size": 16}}
    with torch_stream("test", "own"):
        Siglip2.from_config(config, vocabulary).save(folder)


def read_own() -> Later:
    model = checkpoint.load(Path())
    return lambda: use(model)


OPEN_CLIP, SIGLIP, ENCODER = "open_clip_xlm_roberta", "transformers_siglip2", "small_encoder"


def _teacher(name: str, family: str, file: str, way: Callable[[Random, bytes], bytes], share: int = 1) -> Kind:
    return Kind(f"{family} {file}", write_checkpoint(name), file, way, read_teacher(family), share)


MODELS = (
    _teacher(OPEN_CLIP, "open_clip", "open_clip_config.json", json_tree, 3),
    _teacher(OPEN_CLIP, "open_clip", "config.json", json_tree, 2),
    _teacher(OPEN_CLIP, "open_clip", "tokenizer.json", json_large, 2),
    _teacher(OPEN_CLIP, "open_clip", "tokenizer_config.json", json_tree, 2),
    _teacher(OPEN_CLIP, "open_clip", "open_clip_model.safetensors", tensors, 3),
    _teacher(SIGLIP, "transformers", "config.json", json_tree, 3),
    _teacher(SIGLIP, "transformers", "preprocessor_config.json", json_tree, 2),
    _teacher(SIGLIP, "transformers", "tokenizer.json", json_large, 2),
    _teacher(SIGLIP, "transformers", "tokenizer_config.json", json_tree, 2),
    _teacher(SIGLIP, "transformers", "model.safetensors", tensors, 3),
    Kind("encoder config.json", write_checkpoint(ENCODER), "config.json", json_tree, read_encoder, 2),
    Kind("encoder model.safetensors", write_checkpoint(ENCODER), "model.safetensors", tensors, read_encoder),
    Kind("own config.json", write_own, "config.json", json_tree, read_own, 2),
    Kind("own model.safetensors", write_own, "model.safetensors", tensors, read_own, 2),
)
