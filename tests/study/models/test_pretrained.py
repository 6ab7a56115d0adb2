"""Published checkpoints: ids, pixels and features are the library's own, hidden states and counts are whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from study.data.pictures import Fit
from study.models import checkpoint, pretrained_family, torchvision_ops
from study.models.dual_encoder import Pretrained, count
from study.seeds import stream
from tests.study.models.checkpoints import models
from tests.study.models.checkpoints.tokenizers import CAPTIONS

torchvision_ops.ensure()

Checkpoints = Callable[[str], Path]
TEXTS = [
    *(texts[i] for texts in CAPTIONS.values() for i in (0, 7)),
    "A red Apple, on the MAT.",
    "x",
    " ".join(CAPTIONS["de"]) * 2,
]


def images() -> list[Image.Image]:
    """Of several shapes, odd sizes among them."""
    rng = stream("test", "images")
    return [
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for height, width in ((32, 32), (50, 75), (47, 33), (21, 100))
    ]


@pytest.fixture(scope="module")
def fetched(checkpoints: Checkpoints) -> Callable[[str], Pretrained]:
    made: dict[str, Pretrained] = {}

    def fetch(name: str) -> Pretrained:
        if name not in made:
            kind = pretrained_family(models.family(name))
            kind.check(str(checkpoints(name)), None)
            made[name] = kind.fetch(str(checkpoints(name)), None)
        return made[name]

    return fetch


def by_library(name: str, folder: Path) -> dict[str, torch.Tensor]:
    """Ids, pixels and embeddings as a user of the library gets them."""
    pictures = images()
    if name in models.OPEN_CLIP:
        import open_clip

        where = f"local-dir:{folder}"
        model, preprocess = open_clip.create_model_from_pretrained(where, **models.local_text(folder))
        ids = open_clip.get_tokenizer(where)(TEXTS)
        pixels = torch.stack([preprocess(picture) for picture in pictures])
        texts, seen = model.eval().encode_text(ids), model.encode_image(pixels)
    else:
        from transformers import PreTrainedTokenizerFast, Siglip2Tokenizer, SiglipImageProcessorPil, SiglipModel

        loader: Any = SiglipModel
        siglip = loader.from_pretrained(folder).eval()
        if name == "transformers_siglip2":
            read: Any = Siglip2Tokenizer.from_pretrained(folder, padding_side="right")
            given = TEXTS
        else:  # SiglipTokenizer needs sentencepiece; this is what it does around it
            read = PreTrainedTokenizerFast.from_pretrained(folder)
            given = [text.lower().replace(",", "").replace(".", "") for text in TEXTS]
        ids = read(given, padding="max_length", max_length=64, truncation=True, return_tensors="pt").input_ids
        processor: Any = SiglipImageProcessorPil.from_pretrained(folder)
        pixels = processor(pictures, return_tensors="pt")["pixel_values"]
        texts = siglip.get_text_features(ids).pooler_output
        seen = siglip.get_image_features(pixels).pooler_output
    return {"ids": ids, "pixels": pixels, "texts": F.normalize(texts, dim=-1), "images": F.normalize(seen, dim=-1)}


@pytest.mark.parametrize("name", models.TEACHERS)
def test_ids_pixels_and_features_are_the_librarys(
    name: str, checkpoints: Checkpoints, fetched: Callable[[str], Pretrained]
) -> None:
    model = fetched(name)
    with torch.inference_mode():
        theirs = by_library(name, checkpoints(name))
        ids = model.tokenize(TEXTS)
        assert torch.equal(ids, theirs["ids"])
        texts = model.text_features(ids)
        pixels = torch.from_numpy(np.stack([model.fit(picture) for picture in images()]))
        seen = model.image_features(pixels)
        # Alone, each text is cut to its own length.
        alone = torch.cat([model.text_features(row[None]) for row in ids])
    torch.testing.assert_close(texts, theirs["texts"], atol=1e-5, rtol=0)
    torch.testing.assert_close(alone, texts, atol=1e-5, rtol=0)
    torch.testing.assert_close(seen, theirs["images"], atol=1e-5, rtol=0)
    mean, std = (getattr(model, which) for which in ("mean", "std"))
    torch.testing.assert_close((pixels.permute(0, 3, 1, 2) - mean) / std, theirs["pixels"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", models.TEACHERS)
def test_hidden_states_counts_and_towers_are_whole(name: str, fetched: Callable[[str], Pretrained]) -> None:
    model = fetched(name)
    with torch.inference_mode():
        ids = model.tokenize(TEXTS)
        output = model.text_output(ids)
        torch.testing.assert_close(output.features, model.text_features(ids), atol=1e-6, rtol=0)
    assert len(output.hidden) == model.text_layers + 1
    assert all(hidden.shape[:2] == output.mask.shape for hidden in output.hidden)
    assert output.mask.any(dim=1).all()
    parts = [*model.text_module().parameters(), *model.image_module().parameters(), *model.temperature_parameters()]
    assert {id(p) for p in parts} == {id(p) for p in model.parameters()}
    assert len(parts) == len({id(p) for p in parts})
    assert model.text_counts().total == sum(p.numel() for p in model.text_module().parameters())
    state = model.state_dict()
    for tower, layers in (("text", model.text_layers), ("image", model.image_layers)):
        prefix = model.layer_prefixes()[tower]
        numbers = {key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)}
        assert numbers == {str(i) for i in range(layers)}
    with torch.inference_mode():
        shape = model.image_module()(torch.zeros(1, 3, model.fit.size, model.fit.size))
    assert getattr(shape, "pooler_output", shape).shape == (1, model.embedding_width)


@pytest.mark.parametrize("name", models.TEACHERS)
def test_nothing_is_dropped_in_training(name: str, fetched: Callable[[str], Pretrained]) -> None:
    model = fetched(name)
    ids, pixels = model.tokenize(TEXTS[:4]), torch.zeros((2, model.fit.size, model.fit.size, 3), dtype=torch.uint8)
    with torch.inference_mode():
        quiet = model.text_features(ids), model.image_features(pixels)
        model.train()
        loud = model.text_features(ids), model.image_features(pixels)
        model.eval()
    torch.testing.assert_close(loud, quiet)


@pytest.mark.parametrize(("name", "sigmoid"), [("open_clip_native", False), ("open_clip_nllb", True)])
def test_the_loss_is_open_clips_own(name: str, sigmoid: bool, fetched: Callable[[str], Pretrained]) -> None:
    from open_clip.loss import ClipLoss, SigLipLoss

    model: Any = fetched(name)
    rng = torch.Generator().manual_seed(0)
    a, b = (F.normalize(torch.randn(5, 48, generator=rng), dim=-1) for _ in range(2))
    ours = model.image_text_loss(a, b).mean()
    scale = model.model.logit_scale.exp()
    theirs = SigLipLoss()(a, b, scale, model.model.logit_bias) if sigmoid else ClipLoss()(a, b, scale)
    torch.testing.assert_close(ours, theirs)
    assert len(model.temperature) == len(model.temperature_parameters()) == 1 + sigmoid


@pytest.mark.parametrize("name", models.TEACHERS)
def test_a_saved_teacher_is_the_same_again_without_its_source(
    name: str, fetched: Callable[[str], Pretrained], tmp_path: Path
) -> None:
    model = fetched(name)
    model.save(tmp_path)
    again = checkpoint.load(tmp_path)
    assert again.config == checkpoint.build_on_meta(tmp_path).config == model.config
    assert again.fit == model.fit
    with torch.inference_mode():
        ids = again.tokenize(TEXTS)
        assert torch.equal(again.text_features(ids), model.text_features(model.tokenize(TEXTS)))
        pixels = torch.full((1, model.fit.size, model.fit.size, 3), 77, dtype=torch.uint8)
        assert torch.equal(again.image_features(pixels), model.image_features(pixels))


@pytest.mark.parametrize("name", models.TEACHERS)
def test_a_folder_tells_its_size_before_its_weights_are_read(
    name: str, checkpoints: Checkpoints, fetched: Callable[[str], Pretrained], tmp_path: Path
) -> None:
    whole = fetched(name)
    outline = type(whole).build_on_meta(str(checkpoints(name)))
    assert all(parameter.is_meta for parameter in outline.parameters())
    assert outline.text_counts() == whole.text_counts()
    assert count(outline.image_module()) == count(whole.image_module())
    assert (outline.context, outline.embedding_width) == (whole.context, whole.embedding_width)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    size=st.integers(8, 40),
    mode=st.sampled_from(["shortest", "squash", "longest"]),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
    fill=st.sampled_from([0, 127]),
)
def test_images_are_fitted_as_open_clip_does(
    width: int, height: int, size: int, mode: str, interpolation: str, fill: int
) -> None:
    from open_clip.transform import PreprocessCfg, image_transform_v2

    from study.models.preprocess import of_open_clip

    if mode == "longest" and round(min(width, height) * size / max(width, height)) < 1:
        return  # open_clip fails where nothing of a side is left
    declared = {"size": size, "resize_mode": mode, "interpolation": interpolation, "fill_color": fill}
    transform = image_transform_v2(PreprocessCfg(**declared, mean=(0.0,) * 3, std=(1.0,) * 3), is_train=False)
    fit = of_open_clip({**declared, "mean": 0.0, "std": 1.0}, "here").fit
    rng = stream("test", width, height)
    picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    theirs = (255 * transform(picture)).round().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(fit(picture), theirs)


def test_transformers_default_processor_differs_by_a_level_at_most(checkpoints: Checkpoints) -> None:
    from transformers import SiglipImageProcessor

    processor: Any = SiglipImageProcessor.from_pretrained(checkpoints("transformers_siglip2"))
    theirs = processor(images(), return_tensors="pt")["pixel_values"]
    fit = Fit(32, "bilinear", "squash")
    ours = torch.from_numpy(np.stack([fit(picture) for picture in images()])).permute(0, 3, 1, 2) / 127.5 - 1
    assert ((ours - theirs).abs() * 127.5).max() <= 1.001  # torchvision rounds on its own
