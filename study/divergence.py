"""A training that cannot go on: noticed at its very step, without waiting for a GPU in each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

EXPLODED = 1e6
"""A loss so many times the first one (or 1, where that is less) is never seen in a training that learns anything."""
NAMED = 128
"""Rows of a batch that are spelled out."""

Batch = Callable[[int], Iterable[int]]
"""The rows of a step, which counts from 0, among the captions or images that are trained on."""


class TrainingError(RuntimeError):
    """The training cannot go on."""


class DivergenceError(TrainingError):
    """Loss or gradients are no longer finite, or the loss has exploded.

    Attributes:
        step: where it was first so, counted from 1.
        reason: one sentence that says so, with the learning rate there.
        batch: rows of that step's batch, or none if nobody knows them.
        hint: what to do, with the declared values.
        rows: of the history until then.
    """

    def __init__(self, step: int, reason: str, batch: Sequence[int] = (), hint: str = "") -> None:
        self.step, self.reason, self.batch, self.hint = step, reason, tuple(batch), hint
        self.rows: list[dict[str, float]] = []
        super().__init__("; ".join(part for part in (reason, hint, self._rows()) if part))

    def _rows(self) -> str:
        if not self.batch:
            return ""
        more = f" and {len(self.batch) - NAMED} more" if len(self.batch) > NAMED else ""
        return f"rows of its batch: {', '.join(map(str, self.batch[:NAMED]))}{more}"

    def hinted(self, hint: str) -> DivergenceError:
        """The same with another hint."""
        found = DivergenceError(self.step, self.reason, self.batch, hint)
        found.rows = self.rows
        return found

    def __reduce__(self) -> tuple[type[DivergenceError], tuple[int, str, tuple[int, ...], str]]:
        return type(self), (self.step, self.reason, self.batch, self.hint)  # a worker's error travels to the pool


class Guard:
    """Keeps each step's loss and gradient norm where they were made, and reads them `every` so many steps.

    On a CPU nothing is gained by waiting, so they are read at once.
    """

    def __init__(self, device: torch.device, every: int) -> None:
        self._every = 1 if device.type == "cpu" else every
        self._kept: list[Tensor] = []
        self.first: float | None = None
        """The first loss, or 1 where that is less; kept in checkpoints, so that a resumed run ends at the same step."""

    def see(self, step: int, loss: Tensor, norm: Tensor) -> tuple[int, str] | None:
        """Take note of `step` [loss and norm: scalars]; the first step that is wrong of those read, and how."""
        self._kept.append(torch.stack([loss.detach().float(), norm.detach().float()]))
        return self.read(step) if len(self._kept) >= self._every else None

    def read(self, step: int) -> tuple[int, str] | None:
        """As `see`, of all that has not been read; `step` is the last that was seen."""
        if not self._kept:
            return None
        values, first = torch.stack(self._kept).tolist(), step - len(self._kept) + 1
        self._kept.clear()
        for number, (loss, norm) in enumerate(values, first):
            if wrong := self._wrong(loss, norm):
                return number, wrong
        return None

    def _wrong(self, loss: float, norm: float) -> str:
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if not math.isfinite(norm):
            return f"the norm of the gradients is {norm}, at a loss of {loss:.4g}"
        if self.first is None:
            self.first = max(1.0, abs(loss))
        if abs(loss) > EXPLODED * self.first:
            return f"the loss is {loss:.4g}, more than {EXPLODED:,.0f} times that of the first step"
        return ""
