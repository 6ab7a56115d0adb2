"""The distillation corpus as its students meet it: the teacher's embeddings, the token ids, the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from study.data.prepared import PreparedCorpus
from study.distill.shards import ShardedArray
from study.models.dual_encoder import DualEncoder

RESIDENT_BYTES = 1 << 29
"""A larger array stays on disk and a batch's rows are read from there.

Below it (170,000 captions of width 768) an array is copied to the device once, which is what makes small
studies fast; above it every worker of a pool would hold gigabytes of what the page cache holds once.
"""

TOGETHER = 65_536
"""Texts whose ids are int64 at a time."""


class Gather:
    """An array of the teacher's, of which batches are read: from the device if it is small, else from disk."""

    def __init__(self, array: ShardedArray, device: torch.device) -> None:
        self._device = device
        self._from = array.whole().to(device) if array.nbytes <= RESIDENT_BYTES else array

    def __call__(self, rows: np.ndarray) -> Tensor:
        """[len(rows), ...] float32 on the device."""
        if isinstance(self._from, ShardedArray):
            return self._from.take(rows).to(self._device)
        return self._from[torch.from_numpy(rows).to(self._device)]


@dataclass(frozen=True)
class TeacherBatch:
    """What the teacher makes of a batch: T(x), T(e), T(v) [N, D], and the pooled layers of x [N, K, E]."""

    x: Tensor
    e: Tensor
    image: Tensor
    layers: Tensor | None


class DistillDataset:
    """A teacher's embeddings of the distillation corpus, batch by batch, and the images themselves."""

    def __init__(self, corpus: PreparedCorpus, embeddings: Path, device: torch.device, layers: bool) -> None:
        def array(name: str) -> Gather:
            return Gather(ShardedArray(embeddings / name), device)

        self._x, self._e, self._images = array("distil_x"), array("distil_e"), array("distil_images")
        self._layers = array("distil_layers") if layers else None
        self.pictures = corpus.pictures("distil")
        self.image_rows = corpus.captions("distil")["image"].to_numpy(dtype=np.int64, copy=True)

    def english(self, rows: np.ndarray) -> Tensor:
        """T(e) of the captions `rows`, [N, D]."""
        return self._e(rows)

    def images(self, rows: np.ndarray) -> Tensor:
        """T(v) of the images of the captions `rows`, [N, D]."""
        return self._images(self.image_rows[rows])

    def __call__(self, rows: np.ndarray) -> TeacherBatch:
        """Of the captions `rows` [N]."""
        layers = self._layers(rows) if self._layers is not None else None
        return TeacherBatch(self._x(rows), self.english(rows), self.images(rows), layers)


def token_ids(model: DualEncoder, texts: Sequence[str]) -> Tensor:
    """[M, L] int32, half the size of what `tokenize` returns."""
    starts = range(0, len(texts), TOGETHER)
    return torch.cat([model.tokenize(texts[start : start + TOGETHER]).to(torch.int32) for start in starts])
