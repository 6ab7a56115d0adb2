"""What stands beside the differences from the control: marginal means, all pairs, standardised differences."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.contrasts.inference import Family, correlation, judge
from analysis.contrasts.robust import intervals
from analysis.mixed import model as mixed
from analysis.mixed.design import Layout, contrast_places, covers

MEAN_COLUMNS = ["arch", "size", "method", "estimate", "se", "df", "ci_low", "ci_high"]
PAIR_COLUMNS = ["first", "second", "estimate", "se", "df", "ci_low", "ci_high", "p", "p_adjusted"]


def mixed_means(fit: mixed.MixedFit, layout: Layout, alpha: float) -> pd.DataFrame:
    """Estimated marginal means of the crossed model, in each place and averaged; columns `MEAN_COLUMNS`.

    An average weighs the places of a method alike; a method that is missing somewhere has its own average.
    """
    records, vectors = [], []
    for place in contrast_places(layout):
        for method in (layout.control, *layout.methods):
            ran = [c for c in layout.columns if c[2] == method and covers(place, c[:2])]
            if ran:
                vector = np.zeros(len(fit.beta))
                vector[[layout.columns.index(c) for c in ran]] = 1 / len(ran)
                records.append({"arch": place[0], "size": place[1], "method": method})
                vectors.append(vector)
    table = pd.DataFrame(records).join(fit.contrast(np.array(vectors)))
    return intervals(table, alpha)[MEAN_COLUMNS]


def run_level_means(scores: pd.DataFrame, layout: Layout, alpha: float) -> pd.DataFrame:
    """Means of runs with the spread of each method's runs within arch x size; columns `MEAN_COLUMNS`.

    Args:
        scores: one row a run: arch, size, method, seed, score.
    """
    records: list[dict[str, Any]] = []
    runs = {key: part.to_numpy() for key, part in scores.groupby(["arch", "size", "method"])["score"]}
    for place in contrast_places(layout):
        for method in (layout.control, *layout.methods):
            every = [runs[c] for c in layout.columns if c[2] == method]
            here = [runs[c] for c in layout.columns if c[2] == method and covers(place, c[:2])]
            if not here:
                continue
            df = float(sum(len(values) - 1 for values in every)) or np.nan
            within = sum(float(((values - values.mean()) ** 2).sum()) for values in every) / df
            se = float(np.sqrt(within * sum(1 / len(values) for values in here))) / len(here)
            estimate = float(np.mean([values.mean() for values in here]))
            records.append({"arch": place[0], "size": place[1], "method": method, "estimate": estimate, "se": se,
                            "df": df})  # fmt: skip
    return intervals(pd.DataFrame(records), alpha)[MEAN_COLUMNS]


def mixed_pairs(fit: mixed.MixedFit, layout: Layout, alpha: float) -> pd.DataFrame:
    """Every pair of methods but the control, averaged over the places that both have; columns `PAIR_COLUMNS`.

    Intervals and adjusted p are simultaneous over all pairs (multivariate t, as Tukey's). Differences from the
    control are in the table of contrasts, and nowhere else.
    """
    records: list[dict[str, Any]] = []
    vectors = []
    for first, second in combinations(layout.methods, 2):
        both = [c for c in layout.places if {(*c, first), (*c, second)} <= set(layout.columns)]
        if both:
            vector = np.zeros(len(fit.beta))
            vector[[layout.columns.index((*c, second)) for c in both]] = 1 / len(both)
            vector[[layout.columns.index((*c, first)) for c in both]] = -1 / len(both)
            records.append({"first": first, "second": second})
            vectors.append(vector)
    if not records:
        return pd.DataFrame(columns=PAIR_COLUMNS)
    matrix = np.array(vectors)
    return _judged(pd.DataFrame(records).join(fit.contrast(matrix)), alpha, correlation(matrix @ fit.cov @ matrix.T))


def run_level_pairs(scores: pd.DataFrame, layout: Layout, alpha: float) -> pd.DataFrame:
    """As `mixed_pairs`, from one score a run: paired t within blocks, each pair with its own variance; Bonferroni."""
    wide = scores.pivot_table(index=["arch", "size", "seed"], columns="method", values="score")
    records = []
    for first, second in combinations([m for m in layout.methods if m in wide.columns], 2):
        values = (wide[second] - wide[first]).dropna()
        if values.empty:
            continue
        by_place = values.groupby(level=["arch", "size"])
        count, df = by_place.size(), len(values) - by_place.ngroups
        rest = values - by_place.transform("mean")
        se = float(np.sqrt((rest**2).sum() / df * (1 / count).sum())) / by_place.ngroups if df else np.nan
        records.append({"first": first, "second": second, "estimate": float(by_place.mean().mean()), "se": se,
                        "df": float(df) if df else np.nan})  # fmt: skip
    return _judged(pd.DataFrame(records, columns=["first", "second", "estimate", "se", "df"]), alpha)


def by_cell(scores: pd.DataFrame, methods: list[str], control: str, alpha: float) -> pd.DataFrame:
    """Differences from the control of a score that has one value a cell (arch x size x method), over the cells.

    Such a score (churn over seeds) has no runs to repeat it: the places are the only replicates, and what
    the interval speaks of is places like these.

    Args:
        scores: columns arch, size, method, score.

    Returns:
        Columns method, places, estimate, se, df, ci_low, ci_high, p, p_adjusted, simultaneous over the methods
        (Bonferroni); no interval where there is one place.
    """
    wide = scores.pivot_table(index=["arch", "size"], columns="method", values="score")
    records = []
    for method in methods:
        if method == control or not {method, control} <= set(wide.columns):
            continue
        gap = (wide[method] - wide[control]).dropna()
        if len(gap):
            se = float(gap.std(ddof=1) / np.sqrt(len(gap))) if len(gap) > 1 else np.nan
            df = float(len(gap) - 1) if len(gap) > 1 else np.nan
            records.append({"method": method, "places": len(gap), "estimate": float(gap.mean()), "se": se, "df": df})
    columns = ["method", "places", "estimate", "se", "df"]
    judged = judge(pd.DataFrame(records, columns=columns), [Family("", range(len(records)))], alpha, np.nan)
    return judged[[*columns, "ci_low", "ci_high", "p", "p_adjusted"]]


def _judged(table: pd.DataFrame, alpha: float, matrix: np.ndarray | None = None) -> pd.DataFrame:
    return judge(table, [Family("", range(len(table)), matrix)], alpha, np.nan)[PAIR_COLUMNS]


def spread_of_differences(differences: pd.DataFrame) -> pd.Series:
    """SD of each method's differences from the control between blocks of one arch x size; nan without repeats.

    An estimate over it is Cohen's d_z (Lakens 2013, Front. Psychol. 4:863): in how many SDs of a single
    paired run the difference is.
    """
    by_place = differences.groupby(["arch", "size"])
    df = (by_place.count() - 1).clip(lower=0).sum()
    squares = ((differences - by_place.transform("mean")) ** 2).sum()
    return (squares / df.where(df > 0)) ** 0.5
