"""How teachers read texts, so that what they cannot tell apart is known before anything is trained."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from study.config.pretrained import AnyTeacher, PretrainedSpec
from study.data.alike import Read
from study.models.tokenizers.vocabulary import clean

if TYPE_CHECKING:
    from study.models.dual_encoder import DualEncoder

TOGETHER = 4096
"""Texts that are cut into tokens at a time."""


def reader(spec: AnyTeacher | None, *, fetch: bool) -> Read | None:
    """How a teacher reads; of one that is trained here (or None), whose tokens are not known yet, how it cleans.

    None for a name on the hub, unless `fetch`: then the checkpoint is brought.

    Raises:
        PretrainedError: as `PretrainedSpec.build_on_meta` or `fetch`.
        UnknownNameError: likewise.
    """
    if not isinstance(spec, PretrainedSpec):
        return _cleaned
    if Path(spec.checkpoint).is_dir():
        return partial(_tokens, spec.build_on_meta())
    return partial(_tokens, spec.fetch()) if fetch else None


def _cleaned(texts: Sequence[str]) -> Sequence[Hashable]:
    return [clean(text) for text in texts]


def _tokens(model: DualEncoder, texts: Sequence[str]) -> Sequence[Hashable]:
    """The ids of each text as the model gets them: cleaned, cut to its context."""
    found: list[Hashable] = []
    for start in range(0, len(texts), TOGETHER):
        found += [row.tobytes() for row in model.tokenize(texts[start : start + TOGETHER]).numpy()]
    return found
