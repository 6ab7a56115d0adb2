"""Which image content is used for what: nothing that is trained on is scored."""

from __future__ import annotations

import hashlib

from study.data.base import CorpusError

PURPOSES = {"teacher": "training", "distil": "training", "validation": "validation", "test": "test"}
"""What a split's images are used for; an image content serves one purpose."""


class LeakageCheck:
    """Remembers the content of every image: 16 bytes of its sha256, and where it was met first.

    Copies that were encoded anew or scaled are other contents: they are not found.
    """

    def __init__(self) -> None:
        self._first: dict[bytes, tuple[str, str]] = {}

    def claim(self, content: bytes, split: str, where: str) -> bytes:
        """Use an image for a split; returns the content's digest.

        Raises:
            CorpusError: the same content is used for another purpose; names both rows.
        """
        digest = hashlib.sha256(content).digest()[:16]
        other, place = self._first.setdefault(digest, (split, where))
        if PURPOSES[other] != PURPOSES[split]:
            raise CorpusError(
                f"{where}: this image of split {split!r} is the same file as in {place}, split {other!r}; what is "
                "trained on, chosen by or scored must be different images: take another split or data set for one"
            )
        return digest
