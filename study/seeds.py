"""Random streams derived by name.

Every random choice draws from a stream named by its purpose, so adding one shifts no other.
The streams of splits, initialisation and batch order are never named after a method: within
(architecture, size, seed) every method sees the same draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def entropy(*names: str | int) -> int:
    """128 bits that depend on the names alone, on any machine and in any Python process."""
    joined = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
    return int.from_bytes(hashlib.sha256(joined.encode()).digest()[:16], "big")


def stream(*names: str | int) -> np.random.Generator:
    """The random generator of the purpose called `names`, as in `stream("batches", seed)`."""
    return np.random.default_rng(np.random.SeedSequence(entropy(*names)))


@contextmanager
def torch_stream(*names: str | int) -> Iterator[torch.Generator]:
    """Seed torch's global generator for the purpose called `names`, and restore it afterwards.

    For library code that initialises weights from the global generator.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        yield torch.manual_seed(entropy(*names) % (1 << 63))
