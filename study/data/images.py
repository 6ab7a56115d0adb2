"""Image files as users bring them: what can be used, what is wrong with the others, what is worth counting.

How one is decoded is in `study.data.pictures`; here it is looked at first, so that no file can surprise the decoder.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from PIL import Image, UnidentifiedImageError

from study import lfs
from study.data.pictures import PictureError, decode

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""Pillow's names. It knows more, and one of them (EPS) starts another program."""
MOST_PIXELS = 1 << 26
"""Of an image, 8192 x 8192 for example: decoded it takes 200 MB."""
MOST_RATIO = 50
"""Of an image's longer side to its shorter one: a model's square holds a fiftieth of a longer image, and resizing the
shorter side to a model's size would make millions of pixels of the longer one."""
ORIENTATION = 0x0112
"""EXIF's tag that says how a picture is to be turned."""

UNDECODED = (
    *(OSError, SyntaxError, ValueError, EOFError, ArithmeticError, LookupError, TypeError, RuntimeError),
    struct.error,
)
"""What Pillow and its plugins raise over damaged files."""

Broken = Literal["refuse", "skip"]
"""What is done about an image file that cannot be used: the corpus is refused, or the image left out and counted."""


class ImageError(PictureError):
    """An image cannot be used; `kind` is what it is counted as."""

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(problem)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Seen:
    """What an image's header says."""

    width: int
    height: int
    turned: bool
    """Its EXIF says that it lies on its side or its head."""
    transparent: bool
    """It has an alpha channel or a transparent colour."""
    animated: bool

    @property
    def notes(self) -> list[str]:
        """What is counted in a corpus's card: done to the pixels, and to be known by whoever compares libraries."""
        found = {
            "turned as EXIF says": self.turned,
            "transparency laid over white": self.transparent,
            "first of several frames": self.animated,
        }
        return [note for note, holds in found.items() if holds]


def header(content: bytes) -> Seen:
    """An image's size and kind, without decoding it.

    Raises:
        ImageError: no image, of a format that is not read, too many pixels, or too long a shape.
    """
    if not content:
        raise ImageError("empty", "is empty")
    if lfs.is_pointer(content):
        raise ImageError("git-lfs pointer", lfs.PROBLEM)
    try:
        with warnings.catch_warnings():
            # The bound below is stricter than the one that Pillow warns of.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                seen = _seen(image)
    except (UnidentifiedImageError, KeyError):  # KeyError: a Pillow built without one of the formats
        page = " (it looks like a page or a message)" if content.lstrip()[:1] in (b"<", b"{") else ""
        raise ImageError("not decoded", f"cannot be decoded: it is none of {', '.join(FORMATS)}{page}") from None
    except Image.DecompressionBombError:
        raise ImageError("too large", f"is too large: more than {MOST_PIXELS:,} pixels") from None
    except UNDECODED as error:
        raise ImageError("not decoded", f"cannot be decoded: {error}") from None
    if seen.width * seen.height > MOST_PIXELS:
        size = f"{seen.width} x {seen.height}"
        raise ImageError("too large", f"is too large: {size}, at most {MOST_PIXELS:,} pixels are read")
    short, long = sorted((seen.width, seen.height))
    if long > MOST_RATIO * short:
        size = f"{seen.width} x {seen.height}"
        raise ImageError("extreme shape", f"is {size}: one side is more than {MOST_RATIO} times the other")
    return seen


def _seen(image: Image.Image) -> Seen:
    # Of a PNG without EXIF before its pixels, asking for it would decode all of them.
    said = image.format != "PNG" or "exif" in image.info
    turned = said and image.getexif().get(ORIENTATION, 1) not in (0, 1)
    return Seen(*image.size, turned, image.has_transparency_data, getattr(image, "is_animated", False))


def whole(content: bytes) -> tuple[Image.Image, Seen]:
    """The RGB image in a file's bytes (`pictures.decode`), and what its header says; raises ImageError."""
    seen = header(content)
    try:
        return decode(content), seen
    except PictureError as error:
        raise ImageError("not decoded", str(error)) from None
    except UNDECODED as error:
        raise ImageError("not decoded", f"cannot be decoded: {error}") from None


def look(path: str, *, decoded: bool) -> Seen:
    """An image file's header, and with `decoded` its pixels; what has not changed is not read again.

    Raises:
        ImageError: as `header` and `whole`, or the file cannot be read.
    """
    try:
        now = Path(path).stat()
        found = _looked(Path(path).absolute(), now.st_size, now.st_mtime_ns, decoded)
    except OSError as error:
        raise ImageError("not readable", f"cannot be read: {error.strerror}") from None
    if isinstance(found, ImageError):
        raise ImageError(found.kind, str(found))
    return found


HEAD = 1 << 16
"""Bytes in which most headers end; a longer one is read whole."""


@lru_cache(maxsize=1 << 16)
def _looked(path: Path, size: int, changed: int, decoded: bool) -> Seen | ImageError:
    with path.open("rb") as file:
        content = file.read() if decoded else file.read(HEAD)
        try:
            return whole(content)[1] if decoded else header(content)
        except ImageError as error:
            if decoded or size <= HEAD:
                return error
            content += file.read()
    try:
        return header(content)
    except ImageError as error:
        return error
