"""The distillation corpus as its students meet it: the teacher's embeddings, the token ids, the images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from study.data.prepared import PreparedCorpus
from study.distill.shards import ShardedArray
from study.models.dual_encoder import DualEncoder
from study.transfer import pinned, to_device

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

    def drawn(self, rows: np.ndarray) -> Tensor:
        """On the host what `placed` needs of `rows`: themselves, or their values [len(rows), ...] from disk."""
        found = self._from.take(rows) if isinstance(self._from, ShardedArray) else torch.from_numpy(rows)
        return pinned(found, self._device)

    def placed(self, drawn: Tensor) -> Tensor:
        """[N, ...] float32 on the device of what was `drawn`."""
        there = to_device(drawn, self._device)
        return there if isinstance(self._from, ShardedArray) else self._from[there]

    def __call__(self, rows: np.ndarray) -> Tensor:
        """[len(rows), ...] float32 on the device."""
        return self.placed(self.drawn(rows))


@dataclass(frozen=True)
class Drawn:
    """Of a batch of N captions what `DistillDataset.taught` needs, on the host."""

    x: Tensor
    e: Tensor
    image: Tensor
    layers: Tensor | None


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

    def drawn(self, rows: np.ndarray) -> Drawn:
        """What has to be read on the host for the captions `rows` [N]; a thread may do it."""
        layers = self._layers.drawn(rows) if self._layers is not None else None
        return Drawn(self._x.drawn(rows), self._e.drawn(rows), self._images.drawn(self.image_rows[rows]), layers)

    def taught(self, drawn: Drawn) -> TeacherBatch:
        """What was `drawn`, on the device."""
        layers = None
        if self._layers is not None:
            assert drawn.layers is not None
            layers = self._layers.placed(drawn.layers)
        return TeacherBatch(self._x.placed(drawn.x), self._e.placed(drawn.e), self._images.placed(drawn.image), layers)

    def __call__(self, rows: np.ndarray) -> TeacherBatch:
        """Of the captions `rows` [N]."""
        return self.taught(self.drawn(rows))


def token_ids(model: DualEncoder, texts: Sequence[str]) -> Tensor:
    """[M, L] int32, half the size of what `tokenize` returns."""
    starts = range(0, len(texts), TOGETHER)
    return torch.cat([model.tokenize(texts[start : start + TOGETHER]).to(torch.int32) for start in starts])


@dataclass(frozen=True)
class Buckets:
    """The T texts of a batch in parts by length: the columns and number of each, and where its texts stand.

    order: [T] texts, the parts one after another; back: [T] places of the texts in that order. None for one part.
    """

    sizes: tuple[tuple[int, int], ...]
    order: Tensor | None
    back: Tensor | None

    @classmethod
    def of(cls, columns: np.ndarray, parts: int, device: torch.device) -> Buckets:
        """Of texts that need `columns` [T], on the host; as few parts as there are lengths."""
        parts = min(parts, len(np.unique(columns)))
        if parts == 1:
            return cls(((int(columns.max()), len(columns)),), None, None)
        order = np.argsort(columns, kind="stable")
        pieces = np.array_split(order, parts)
        sizes = tuple((int(columns[piece].max()), len(piece)) for piece in pieces)
        there = (pinned(torch.from_numpy(rows), device) for rows in (order, np.argsort(order)))
        return cls(sizes, *there)

    @property
    def longest(self) -> int:
        return self.sizes[-1][0]

    def read(self, encode: Callable[[Tensor], Tensor], ids: Tensor) -> Tensor:
        """`encode` of ids [T, longest] part by part: what it makes of each text, [T, ...]."""
        if self.order is None:
            return encode(ids)
        parts = ids[to_device(self.order, ids.device)].split([count for _, count in self.sizes])
        return self.restored([encode(part[:, :columns]) for part, (columns, _) in zip(parts, self.sizes, strict=True)])

    def restored(self, made: Sequence[Tensor]) -> Tensor:
        """What was made of each part, [T, ...] in the order of the texts."""
        return made[0] if self.back is None else torch.cat(list(made))[to_device(self.back, made[0].device)]


class Captions:
    """The token ids of M captions, on the device, and how long each is, which the host knows."""

    def __init__(self, model: DualEncoder, texts: Sequence[str], device: torch.device) -> None:
        ids = token_ids(model, texts)
        parts = ids.split(TOGETHER)
        self.tokens = torch.cat([(part != model.vocabulary.pad).sum(dim=1) for part in parts]).numpy()
        """[M] tokens that are not padding."""
        self._columns = torch.cat([model.columns(part) for part in parts]).numpy()
        self._ids = ids.to(device)

    def columns(self, rows: np.ndarray) -> np.ndarray:
        """[N] columns that the tower has to read of the captions `rows`."""
        found: np.ndarray = self._columns[rows]
        return found

    def __call__(self, rows: Tensor, longest: int) -> Tensor:
        """[N, longest] int32 on the device, of rows [N] there."""
        return self._ids[rows, :longest]
