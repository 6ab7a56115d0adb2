"""Images as a model's library reads them: decoded, fitted to a square, not yet normalised.

A prepared corpus keeps an image set either as pixels of one size or as the image files themselves; each
model fits the latter in the way its own library does, so one corpus serves teachers of several sizes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from PIL import Image, ImageOps

from study import lfs

Rows = Sequence[int] | np.ndarray

DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's names of sixteen bits of grey."""
UNSUPPORTED = ("I", "F")
RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class PictureError(ValueError):
    """An image cannot be decoded."""


@dataclass(frozen=True)
class Fit:
    """How an image becomes `size` x `size` pixels.

    mode `crop`: the shorter side is resized to `size` and the middle kept (CLIP); `squash`: both sides are
    resized (SigLIP); `pad`: the longer side is resized and the rest filled with `fill`.
    """

    size: int
    resample: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bicubic"
    mode: Literal["crop", "squash", "pad"] = "crop"
    fill: int = 0

    def __call__(self, image: Image.Image) -> np.ndarray:
        """uint8 [size, size, 3] of an RGB image."""
        target = self.size
        if image.size == (target, target):
            return np.asarray(image)
        if self.mode == "squash":
            return np.asarray(image.resize((target, target), RESAMPLING[self.resample]))
        # Rounded as torchvision's Resize and CenterCrop do, and open_clip's own two for padding.
        if self.mode == "crop":
            side = min(image.size)
            width, height = (int(target * length / side) for length in image.size)
        else:
            ratio = max(length / target for length in image.size)
            width, height = (max(1, round(length / ratio)) for length in image.size)
        resized = image.resize((width, height), RESAMPLING[self.resample])
        # Outside the image, crop fills with black; paste on the fill colour instead.
        if self.mode == "pad":
            canvas = Image.new("RGB", (target, target), (self.fill,) * 3)
            canvas.paste(resized, ((target - width) // 2, (target - height) // 2))
            return np.asarray(canvas)
        left, top = round((width - target) / 2), round((height - target) / 2)
        return np.asarray(resized.crop((left, top, left + target, top + target)))


def decode(content: bytes) -> Image.Image:
    """The RGB image in a file's bytes: turned as its EXIF says, transparency over white, first frame.

    Raises:
        PictureError: it cannot be decoded, or is so large that Pillow takes it for an attack.
    """
    if lfs.is_pointer(content):
        raise PictureError(lfs.PROBLEM)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                if image.mode in UNSUPPORTED:
                    raise PictureError(f"has pixels of mode {image.mode!r}: save it with 8 bits a channel")
                return _rgb(ImageOps.exif_transpose(image))
    except PictureError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PictureError(f"is too large: {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError, ArithmeticError, LookupError, TypeError) as error:
        # Pillow's decoders raise all of these on broken files.
        raise PictureError(f"cannot be decoded: {error}") from None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in DEEP:
        # Pillow would clip sixteen bits of grey to eight, not scale them.
        grey = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(np.rint(grey).astype(np.uint8))
    if image.has_transparency_data:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return image.convert("RGB")


class Pictures(Protocol):
    """An image set: its length, and any rows of it as a model wants them."""

    def __len__(self) -> int: ...

    def read(self, rows: Rows, fit: Fit) -> np.ndarray:
        """uint8 [len(rows), fit.size, fit.size, 3]."""


@dataclass(frozen=True)
class PixelPictures:
    """Pixels of one size, uint8 [n, height, width, 3]."""

    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, rows: Rows, fit: Fit) -> np.ndarray:
        chosen = np.array(self.pixels[np.asarray(rows, dtype=np.int64)])
        if chosen.shape[1:3] == (fit.size, fit.size):
            return chosen
        return np.stack([fit(Image.fromarray(pixels)) for pixels in chosen])


@dataclass(frozen=True)
class EncodedPictures:
    """Image files one after another: `content` [bytes] uint8, and `ends` [n], where each of them ends."""

    content: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def read(self, rows: Rows, fit: Fit) -> np.ndarray:
        return np.stack([fit(self.image(int(row))) for row in rows])

    def image(self, row: int) -> Image.Image:
        """Image `row`.

        Raises:
            PictureError: it cannot be decoded.
        """
        start = int(self.ends[row - 1]) if row else 0
        try:
            return decode(self.content[start : int(self.ends[row])].tobytes())
        except PictureError as error:
            raise PictureError(f"image {row} {error}") from None
