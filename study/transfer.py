"""Between host and device without waiting: pinned copies, reading ahead, results a block late.

Whatever reads a device's value on the host, and every copy from ordinary memory, lets a GPU run dry: the host waits
until all that was queued is done, and queues nothing meanwhile. On a CPU nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

AHEAD = 2
"""Steps that are read ahead: one waits while the next is made."""


def waits(device: torch.device) -> bool:
    """Whether the device computes beside the host, which then must not wait for it."""
    return device.type == "cuda"


def pinned(values: Tensor, device: torch.device) -> Tensor:
    """`values` on the host, where the device can fetch them by itself."""
    return values.pin_memory() if waits(device) else values


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A copy of host tensor `values` on the device; the host does not wait for it."""
    return pinned(values, device).to(device, non_blocking=True)


def to_host(blocks: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Each block as float32 on the host, in order; a GPU computes the next one while one is fetched."""
    coming: tuple[Tensor, torch.cuda.Event] | None = None
    for block in blocks:
        if not waits(device):
            yield block.float().cpu()
            continue
        values = block.float()
        copy = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        copy.copy_(values, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record(torch.cuda.current_stream(device))
        if coming is not None:
            yield _arrived(*coming)
        coming = copy, arrived
    if coming is not None:
        yield _arrived(*coming)


def _arrived(copy: Tensor, event: torch.cuda.Event) -> Tensor:
    event.synchronize()
    return copy


class Ahead(Generic[T]):
    """`make(step)` for one step after another, made in a thread before it is asked for.

    A step may be asked for in any order; what is not the next one is made when asked for. `threaded` is for
    devices that compute beside the host: elsewhere a thread would only take the core from the step.
    """

    def __init__(self, make: Callable[[int], T], steps: int, threaded: bool) -> None:
        self._make, self._steps = make, steps
        self._pool = ThreadPoolExecutor(1, "ahead") if threaded else None
        self._coming: dict[int, Future[T]] = {}

    def __call__(self, step: int) -> T:
        """What `make` returns for `step`, or raises."""
        if self._pool is None:
            return self._make(step)
        wanted = range(step, min(step + 1 + AHEAD, self._steps))
        for old in set(self._coming).difference(wanted):
            self._coming.pop(old).cancel()
        for number in (step, *wanted):
            if number not in self._coming:
                self._coming[number] = self._pool.submit(self._make, number)
        return self._coming.pop(step).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
