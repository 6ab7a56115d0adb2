"""What happens to a text around a published tokenizer: before it, and at the ends of what it gives."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

Clean = Callable[[str], str]
Side = Literal["right", "left"]


def _unchanged(text: str) -> str:
    return text


def _siglip(text: str) -> str:
    """As transformers' SiglipTokenizer: lower case, no ASCII punctuation, single spaces."""
    return re.sub(r"\s+", " ", text.lower().translate(_NO_PUNCTUATION)).strip()


_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@lru_cache(maxsize=4)
def _open_clip_function(kind: str) -> Clean:
    from study.models import torchvision_ops

    torchvision_ops.ensure()
    from open_clip.tokenizer import get_clean_fn

    found: Clean = get_clean_fn(kind)
    return found


def _open_clip(kind: str, text: str) -> str:
    return _open_clip_function(kind)(text)


OPEN_CLIP = ("whitespace", "lower", "canonicalize")
"""open_clip's clean functions: all of them mend encodings (ftfy) and HTML entities first."""

CLEANING: dict[str, Clean] = {
    "none": _unchanged,
    "siglip": _siglip,
    **{f"open_clip {kind}": partial(_open_clip, kind) for kind in OPEN_CLIP},
}


def open_clip_cleaning(function: Clean) -> str | None:
    """The name in `CLEANING` of one of open_clip's clean functions, None for another function."""
    return next((f"open_clip {kind}" for kind in OPEN_CLIP if _open_clip_function(kind) is function), None)


@dataclass(frozen=True)
class Handling:
    """Text handling that tokenizer.json does not hold. Special tokens by name: ids move when it is trimmed.

    Prefix and suffix of a text (start, end, NLLB's language code) are the tokenizer's own post-processor.
    """

    clean: str
    """A name in `CLEANING`."""
    pad: str
    eos: str | None
    bos: str | None
    unk: str | None
    padding_side: Side = "right"
    truncation_side: Side = "right"

    def __post_init__(self) -> None:
        if self.clean not in CLEANING:
            raise ValueError(f"unknown cleaning {self.clean!r}")
        for side in (self.padding_side, self.truncation_side):
            if side not in ("right", "left"):
                raise ValueError(f"unknown side {side!r}")
