"""Whole numbers in declared proportions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def quotas(weights: Sequence[float], total: int) -> np.ndarray:
    """[K] whole numbers that sum to `total`, in proportion to `weights` [K] up to rounding (largest remainders)."""
    given = np.array(weights, dtype=np.float64)
    exact = given / given.sum() * total
    quota = np.floor(exact).astype(np.int64)
    rest = np.argsort(-(exact - quota), kind="stable")[: total - int(quota.sum())]
    quota[rest] += 1
    return quota
