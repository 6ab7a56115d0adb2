"""Image files of any kind: decoded to square RGB pixels, or kept as they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from study.corpora.manifest.tables import Row
from study.pictures import Fit, PictureError, decode


def load(path: str, canvas: int, row: Row) -> tuple[np.ndarray, bytes]:
    """uint8 [canvas, canvas, 3] of an image file, and a hash of the file.

    The shorter side is resized to `canvas` (bicubic) and the middle kept.

    Raises:
        CorpusError: it cannot be decoded, or is so large that Pillow takes it for an attack; names `row`.
    """
    image, content = _decoded(path, row)
    return Fit(canvas)(image), hashlib.sha256(content).digest()


def keep(path: str, row: Row) -> tuple[bytes, bytes]:
    """The bytes of an image file that can be decoded, and their hash; raises as `load`."""
    _, content = _decoded(path, row)
    return content, hashlib.sha256(content).digest()


def _decoded(path: str, row: Row) -> tuple[Image.Image, bytes]:
    content = Path(path).read_bytes()
    try:
        return decode(content), content
    except PictureError as error:
        raise row.error(f"image {path} {error}") from None
