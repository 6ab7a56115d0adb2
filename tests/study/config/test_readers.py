"""What a teacher reads: texts that it cannot tell apart, and pictures whose pixels are not the library's."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.sources import ROOT
from study.config.pretrained import PretrainedSpec
from study.config.readers import reader
from study.data.alike import Asked, options_alike
from study.data.pictures import decode
from study.models import torchvision_ops
from study.models.preprocess import of_open_clip

torchvision_ops.ensure()

from open_clip.transform import PreprocessCfg, image_transform_v2  # noqa: E402 (needs torchvision's operators)


def asked(*options: str, prompt: str = "Which one?") -> Asked:
    return Asked("data/questions.csv, row 2", "q0", "en", prompt, options, 0)


@pytest.mark.parametrize("options", [("3.5", "35", "7"), ("C", "C++", "D"), ("US", "UK", "us")])
def test_options_alike_after_the_models_own_cleaning_are_found(
    checkpoints: Callable[[str], Path], options: tuple[str, ...]
) -> None:
    spec = PretrainedSpec(family="transformers", checkpoint=str(checkpoints("transformers_multilingual")))
    read = reader(spec, fetch=False)
    assert read is not None
    (found,) = options_alike([asked("red", "blue", "green"), asked(*options)], {"siglip": read})
    assert (found.reader, found.asked.options) == ("siglip", options)
    assert "are the same text to teacher siglip" in str(found)


def test_options_behind_the_end_of_the_context_are_alike(checkpoints: Callable[[str], Path]) -> None:
    spec = PretrainedSpec(family="open_clip", checkpoint=str(checkpoints("open_clip_xlm_roberta")))
    read = reader(spec, fetch=False)
    assert read is not None
    long = asked("red", "blue", prompt="Which one of all those? " * 60)
    found = list(options_alike([asked("red", "blue"), long], {"clip": read}))
    assert [one.asked for one in found] == [long]


def test_a_teacher_that_is_trained_here_reads_no_capitals_and_a_name_on_the_hub_is_not_asked() -> None:
    read = reader(None, fetch=False)
    assert read is not None
    assert [one.second for one in options_alike([asked("US", "UK", "us"), asked("3.5", "35")], {"a": read})] == [2]
    name = PretrainedSpec(family="transformers", checkpoint="google/siglip2-base-patch16-256", revision="0" * 40)
    assert reader(name, fetch=False) is None


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pictures() -> dict[str, bytes]:
    half = Image.new("RGB", (40, 40), "black")
    half.paste("white", (0, 0, 20, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    clear.paste((200, 0, 0, 255), (0, 0, 20, 40))
    return {
        "plain": encoded(half, "PNG"),
        "turned": encoded(half, "JPEG", exif=exif, quality=95),
        "transparent": encoded(clear, "PNG"),
    }


def over_white(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says, and laid over white: what README tells users of the library to do."""
    turned = ImageOps.exif_transpose(image).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned).convert("RGB")


@pytest.mark.parametrize(("name", "same"), [("plain", True), ("turned", False), ("transparent", False)])
def test_pixels_are_the_librarys_once_a_picture_is_turned_and_flattened(name: str, same: bool) -> None:
    settings = PreprocessCfg(size=16)
    theirs, ours = image_transform_v2(settings, is_train=False), of_open_clip(asdict(settings), "here")
    content = pictures()[name]
    pixels = ours.fit(decode(content)).transpose(2, 0, 1) / 255
    got = (pixels - np.reshape(ours.mean, (3, 1, 1))) / np.reshape(ours.std, (3, 1, 1))
    image = Image.open(io.BytesIO(content))
    np.testing.assert_allclose(got, theirs(over_white(image)).numpy(), atol=1e-5)
    assert np.allclose(got, theirs(image).numpy(), atol=0.05) == same


def test_that_they_are_not_is_said_to_users() -> None:
    for file in ("README.md", "docs/data.md", "study/export/card.py"):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert "EXIF" in text, file
        assert "transparen" in text, file
