"""What is known of published checkpoints before they are there: parameters of their towers, and their licence.

Counts are those of the configurations in open_clip and transformers (`tests/study/models/test_known_checkpoints.py`
builds them); licences are those of the model cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

BYTES = 4
"""Of a parameter in the published files, float32."""


@dataclass(frozen=True)
class Known:
    """Parameters: text tower (of them the token table), image tower. Context in tokens, embedding width, patches of an
    image."""

    text: int
    table: int
    image: int
    context: int
    width: int
    licence: str
    patches: int

    @property
    def bytes(self) -> int:
        """Of the checkpoint."""
        return BYTES * (self.text + self.image)


KNOWN = {
    "xlm-roberta-base-ViT-B-32": Known(278_272_256, 192_001_536, 87_849_216, 77, 512, "MIT", 49),
    "ViT-B-16-SigLIP2-256": Known(282_303_744, 196_608_000, 92_930_304, 64, 768, "Apache-2.0", 256),
    "siglip2-base-patch16-256": Known(282_303_744, 196_608_000, 92_930_304, 64, 768, "Apache-2.0", 256),
    "ViT-B-16-SigLIP-i18n-256": Known(277_695_744, 192_000_000, 92_930_304, 64, 768, "Apache-2.0", 256),
    "siglip-base-patch16-256-multilingual": Known(277_695_744, 192_000_000, 92_930_304, 64, 768, "Apache-2.0", 256),
}


def known(checkpoint: str) -> Known | None:
    """What is known of a checkpoint, by the last part of its folder or name, or by open_clip's name before a tag."""
    parts = PurePosixPath(checkpoint.removeprefix("hf-hub:")).parts
    return next((KNOWN[part] for part in reversed(parts) if part in KNOWN), None)
