"""Image files of any kind to square RGB pixels."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from study.corpora.base import CorpusError
from study.corpora.manifest.tables import Row

DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's names of sixteen bits of grey."""
UNSUPPORTED = ("I", "F")


def load(path: str, canvas: int, row: Row) -> tuple[np.ndarray, bytes]:
    """uint8 [canvas, canvas, 3] of an image file, and a hash of the file.

    Turned as its EXIF says, transparency over white, the shorter side resized to `canvas` (bicubic), the
    middle kept. Of several frames the first.

    Raises:
        CorpusError: it cannot be decoded, or is so large that Pillow takes it for an attack; names `row`.
    """
    content = Path(path).read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                if image.mode in UNSUPPORTED:
                    raise row.error(f"image {path} has pixels of mode {image.mode!r}: save it with 8 bits a channel")
                pixels = _square(_rgb(ImageOps.exif_transpose(image)), canvas)
    except CorpusError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise row.error(f"image {path} is too large: {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError, ArithmeticError, LookupError, TypeError) as error:
        # Pillow's decoders raise all of these on broken files.
        raise row.error(f"image {path} cannot be decoded: {error}") from None
    return np.asarray(pixels), hashlib.sha256(content).digest()


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in DEEP:
        # Pillow would clip sixteen bits of grey to eight, not scale them.
        grey = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(np.rint(grey).astype(np.uint8))
    if image.has_transparency_data:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return image.convert("RGB")


def _square(image: Image.Image, canvas: int) -> Image.Image:
    shorter = min(image.size)
    width, height = (max(canvas, round(side * canvas / shorter)) for side in image.size)
    left, top = (width - canvas) // 2, (height - canvas) // 2
    resized = image.resize((width, height), resample=Image.Resampling.BICUBIC)
    return resized.crop((left, top, left + canvas, top + canvas))
