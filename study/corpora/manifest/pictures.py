"""Image files of any kind to square RGB pixels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from study.corpora.manifest.tables import Row
from study.pictures import Fit, PictureError, decode


def load(path: str, canvas: int, row: Row) -> tuple[np.ndarray, bytes]:
    """uint8 [canvas, canvas, 3] of an image file, and a hash of the file.

    The shorter side is resized to `canvas` (bicubic) and the middle kept.

    Raises:
        CorpusError: it cannot be decoded, or is so large that Pillow takes it for an attack; names `row`.
    """
    content = Path(path).read_bytes()
    try:
        pixels = Fit(canvas)(decode(content))
    except PictureError as error:
        raise row.error(f"image {path} {error}") from None
    return pixels, hashlib.sha256(content).digest()
