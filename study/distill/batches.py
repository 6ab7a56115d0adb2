"""Which items make up the batch of a step: a function of the stream's name and the step alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from study.seeds import stream


class BatchError(ValueError):
    """A batch cannot be drawn."""


class Batches:
    """Random batches of `batch` out of `items`, every item once an epoch (the ragged end is left out).

    names: the stream, for example ("batches", arch, size, seed); never a method.
    """

    def __init__(self, items: int, batch: int, *names: str | int) -> None:
        if batch > items:
            raise BatchError(f"batch of {batch} out of {items} items: give a smaller batch or more items")
        self.items, self.batch, self.names = items, batch, names
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def _shuffled(self, epoch: int) -> np.ndarray:
        return stream(*self.names, epoch).permutation(self.items)

    def __call__(self, step: int) -> np.ndarray:
        """Item numbers [batch] of `step`, which counts from 0."""
        epoch, place = divmod(step, self.items // self.batch)
        return self._order(epoch)[place * self.batch : (place + 1) * self.batch]
