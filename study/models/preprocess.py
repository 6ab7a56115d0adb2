"""A published checkpoint's own way from an image to the numbers that its tower reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from study.data.pictures import Fit
from study.models.errors import PretrainedError
from study.names import hint

Resample = Literal["nearest", "lanczos", "bilinear", "bicubic"]

OPEN_CLIP_MODES: Mapping[str, Literal["crop", "squash", "pad"]] = {
    "shortest": "crop",
    "squash": "squash",
    "longest": "pad",
}
OPEN_CLIP_RESAMPLING: Mapping[str, Resample] = {"bicubic": "bicubic", "bilinear": "bilinear", "random": "bicubic"}
"""`random` is for training; open_clip evaluates such models with bicubic."""
SIGLIP_SIZE = 224
"""Height and width that transformers' processor takes where preprocessor_config.json has none."""
PIL_RESAMPLING: Mapping[int, Resample] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True)
class Preprocess:
    """`fit` gives pixels; (pixels / 255 - mean) / std, a channel each, is what the tower reads."""

    fit: Fit
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def buffers(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of pixels from 0 to 255, [3, 1, 1] each."""
        return tuple(255 * torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))  # type: ignore[return-value]


def of_open_clip(declared: Mapping[str, Any], where: object) -> Preprocess:
    """What a `preprocess_cfg` says, the library's defaults filled in; raises PretrainedError."""
    size = square(declared["size"], f"{where}: preprocess_cfg.size")
    mode = _one_of(OPEN_CLIP_MODES, declared["resize_mode"], f"{where}: preprocess_cfg.resize_mode")
    resample = _one_of(OPEN_CLIP_RESAMPLING, declared["interpolation"], f"{where}: preprocess_cfg.interpolation")
    fit = Fit(size, resample, mode, int(declared["fill_color"]))
    mean, std = (_channels(declared[key], f"{where}: preprocess_cfg.{key}") for key in ("mean", "std"))
    return Preprocess(fit, mean, std)


def of_transformers(declared: Mapping[str, Any], image_size: int, where: object) -> Preprocess:
    """What a SigLIP's preprocessor_config.json says; raises PretrainedError."""
    for step in ("do_resize", "do_rescale", "do_normalize"):
        if not declared.get(step, True):
            raise PretrainedError(f"{where}: {step} is false, must be true")
    if abs(declared.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        raise PretrainedError(f"{where}: rescale_factor is {declared['rescale_factor']}, must be 1/255")
    if declared.get("do_center_crop") or declared.get("do_pad"):
        raise PretrainedError(f"{where}: do_center_crop or do_pad is true, must be false")
    size = declared.get("size", {"height": SIGLIP_SIZE, "width": SIGLIP_SIZE})
    if not isinstance(size, Mapping):  # the library takes a number for the shorter side, and images stay oblong
        raise PretrainedError(f"{where}: size is {size!r}, must be height and width")
    size = [size.get("height"), size.get("width")]
    if square(size, f"{where}: size") != image_size:
        raise PretrainedError(f"{where}: size is {size}, but the image tower reads {image_size} x {image_size} pixels")
    resample = _one_of(PIL_RESAMPLING, declared.get("resample", 3), f"{where}: resample")
    mean, std = (_channels(declared.get(key, 0.5), f"{where}: {key}") for key in ("image_mean", "image_std"))
    return Preprocess(Fit(image_size, resample, "squash"), mean, std)


def square(size: object, what: str) -> int:
    """A square's side; raises PretrainedError for anything that is none."""
    sides = list(size) if isinstance(size, Sequence) and not isinstance(size, str) else [size]
    if len(set(sides)) != 1 or not isinstance(sides[0], int) or sides[0] < 1:
        raise PretrainedError(f"{what} is {size}: images of this study are square, it must be one number of pixels")
    return sides[0]


def _one_of(known: Mapping[Any, Any], value: object, what: str) -> Any:
    if value not in known:
        raise PretrainedError(f"{what} is {value!r}{hint(str(value), map(str, known))}")
    return known[value]


def _channels(value: object, what: str) -> tuple[float, float, float]:
    values = list(value) if isinstance(value, Sequence) else [value] * 3
    numbers = [float(number) for number in values if isinstance(number, int | float)]
    if len(numbers) != 3 or len(values) != 3:
        raise PretrainedError(f"{what} is {value!r}, must be three numbers, red, green and blue")
    red, green, blue = numbers
    return red, green, blue
