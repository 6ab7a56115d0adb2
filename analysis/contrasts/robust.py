"""Checks printed beside the declared test: analyses of run means that assume less.

Both answer for the tested languages only. HC2 with Bell and McCaffrey's degrees of freedom allows every run
its own variance (Bell and McCaffrey 2002, Survey Methodology 28:169; Imbens and Kolesar 2016, Rev. Econ.
Stat. 98:701). The permutation test swaps a method with the control within blocks.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis.contrasts.inference import NO_SPREAD
from analysis.mixed.design import Layout

DRAWS = 9_999
EXACT_BELOW = 14
"""Up to this many blocks every one of the 2^blocks swaps is made, above it `DRAWS` random ones."""

FAR = 6.0
"""Robust standard deviations from the median of its kind at which a run counts as outlying."""

FEWEST_BLOCKS = 6
"""Under 6 blocks no pattern of swaps has a two-sided p below 5 %: the test is not printed."""


def hc2(scores: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Averaged contrasts of run means by least squares on blocks and methods, HC2 errors.

    Args:
        scores: one row a run: arch, size, method, seed, score.

    Returns:
        Columns method, estimate, se, df (Bell-McCaffrey); se is nan where the blocks cannot carry it.
    """
    frame = scores.reset_index(drop=True)
    block = pd.factorize(frame["arch"] + "|" + frame["size"] + "|" + frame["seed"].astype(str))[0]
    key = pd.MultiIndex.from_frame(frame[["arch", "size", "method"]])
    effects = [column for column in layout.columns if column[2] != layout.control and column[:2] in layout.places]
    x = np.column_stack([np.eye(block.max() + 1)[block], *[key == c for c in effects]]).astype(float)
    first = block.max() + 1
    inverse = np.linalg.pinv(x.T @ x)
    hat = x @ inverse @ x.T
    leverage = np.diag(hat)
    residual = frame["score"].to_numpy() - hat @ frame["score"].to_numpy()
    beta = inverse @ x.T @ frame["score"].to_numpy()
    # A run that alone decides a coefficient has leverage 1 and no residual: it tells nothing of the spread.
    told = leverage < 1 - 1e-8
    rows = []
    for method in layout.methods:
        shared = layout.shared(method)
        if not shared:
            continue
        vector = np.zeros(x.shape[1])
        for place in shared:
            vector[first + effects.index((*place, method))] = 1 / len(shared)
        weight = x @ inverse @ vector
        # A run that weighs and tells nothing (a place with one seed) leaves the variance unknown.
        known = told[np.abs(weight) > 1e-10].all()
        weight = np.where(told, weight / np.sqrt(np.where(told, 1 - leverage, 1.0)), 0.0)
        # The estimate is a quadratic form; its df match the first two moments under equal variances.
        form = weight[:, None] * (np.eye(len(frame)) - hat) * weight
        variance, trace, square = float((weight * residual) @ (weight * residual)), np.trace(form), (form**2).sum()
        rows.append({
            "method": method, "estimate": float(vector @ beta),
            "se": np.sqrt(variance) if known and variance > NO_SPREAD**2 else np.nan,
            "df": float(trace**2 / square) if known and square > 0 else np.nan,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=["method", "estimate", "se", "df"])


def intervals(table: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """`table` (estimate, se, df) with ci_low, ci_high and p of the t test; nan where nothing varies."""
    se = table["se"].where(table["se"] > NO_SPREAD)
    half = stats.t.isf(alpha / 2, table["df"]) * se
    t = (table["estimate"] / se).abs()
    return table.assign(
        ci_low=table["estimate"] - half, ci_high=table["estimate"] + half, p=2 * stats.t.sf(t, table["df"])
    )


def swap_test(differences: pd.Series, seed: int = 0) -> float:
    """Two-sided p of the mean difference when a method and the control are swapped within blocks.

    Args:
        differences: indexed by (arch, size, seed), in points; places weigh alike.

    Returns:
        p; nan under `FEWEST_BLOCKS`. Exact up to `EXACT_BELOW` blocks, else from `DRAWS` swaps and the observed one.
    """
    values = differences.dropna()
    if len(values) < FEWEST_BLOCKS:
        return np.nan
    counts = values.groupby(level=["arch", "size"]).transform("size").to_numpy()
    weighted = values.to_numpy() / counts
    observed = abs(weighted.sum())
    if len(values) <= EXACT_BELOW:
        bits = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
        reached = np.abs((2.0 * bits - 1) @ weighted) >= observed - 1e-12
        return float(reached.mean())
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(DRAWS, len(values)))
    return float((1 + (np.abs(signs @ weighted) >= observed - 1e-12).sum()) / (DRAWS + 1))


def outlying(scores: pd.DataFrame) -> tuple[str, ...]:
    """Runs that lie more than `FAR` robust standard deviations from the median of their architecture, size and method.

    The standard deviation comes from the differences between runs of one architecture, size and method: their lower
    quartile times 2.2219 (Rousseeuw and Croux 1993, J. Am. Stat. Assoc. 88:1273), which up to half of the runs may
    spoil. It is that of the method's runs or that of all runs, whichever is larger: a method that is noisier than
    the others has no outlier for that.

    Args:
        scores: one row per run: cell, arch, size, method, score.

    Returns:
        Names of cells, sorted. None is named where fewer than three runs repeat: of two, neither is the odd one.
    """
    gaps: dict[str, list[float]] = {}
    for (_, _, method), values in scores.groupby(["arch", "size", "method"])["score"]:
        i, j = np.triu_indices(len(values), 1)
        gaps.setdefault(str(method), []).extend(np.abs(values.to_numpy()[i] - values.to_numpy()[j]))
    every = [gap for own in gaps.values() for gap in own]
    if not every:
        return ()
    whole = _quartile_scale(every)
    scale = {method: max(_quartile_scale(own) if own else 0.0, whole, NO_SPREAD) for method, own in gaps.items()}
    kind = scores.groupby(["arch", "size", "method"])["score"]
    away = (scores["score"] - kind.transform("median")).abs() / scores["method"].map(scale)
    far = (away > FAR) & (kind.transform("size") >= 3)
    return tuple(sorted(str(cell) for cell in scores.loc[far, "cell"]))


def _quartile_scale(gaps: list[float]) -> float:
    return 2.2219 * float(np.quantile(gaps, 0.25))
