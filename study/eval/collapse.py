"""Signs that a model has collapsed: measures that reward sameness rise when these do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from study.eval.checks import FloatArray, frame, unit_rows
from study.records import COLLAPSE

NEIGHBOURS = 10


def collapse_rows(
    images: ArrayLike, texts: Mapping[str, ArrayLike], answers: pd.DataFrame, *, block: int = 1 << 22
) -> pd.DataFrame:
    """Every indicator of `measures.COLLAPSE_INDICATORS` for each language.

    Args:
        images: [G, D] unit vectors, the gallery.
        texts: language -> [Q, D] unit vectors.
        answers: columns language and chosen; may be empty, and then no language has a most frequent answer.
        block: similarities that are held at a time.

    Returns:
        The columns of `records.COLLAPSE` less `cell`.

    Raises:
        ScoringError: embeddings are not unit vectors of one D.
    """
    gallery = unit_rows("images", images)
    rows: list[dict[str, object]] = []
    for language, values in texts.items():
        own = unit_rows(f"texts[{language!r}]", values, gallery.shape[1])
        rows.append({"language": language, "indicator": "effective_rank", "score": effective_rank(own)})
        if len(gallery) > NEIGHBOURS:
            rows.append({"language": language, "indicator": "hubness", "score": hubness(own, gallery, block)})
    for name, chosen in answers.groupby("language", sort=False)["chosen"]:
        share = float(chosen.value_counts(normalize=True).iloc[0])
        rows.append({"language": name, "indicator": "top_answer", "score": share})
    return frame(COLLAPSE, rows)


def effective_rank(embeddings: FloatArray) -> float:
    """exp of the entropy of the normalised singular values of embeddings [Q, D] (Roy and Vetterli 2007, EUSIPCO).

    1 when all point the same way, min(Q, D) when all directions are used alike. They are not centred: a vector that
    all captions share is what this should see.
    """
    gram = embeddings.T.astype(np.float64) @ embeddings
    singular = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0))
    share = singular[singular > 1e-9 * singular.max()] / singular.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def hubness(queries: FloatArray, gallery: FloatArray, block: int = 1 << 22) -> float:
    """Skewness over gallery items of how often each is among a query's 10 nearest (Radovanovic et al. 2010, JMLR 11).

    0 where all are found alike often. A query that cannot tell the items apart finds the first ones, as a hub would
    be found.

    Args:
        queries: [Q, D]; gallery: [G, D], G > 10.
    """
    count = np.zeros(len(gallery), dtype=np.int64)
    step = max(1, block // len(gallery))
    for start in range(0, len(queries), step):
        similarity = queries[start : start + step] @ gallery.T
        nearest = np.argpartition(-similarity, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        count += np.bincount(nearest.reshape(-1), minlength=len(gallery))
    return float(stats.skew(count)) if count.std() > 0 else 0.0
