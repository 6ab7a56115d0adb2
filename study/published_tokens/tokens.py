"""The tokens of a published text tower, read as its library reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from torch import Tensor


class PublishedTokens:
    """A `study.tokens.Tokens` that others trained, and the text handling around it."""

    @classmethod
    def from_open_clip(cls, source: Any, language: str | None = None) -> Self:
        """The tokens of `source`: what `open_clip.get_tokenizer` returned, a folder (`local-dir:`), or a name.

        `language` is the source language of an NLLB tower, such as `eng_Latn` (open_clip's own default).

        Raises:
            PublishedError: it cannot be read, has no fast tokenizer, or is not Unigram or BPE.
        """
        raise NotImplementedError

    @classmethod
    def from_transformers(cls, source: str | Path, revision: str | None = None) -> Self:
        """The tokens of a folder that `save_pretrained` wrote, or of a name on the hub at `revision`.

        SigLIP2 checkpoints get Siglip2Tokenizer's lower case also where their files say GemmaTokenizer.

        Raises:
            PublishedError: as `from_open_clip`.
        """
        raise NotImplementedError

    @property
    def pad(self) -> int:
        """Id of the padding token; after `trim` the new one."""
        raise NotImplementedError

    @property
    def eos(self) -> int | None:
        """Id of the end-of-text token, likewise."""
        raise NotImplementedError

    @property
    def bos(self) -> int | None:
        """Id of the start-of-text token, likewise; None where texts have none."""
        raise NotImplementedError

    @property
    def smallest(self) -> int:
        raise NotImplementedError

    def __len__(self) -> int:
        """Tokens that there are; a published table may have more rows."""
        raise NotImplementedError

    def check_fits(self, table_rows: int) -> None:
        """Refuse a token table of fewer rows than there are ids; more (padding of the table) are allowed.

        Raises:
            PublishedError: names both numbers.
        """
        raise NotImplementedError

    def encode(self, texts: Sequence[str], context: int) -> np.ndarray:
        """Ids [N, context] int64: cleaned, with special tokens, cut (special tokens stay) and padded."""
        raise NotImplementedError

    def mask(self, ids: Tensor) -> Tensor:
        """True [N, L] where ids [N, L] are not padding; also right where eos is the padding token."""
        raise NotImplementedError

    def split(self, texts: Sequence[str]) -> list[list[int]]:
        raise NotImplementedError

    def trim(self, size: int, texts: Iterable[str]) -> tuple[Self, np.ndarray]:
        """Keep `size` tokens; returns them and, for each, its old id, ascending."""
        raise NotImplementedError

    def fragmentation(self, texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise NotImplementedError
