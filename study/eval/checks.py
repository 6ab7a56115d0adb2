"""What every score asks of its embeddings, and how its rows become a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from study.records import Table

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

TIE = 1e-6
"""Similarities closer than this are tied.

A float32 product of unit vectors is off by a few 1e-7, and by a different amount in each column of
a blocked matrix product. Without a tolerance that rounding would rank the items of a collapsed
model.
"""

NORM_TOLERANCE = 1e-3
"""How far a row's length may be from 1: room for embeddings that were stored as float16."""


class ScoringError(ValueError):
    """The input of a score is not what the score is defined for."""


def unit_rows(name: str, values: ArrayLike, width: int | None = None) -> FloatArray:
    """Return `values` as float32 after checking that its last axis holds unit vectors.

    Args:
        name: what the error message calls the array.
        values: [..., D] embeddings.
        width: D that is asked for; None for any.

    Raises:
        ScoringError: no rows, another D, a value that is not finite, or a row whose length is not 1.
    """
    array = np.ascontiguousarray(values, dtype=np.float32)
    if array.ndim < 2 or array.size == 0:
        raise ScoringError(f"{name}: expected rows of embeddings, got an array of shape {array.shape}")
    if width is not None and array.shape[-1] != width:
        raise ScoringError(f"{name}: embeddings have {array.shape[-1]} dimensions, the images have {width}")
    squared = np.einsum("...d,...d->...", array, array)
    if not np.isfinite(squared).all():
        raise ScoringError(f"{name}: {int((~np.isfinite(squared)).sum())} embeddings are not finite")
    off = np.abs(np.sqrt(squared) - 1.0)
    if off.max() > NORM_TOLERANCE:
        raise ScoringError(f"{name}: embeddings must be L2-normalised; a row is off by {float(off.max()):.3g}")
    return array


def row_index(name: str, values: ArrayLike, rows: int, length: int) -> IntArray:
    """Return `values` as [rows] int64 after checking that it points into an array of `length` rows.

    Raises:
        ScoringError: another shape, not whole numbers, or a number outside [0, length).
    """
    raw = np.asarray(values)
    if raw.shape != (rows,) or not np.issubdtype(raw.dtype, np.integer):
        raise ScoringError(f"{name}: expected {rows} whole numbers, got shape {raw.shape} of {raw.dtype}")
    if rows and (raw.min() < 0 or raw.max() >= length):
        raise ScoringError(f"{name}: values {raw.min()} to {raw.max()} do not all lie in [0, {length})")
    return raw.astype(np.int64)


def frame(table: Table, columns: Mapping[str, object] | Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Return a frame with exactly the columns of `table` less `cell`, in its order and dtypes.

    The caller knows the cell, adds it as a column and validates with `records.check`.
    """
    wanted = [column for column in table.columns if column.name != "cell"]
    raw = pd.DataFrame(columns)
    return pd.DataFrame({c.name: raw[c.name].astype(pd.api.types.pandas_dtype(c.dtype)) for c in wanted})
