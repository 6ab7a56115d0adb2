"""Scores of single test items, for an analysis that takes the items as random too."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from study.eval.checks import frame
from study.records import ITEMS


class ItemScores:
    """Collects one measure's scores of test items; an item's score is the mean over languages (and directions)."""

    def __init__(self) -> None:
        self._means: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}

    def add(self, measure: str, item: ArrayLike, score: ArrayLike) -> None:
        """Scores [K] of the items [K] in one language; several of one item, as of an image's captions, are averaged."""
        items, place = np.unique(np.asarray(item), return_inverse=True)
        mean = np.bincount(place, np.asarray(score, dtype=np.float64)) / np.bincount(place)
        self._means.setdefault(measure, []).append((items, mean))

    def rows(self) -> pd.DataFrame:
        """The columns of `records.ITEMS` less `cell`."""
        parts = []
        for measure, means in self._means.items():
            items, place = np.unique(np.concatenate([items for items, _ in means]), return_inverse=True)
            score = np.bincount(place, np.concatenate([mean for _, mean in means])) / np.bincount(place)
            parts.append(pd.DataFrame({"measure": measure, "item": items.astype(str), "score": score}))
        rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["measure", "item", "score"])
        return frame(ITEMS, {name: rows[name] for name in rows.columns})
