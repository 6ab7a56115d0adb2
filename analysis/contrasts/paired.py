"""Differences from the control within blocks, one score a run: exact tests that need no model of languages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.contrasts.inference import NO_SPREAD, Family, correlation
from analysis.mixed.design import Layout, contrast_places, covers

Judge = Callable[[str, Sequence[int], int], Family]
"""Makes a family of rows of a contrast table: name, rows, Bonferroni factor."""


def run_means(frame: pd.DataFrame, keep: tuple[str, ...] = ()) -> pd.DataFrame:
    """One score a run, averaged over its languages: arch, size, method, seed, the columns `keep`, score.

    Where runs lack languages, only those that every run has are averaged, if there are any: a run without a
    poor language would look better for it.
    """
    if "language" in frame.columns:
        counts = frame["language"].value_counts()
        shared = counts.index[counts == frame["cell"].nunique()]
        frame = frame[frame["language"].isin(shared)] if len(shared) else frame
    return frame.groupby(["arch", "size", "method", "seed", *keep])["score"].mean().reset_index()


def paired_differences(scores: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Differences from the control within blocks.

    Args:
        scores: one row a run: arch, size, method, seed and score.

    Returns:
        A frame indexed by (arch, size, seed) with a column for each method; empty where a run is missing.
    """
    wide = scores.pivot_table(index=["arch", "size", "seed"], columns="method", values="score", observed=True)
    present = [m for m in layout.methods if m in wide.columns]
    return wide[present].sub(wide[layout.control], axis=0).dropna(how="all")


def contrast_table(differences: pd.DataFrame, layout: Layout) -> tuple[pd.DataFrame, Judge]:
    """Paired t of every method in every row of `contrast_places`; a method's variance is pooled over places.

    Args:
        differences: from `paired_differences`.
        layout: the places.

    Returns:
        Columns arch, size, method, estimate, se, df; and what makes a family of some of the rows.
    """
    records: list[dict[str, Any]] = []
    by_place = differences.groupby(["arch", "size"])
    residuals = differences - by_place.transform("mean")
    counts, means = by_place.count(), by_place.mean()
    methods = list(differences.columns)
    df = {m: int((counts[m] - 1).clip(lower=0).sum()) for m in methods}
    sd = {m: float(np.sqrt((residuals[m] ** 2).sum() / df[m])) if df[m] > 0 else np.nan for m in methods}
    weights, owners = [], []  # of each row: what a block of a place weighs in it, and whose differences they are
    for place in contrast_places(layout):
        inside = np.array([covers(place, cell) for cell in counts.index])
        for owner, method in enumerate(methods):
            here = inside & (counts[method] > 0).to_numpy()
            if not here.any():
                continue
            n = counts.loc[here, method]
            estimate, factor = float(means.loc[n.index, method].mean()), float(np.sqrt((1 / n).sum()) / len(n))
            se = 0.0 if sd[method] * factor < NO_SPREAD else sd[method] * factor
            records.append({"arch": place[0], "size": place[1], "method": method, "estimate": estimate, "se": se,
                            "df": float(df[method]) if df[method] else np.nan})  # fmt: skip
            owners.append(owner)
            weights.append(np.where(here, 1 / counts[method].clip(lower=1) / len(n), 0.0))
    # The correlation is estimated where the residuals can carry it; else Dunnett's 1/2 for equal variances.
    if min(df.values()) >= 10 and all(sd[m] > NO_SPREAD for m in methods):
        spread = residuals.corr(min_periods=3).fillna(0.5).to_numpy()
    else:
        spread = np.full((len(methods), len(methods)), 0.5) + 0.5 * np.eye(len(methods))
    owner_of, weight = np.array(owners), np.array(weights)
    present = differences.notna().to_numpy().astype(float)
    where = (by_place.ngroup().to_numpy() == np.arange(by_place.ngroups)[:, None]).astype(float)
    shared = np.einsum("cb,bi,bj->cij", where, present, present)  # blocks of a place that two methods both have

    def family(name: str, rows: Sequence[int], widened: int) -> Family:
        chosen = owner_of[list(rows)]
        pairs = shared[:, chosen][:, :, chosen]
        cov = np.einsum("ic,jc,cij->ij", weight[list(rows)], weight[list(rows)], pairs) * spread[np.ix_(chosen, chosen)]
        return Family(name, rows, correlation(cov), chosen, spread, widened)

    return pd.DataFrame(records), family


def hotelling(differences: pd.DataFrame) -> dict[str, tuple[float, int, float, float]]:
    """Hotelling's test that no method differs from the control, on complete blocks; empty if they are too few."""
    complete = differences.dropna()
    if complete.empty:
        return {}
    by_place = complete.groupby(["arch", "size"])
    nu, k = len(complete) - by_place.ngroups, complete.shape[1]
    if nu < k:
        return {}
    residuals = (complete - by_place.transform("mean")).to_numpy()
    cov = residuals.T @ residuals / nu * float((1 / by_place.size()).sum()) / by_place.ngroups**2
    mean = by_place.mean().mean().to_numpy()
    if np.linalg.matrix_rank(cov) < k:
        return {}
    f = float(mean @ np.linalg.solve(cov, mean)) * (nu - k + 1) / (k * nu)
    return {"method": (f, k, float(nu - k + 1), float(stats.f.sf(f, k, nu - k + 1)))}
