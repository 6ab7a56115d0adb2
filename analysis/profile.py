"""Scores of whole runs without a model: interquartile mean, probability of improvement, performance profile.

After Agarwal et al. 2021 (arXiv 2108.13264), with runs in place of runs and arch x size in place of tasks;
intervals are percentile bootstraps that resample runs within arch x size.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

DRAWS = 2_000
COLUMNS = ["method", "iqm", "iqm_low", "iqm_high", "improvement", "improvement_low", "improvement_high"]


def summary(scores: pd.DataFrame, methods: list[str], control: str, higher_is_better: bool = True) -> pd.DataFrame:
    """Interquartile mean of runs and probability of improvement over the control, with 95 % intervals.

    Args:
        scores: one row a run: arch, size, method, seed, score.

    Returns:
        `COLUMNS`; the probability is that of a random run of the method against a random run of the control in
        the same arch and size (ties count a half), averaged over those that have both; nan for the control.
    """
    rng = np.random.default_rng(0)
    runs = {
        method: {place: part["score"].to_numpy() for place, part in frame.groupby(["arch", "size"])}
        for method, frame in scores.groupby("method")
    }
    drawn = {
        method: {place: rng.choice(values, size=(DRAWS, len(values))) for place, values in places.items()}
        for method, places in runs.items()
    }
    rows = []
    for method in methods:
        if method not in runs:
            continue
        every = np.concatenate(list(drawn[method].values()), axis=1)
        middle = stats.trim_mean(np.concatenate(list(runs[method].values())), 0.25)
        low, high = np.quantile(stats.trim_mean(every, 0.25, axis=1), [0.025, 0.975])
        better = [np.nan] * 3
        shared = [place for place in runs[method] if place in runs.get(control, {})]
        if method != control and shared:
            sign = 1.0 if higher_is_better else -1.0
            observed = [_ahead(sign * runs[method][c][None], sign * runs[control][c][None]) for c in shared]
            again = [_ahead(sign * drawn[method][c], sign * drawn[control][c]) for c in shared]
            ends = np.quantile(np.mean(again, axis=0), [0.025, 0.975])
            better = [float(np.mean(observed)), float(ends[0]), float(ends[1])]
        rows.append([method, float(middle), float(low), float(high), *better])
    return pd.DataFrame(rows, columns=COLUMNS)


def _ahead(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Share of pairs of runs in which ours is ahead [draws], of [draws, runs] each."""
    gap = ours[:, :, None] - theirs[:, None, :]
    return np.asarray(((gap > 0) + 0.5 * (gap == 0)).mean(axis=(1, 2)))


def profile(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of `values` [n] above each threshold [m]."""
    return np.asarray((values[None, :] > thresholds[:, None]).mean(axis=1))
