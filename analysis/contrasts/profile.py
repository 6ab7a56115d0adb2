"""Scores of whole runs without a model: interquartile mean, probability of improvement, performance profile.

After Agarwal et al. 2021 (arXiv 2108.13264), with runs in place of runs and arch x size in place of tasks. Two things
are done otherwise, for a handful of seeds. The interquartile mean trims within each arch x size: scores of a large
and a small model are not on one scale, and trimming them together would drop whole places. And the intervals are
not percentile bootstraps, which hold the true value in 85 % of studies of 3 seeds where 95 % is printed: the
interquartile mean has Student's interval with the winsorised variance (Tukey and McLaughlin 1963, Sankhya A 25:331;
Yuen 1974, Biometrika 61:165), pooled over places as the models pool it, the probability of improvement Newcombe's
score interval (2006, Statist. Med. 25:559, method 5), which has a width where every run of one method is ahead.
`benchmarks/intervals.py` measures what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import optimize, stats

from analysis.contrasts.inference import NO_SPREAD

COLUMNS = ["method", "iqm", "iqm_low", "iqm_high", "improvement", "improvement_low", "improvement_high"]

TRIMMED = 0.25
"""Share of the runs of a place that is cut off at each end; under 4 runs that is none, and the mean stands there."""


def summary(
    scores: pd.DataFrame, methods: list[str], control: str, higher_is_better: bool = True, alpha: float = 0.05
) -> pd.DataFrame:
    """Interquartile mean of runs and probability of improvement over the control, with their intervals.

    Args:
        scores: one row a run: arch, size, method, seed, score.
        methods: in the order of the rows; those without runs have none.
        control: what the others are compared with.
        higher_is_better: whether the higher of two scores is ahead.
        alpha: 1 minus the level of the intervals.

    Returns:
        `COLUMNS`; the probability is that of a random run of the method against a random run of the control in
        the same arch and size (ties count a half), averaged over those that have both; nan for the control. An
        interquartile mean has no interval where no place has two runs left, a probability none where one run
        meets one.
    """
    runs = {
        method: {place: part["score"].to_numpy() for place, part in frame.groupby(["arch", "size"])}
        for method, frame in scores.groupby("method")
    }
    rows = []
    for method in methods:
        if method not in runs:
            continue
        middle = trimmed_mean(list(runs[method].values()), alpha)
        better = (np.nan, np.nan, np.nan)
        shared = [place for place in runs[method] if place in runs.get(control, {})]
        if method != control and shared:
            sign = 1.0 if higher_is_better else -1.0
            better = improvement([(sign * runs[method][c], sign * runs[control][c]) for c in shared], alpha)
        rows.append([method, *middle, *better])
    return pd.DataFrame(rows, columns=COLUMNS)


def trimmed_mean(places: Sequence[np.ndarray], alpha: float) -> tuple[float, float, float]:
    """Mean over places of the trimmed mean of their runs, and its interval.

    Args:
        places: scores of the runs of each place.
        alpha: 1 minus the level.

    Returns:
        Estimate, low and high; nan ends where no place repeats or nothing varies.
    """
    means, kept, squares = [], [], []
    for values in places:
        ordered, cut = np.sort(values), int(TRIMMED * len(values))
        inner = ordered[cut : len(ordered) - cut]
        winsorised = np.clip(ordered, inner[0], inner[-1])
        means.append(float(inner.mean()))
        kept.append(len(inner))
        squares.append(float(((winsorised - winsorised.mean()) ** 2).sum()))
    estimate, df = float(np.mean(means)), sum(kept) - len(kept)
    if df < 1:
        return estimate, np.nan, np.nan
    # Yuen's variance of a trimmed mean, SS_w / (h (h - 1)), with SS_w / (h - 1) pooled over the places.
    se = float(np.sqrt(sum(squares) / df * sum(1 / h for h in kept))) / len(kept)
    if se < NO_SPREAD:
        return estimate, np.nan, np.nan
    half = float(stats.t.isf(alpha / 2, df)) * se
    return estimate, estimate - half, estimate + half


def improvement(places: Sequence[tuple[np.ndarray, np.ndarray]], alpha: float) -> tuple[float, float, float]:
    """Chance that a run of the first kind is ahead of one of the second in the same place, and its interval.

    The mean over places of Mann and Whitney's statistic over its number of pairs. Newcombe's interval holds every p
    that is within a quantile of the estimate, at the standard error that p would give. Student's quantile stands for
    his normal one: 3 runs against 3 are all ahead by chance once in ten times, and 1/2 must not be left out for it.
    That the two runs of a seed share their block makes the interval too wide, never too narrow.

    Args:
        places: for each place the scores of the runs of either kind; more is ahead.
        alpha: 1 minus the level.

    Returns:
        Estimate, low and high; nan ends where a single run meets a single one.
    """
    estimate = float(np.mean([_ahead(ours, theirs) for ours, theirs in places]))
    sizes = [(len(ours), len(theirs)) for ours, theirs in places]
    df = sum(m + n - 2 for m, n in sizes)
    if df < 1:
        return estimate, np.nan, np.nan
    quantile = float(stats.t.isf(alpha / 2, df))

    def away(p: float) -> float:
        return abs(estimate - p) - quantile * float(np.sqrt(sum(_variance(p, m, n) for m, n in sizes))) / len(sizes)

    # At 0 and 1 the standard error is 0, so the distance is positive there and negative at the estimate itself.
    inside = min(max(estimate, 1e-9), 1 - 1e-9)
    low = 0.0 if estimate <= 1e-9 else float(optimize.brentq(away, 0.0, inside))
    high = 1.0 if estimate >= 1 - 1e-9 else float(optimize.brentq(away, inside, 1.0))
    return estimate, low, high


def _variance(p: float, m: int, n: int) -> float:
    """Newcombe's variance of Mann and Whitney's share at a true share p, of m and n scores."""
    mean = (m + n) / 2 - 1
    return p * (1 - p) * (1 + mean * (1 - p) / (2 - p) + mean * p / (1 + p)) / (m * n)


def _ahead(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Share of the pairs of runs in which ours is ahead."""
    gap = ours[:, None] - theirs[None, :]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())


def profile(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of `values` [n] above each threshold [m]."""
    return np.asarray((values[None, :] > thresholds[:, None]).mean(axis=1))
