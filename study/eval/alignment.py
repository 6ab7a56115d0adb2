"""Consistency of the embeddings of parallel captions, without images: two constructs of `consistency`."""

from __future__ import annotations

import numpy as np

from study.eval.checks import FloatArray
from study.eval.rankings import PairArray

NOISE = 1e-5
"""A centred unit vector shorter than this is rounding of the mean."""

HELD = 1 << 24
"""Values that are normalised at a time, over all languages: 64 MB."""


def centre(embeddings: FloatArray) -> FloatArray:
    """Take each language's mean from its embeddings [L, Q, D], in place, and return them.

    What is left of a constant embedding is 0, not rounding.
    """
    for own in embeddings:
        own -= own.mean(axis=0)
        own[np.linalg.norm(own, axis=1) < NOISE] = 0.0
    return embeddings


def centred_cosine(centred: FloatArray, held: int = HELD) -> PairArray:
    """Mean cosine of parallel captions in two languages after subtracting each language's mean.

    In [-1, 1]; higher is more consistent. A caption that equals its language's mean has no direction
    and counts as 0.

    Args:
        centred: [L, Q, D] of `centre`.
        held: values that are normalised at a time.
    """
    languages, queries, width = centred.shape
    total = np.zeros((languages, languages))
    step = max(1, held // (languages * width))
    for start in range(0, queries, step):
        part = centred[:, start : start + step]
        length = np.linalg.norm(part, axis=2, keepdims=True)
        unit = np.divide(part, length, out=np.zeros_like(part), where=length > 0).reshape(languages, -1)
        total += unit @ unit.T
    return total / queries


def linear_cka(centred: FloatArray, block: int = 64) -> PairArray:
    """Linear centred kernel alignment of two languages' captions (Kornblith et al. 2019, ICML).

    ``|X'^T X|^2 / (|X^T X| |X'^T X'|)`` of the column-centred embeddings X [Q, D], which is also
    ``<K, K'> / (|K| |K'|)`` with the Gram matrices K = X X^T: L of those are needed, or L^2 / 2 of the paper's
    products, whichever is less work. In [0, 1]; higher is more consistent; 0 for a language without
    variance. Biased upwards unless D is small against Q: captions with nothing in common but weak image
    signal read 0.56 at Q = 400, D = 512. Compare it between cells of one Q and D only.

    Args:
        centred: [L, Q, D] of `centre`.
        block: rows of the Gram matrices that are held at a time.
    """
    languages, queries, width = centred.shape
    product = _of_grams(centred, block) if 2 * queries <= (languages + 1) * width else _of_columns(centred)
    norm = np.sqrt(np.outer(np.diag(product), np.diag(product)))
    return np.divide(product, norm, out=np.zeros_like(product), where=norm > 0)


def _of_grams(centred: FloatArray, block: int) -> PairArray:
    """[L, L] ``<K, K'>``."""
    languages, queries = centred.shape[:2]
    product = np.zeros((languages, languages))
    for start in range(0, queries, block):
        gram = (centred[:, start : start + block] @ centred.transpose(0, 2, 1)).reshape(languages, -1)
        product += gram @ gram.T
    return product


def _of_columns(centred: FloatArray) -> PairArray:
    """[L, L] ``|X'^T X|^2``."""
    product = np.zeros((len(centred), len(centred)))
    for i, one in enumerate(centred):
        for j, other in enumerate(centred[: i + 1]):
            product[i, j] = product[j, i] = np.square(one.T @ other).sum(dtype=np.float64)
    return product
