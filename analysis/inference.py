"""Estimates and standard errors in; intervals, p values and their adjustment out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests


def dunnett(t: np.ndarray, df: np.ndarray, correlation: np.ndarray, power: int = 14) -> np.ndarray:
    """Single-step p values of |t| [m] under a multivariate t of the given correlation [m, m].

    Each contrast uses its own degrees of freedom, as R's emmeans does. With Z normal and s = chi / sqrt(df),
    P(max |Z| / s > t) = E[P(s < max |Z| / t)]: the outer mean runs over 2^power scrambled Sobol points, the
    inner probability is exact. The result is held within its exact bounds, the plain p and Bonferroni's.
    """
    size, value = len(t), np.abs(t)
    plain = np.asarray(2 * stats.t.sf(value, df))
    if size == 1:
        return plain
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    uniform = stats.qmc.Sobol(size, rng=np.random.default_rng(0)).random_base2(power)
    normal = stats.norm.ppf(np.clip(uniform, 1e-12, 1 - 1e-12))
    largest = np.abs(normal @ root.T).max(axis=1)
    floor = np.maximum(value, 1e-12)
    raw = [float(stats.chi2.cdf(nu * (largest / v) ** 2, nu).mean()) for v, nu in zip(floor, df, strict=True)]
    return np.asarray(np.clip(raw, plain, np.minimum(1.0, plain * size)))


def finish(raw: pd.DataFrame, families: list[tuple[list[int], np.ndarray]], alpha: float, points: float) -> None:
    """Add interval, p, adjusted p, smallest detectable effect and equivalence p to `raw`, in place."""
    se, df, estimate = (raw[c].to_numpy(dtype=float) for c in ("se", "df", "estimate"))
    known = np.isfinite(se) & np.isfinite(df) & (se > 0)
    nu = np.where(known, df, 1.0)
    scale = np.where(known, se, np.nan)
    half = stats.t.isf(alpha / 2, nu) * scale
    raw["ci_low"], raw["ci_high"] = estimate - half, estimate + half
    t = estimate / scale
    raw["p"] = 2 * stats.t.sf(np.abs(t), nu)
    raw["mde"] = (stats.t.isf(alpha / 2, nu) + stats.t.isf(0.2, nu)) * scale
    raw["p_equivalent"] = np.maximum(
        stats.t.sf((estimate + points) / scale, nu), stats.t.cdf((estimate - points) / scale, nu)
    )
    adjusted = np.full(len(raw), np.nan)
    for rows, correlation in families:
        index = np.array(rows)
        good = known[index]
        if good.any():
            kept = index[good]
            adjusted[kept] = dunnett(t[kept], nu[kept], correlation[np.ix_(good, good)])
    raw["p_adjusted"] = adjusted


def correlation(cov: np.ndarray) -> np.ndarray:
    sd = np.sqrt(np.diag(cov))
    return np.asarray(cov / np.outer(sd, sd))


def holm(p: list[float]) -> list[float]:
    """Holm-adjusted p values; empty in, empty out."""
    return [float(v) for v in multipletests(p, method="holm")[1]] if p else []
