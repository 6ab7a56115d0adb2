"""What a text tower's tokens have to offer, whoever trained them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


class TextTokenizer(Protocol):
    """A tokenizer, of which a student keeps a part. `pad` fills a text up to the context."""

    @property
    def pad(self) -> int:
        """Id of the padding token."""

    @property
    def unk(self) -> int | None:
        """Id of the unknown token, which stands for text that no other token spells; None if there is none."""

    @property
    def smallest(self) -> int:
        """Tokens that every trimmed vocabulary keeps; one that is trimmed has more than these."""

    def __len__(self) -> int: ...

    def mask(self, ids: Tensor) -> Tensor:
        """True [N, L] where ids [N, L] are not padding."""

    def split(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without special tokens."""

    def trim(self, size: int, texts: Iterable[str]) -> tuple[Self, np.ndarray]:
        """Keep the `size` tokens that `texts` use most; returns them and, for each, its old id."""

    def fragmentation(self, texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
        """Mean number of tokens a text for each language."""

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files into `folder`."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote; raises FileNotFoundError."""
