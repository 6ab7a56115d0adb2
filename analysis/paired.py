"""Differences from the control within blocks, one score a run: exact tests that need no model of languages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.inference import finish
from analysis.layout import AVERAGE, Layout, contrast_places


def run_means(frame: pd.DataFrame) -> pd.DataFrame:
    """One score a run, averaged over its languages: arch, size, method, seed, score.

    Where runs lack languages, only those that every run has are averaged, if there are any: a run without a
    poor language would look better for it.
    """
    if "language" in frame.columns:
        counts = frame["language"].value_counts()
        shared = counts.index[counts == frame["cell"].nunique()]
        frame = frame[frame["language"].isin(shared)] if len(shared) else frame
    return frame.groupby(["arch", "size", "method", "seed"])["score"].mean().reset_index()


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


def contrast_table(differences: pd.DataFrame, layout: Layout, alpha: float, points: float) -> pd.DataFrame:
    records: list[dict[str, Any]] = []
    families = []
    by_place = differences.groupby(["arch", "size"])
    residuals = differences - by_place.transform("mean")
    counts = by_place.count()
    df = {m: int((counts[m] - 1).clip(lower=0).sum()) for m in differences.columns}
    sd = {m: float(np.sqrt((residuals[m] ** 2).sum() / df[m])) if df[m] > 0 else np.nan for m in differences.columns}
    for place in contrast_places(layout):
        rows, methods = [], []
        for method in differences.columns:
            n = counts.loc[counts[method] > 0, method]
            means = by_place[method].mean()
            if place[0] == AVERAGE:
                estimate, factor = float(means[n.index].mean()), float(np.sqrt((1 / n).sum()) / max(len(n), 1))
            elif place in n.index:
                estimate, factor = float(means.loc[place]), float(1 / np.sqrt(n.loc[place]))
            else:
                continue
            rows.append(len(records))
            methods.append(method)
            records.append({"arch": place[0], "size": place[1], "method": method, "estimate": estimate,
                            "se": sd[method] * factor, "df": float(df[method]) if df[method] else np.nan})  # fmt: skip
        if not methods:
            continue
        # The correlation is estimated where the residuals can carry it; else Dunnett's 1/2 for equal variances.
        if min(df[m] for m in methods) >= 10 and all(sd[m] > 0 for m in methods):
            correlation = residuals[methods].corr(min_periods=3).fillna(0.5).to_numpy()
        else:
            correlation = np.full((len(methods), len(methods)), 0.5) + 0.5 * np.eye(len(methods))
        families.append((rows, correlation))
    raw = pd.DataFrame(records)
    finish(raw, families, alpha, points)
    return raw


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
