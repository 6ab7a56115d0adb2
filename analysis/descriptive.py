"""Levels with their intervals, for figures that show scores and not differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis.frames import Outcome

LEVEL_COLUMNS = ["arch", "method", "language", "estimate", "low", "high"]


def language_levels(outcome: Outcome, alpha: float) -> pd.DataFrame:
    """Mean score of each architecture, method and language, sizes weighing alike, with an interval over runs.

    The interval is Student's for one language by itself; the variance of runs is pooled over sizes.

    Returns:
        `LEVEL_COLUMNS`, points; low and high are nan where no run repeats.
    """
    keys = ["arch", "method", "language"]
    by_size = outcome.frame.groupby([*keys, "size"])["score"].agg(["mean", "var", "size"])
    by_size = by_size.set_axis(["mean", "variance", "runs"], axis="columns")
    parts = by_size.assign(
        df=by_size["runs"] - 1,
        square=by_size["variance"].fillna(0) * (by_size["runs"] - 1),
        inverse=1 / by_size["runs"],
    ).groupby(level=keys)
    df, cells = parts["df"].sum(), parts.size()
    variance = (parts["square"].sum() / df.where(df > 0)) * parts["inverse"].sum() / cells**2
    half = stats.t.isf(alpha / 2, df.where(df > 0)) * np.sqrt(variance)
    mean = parts["mean"].mean()
    return pd.DataFrame({"estimate": mean, "low": mean - half, "high": mean + half}).reset_index()[LEVEL_COLUMNS]


def share_band(share: np.ndarray, runs: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval for a share of `runs` runs, point by point (Wilson 1927, J. Am. Stat. Assoc. 22:209).

    Args:
        share: observed shares, 0 to 1, of any shape.
        runs: number of runs behind each.
        alpha: level.
    """
    z = float(stats.norm.isf(alpha / 2))
    centre = (share + z**2 / (2 * runs)) / (1 + z**2 / runs)
    half = z / (1 + z**2 / runs) * np.sqrt(share * (1 - share) / runs + z**2 / (4 * runs**2))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
