"""Rankings of a gallery, and how much the rankings of two languages overlap.

Average overlaps of two rankings, such as RBO and RankC, have the form
``sum_d c_d |A_d & B_d| / d`` with A_d the first d items. A common item with ranks i and j is in both
prefixes from depth max(i, j) on, so it adds ``w(max(i, j))`` with ``w(m) = sum_{d >= m} c_d / d``.
As w does not increase, ``w(max(i, j)) = min(w(i), w(j))``: once ranks are replaced by weights, the
overlap is a sum of elementwise minima over the gallery.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from study.eval.checks import TIE, FloatArray

WIDE = 8192
"""In a row of more weights most are 0: it is worth the time to leave out the columns of zeros."""

RankArray = NDArray[np.int32]
PairArray = NDArray[np.float64]


def rank_gallery(queries: FloatArray, images: FloatArray, generator: np.random.Generator) -> RankArray:
    """Rank of each image for each query, from 0 for the most similar.

    Equal similarities keep the order of the gallery. A query that cannot tell its images apart (all
    similarities within `checks.TIE`) gets a random order: gallery order, being the same in every
    language, would make a collapsed image tower perfectly consistent.

    Args:
        queries: [N, D] unit vectors; images: [G, D] unit vectors.
        generator: source of the random orders; untouched when no query needs one.

    Returns:
        [N, G], each row a permutation of 0..G-1.
    """
    similarity = queries @ images.T
    blind = np.flatnonzero(similarity.max(axis=1) - similarity.min(axis=1) <= TIE)
    if blind.size:
        similarity[blind] = generator.random((blind.size, len(images)), dtype=np.float32)
    # Sorting one integer that holds (similarity, column) is several times faster than a stable
    # argsort. A float's bits order like a signed integer once negative floats are flipped.
    bits = similarity.view(np.int32)
    ascending = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    keys = (~ascending).astype(np.int64)
    keys <<= 32
    keys |= np.arange(len(images), dtype=np.int64)
    keys.sort(axis=1)
    places = (keys & 0xFFFFFFFF).astype(np.intp)
    places += np.arange(0, places.size, len(images))[:, None]
    ranks = np.empty(similarity.shape, dtype=np.int32)
    ranks.reshape(-1)[places.reshape(-1)] = np.tile(np.arange(len(images), dtype=np.int32), len(queries))
    return ranks


def tail_weights(mass: NDArray[np.float64], length: int) -> FloatArray:
    """[length] weights w by rank (from 0) for the mass c_d on depths 1, 2, ...; 0 beyond the mass.

    `mass` is normalised to sum 1, so that two identical rankings overlap by 1.
    """
    depth = np.arange(1, len(mass) + 1)
    weights = np.zeros(length, dtype=np.float64)
    weights[: len(mass)] = np.cumsum((mass / mass.sum() / depth)[::-1])[::-1]
    return weights.astype(np.float32)


def pairwise_minimum(weights: FloatArray) -> PairArray:
    """[L, L] sums over the columns of `weights` [L, M] >= 0 of the smaller of two rows; diagonal 0."""
    if weights.shape[1] > WIDE:
        weights = weights[:, weights.any(axis=0)]
    total = np.zeros((len(weights), len(weights)))
    smaller = np.empty_like(weights)
    for row in range(len(weights) - 1):
        rest = smaller[row + 1 :]
        np.minimum(weights[row], weights[row + 1 :], out=rest)
        total[row, row + 1 :] = rest.sum(axis=1)
    return total + total.T


def pair_sums(weights: FloatArray) -> NDArray[np.float64]:
    """[Q] sums over pairs of rows and over columns of the smaller weight, of weights [L, Q, G] >= 0.

    Of L sorted values the k-th smallest is the smaller one in L - k pairs.
    """
    ordered = np.sort(np.moveaxis(weights, 0, -1), axis=-1)
    larger = np.arange(len(weights))[::-1].astype(np.float32)
    return np.asarray((ordered @ larger).sum(axis=-1, dtype=np.float64))
