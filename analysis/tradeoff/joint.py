"""How a method's two differences, of consistency and of stability, vary together: what their two rows do not have.

The rows of the table of contrasts give the estimates and their errors; here are the correlation of the two and the
region that holds both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from analysis.contrasts.estimate import Result
from analysis.contrasts.inference import NO_SPREAD
from analysis.mixed.design import Cell, covers

NAMES = ("consistency", "stability")


@dataclass(frozen=True)
class Region:
    """A joint confidence region of (consistency, stability): an ellipse, in points.

    `centre` [2], `cov` [2, 2] of the two estimates, and `radius` in units of their Mahalanobis distance.
    """

    centre: np.ndarray
    cov: np.ndarray
    radius: float

    def outline(self, count: int = 121) -> np.ndarray:
        """Points of the outline, [count, 2]."""
        values, vectors = np.linalg.eigh(self.cov)
        angle = np.linspace(0, 2 * np.pi, count)
        circle = np.column_stack([np.cos(angle), np.sin(angle)])
        return np.asarray(self.centre + self.radius * circle * np.sqrt(np.maximum(values, 0)) @ vectors.T)

    def holds(self, point: Sequence[float]) -> bool:
        """Whether the region holds a point (consistency, stability)."""
        away = np.asarray(point, dtype=float) - self.centre
        return bool(away @ np.linalg.solve(self.cov, away) <= self.radius**2)


@dataclass(frozen=True)
class Differences:
    """Each method minus the control within blocks and languages, of consistency and of stability, on common axes.

    `values` [2, places, seeds, languages, methods] in points, nan where there is none. Scores that exist once per run
    stand under the language "".
    """

    places: list[Cell]
    seeds: list[Any]
    languages: list[str]
    methods: list[str]
    values: np.ndarray

    @classmethod
    def of(cls, results: Sequence[Result], control: str) -> Differences:
        parts = [r.outcome.frame if r.outcome.by_language else r.outcome.frame.assign(language="") for r in results]
        every = pd.concat([part[["arch", "size", "seed", "language", "method"]] for part in parts])
        places = list(dict.fromkeys(zip(every["arch"], every["size"], strict=True)))
        axes = [sorted(set(every[name])) for name in ("seed", "language", "method")]
        number = [{value: i for i, value in enumerate(axis)} for axis in (places, *axes)]
        values = np.full((len(parts), *map(len, number)), np.nan)
        for out, part in zip(values, parts, strict=True):
            keys = [zip(part["arch"], part["size"], strict=True), part["seed"], part["language"], part["method"]]
            index = [np.array([of[key] for key in column]) for of, column in zip(number, keys, strict=True)]
            out[tuple(index)] = part["score"].to_numpy()
        at = axes[2].index(control)
        values = np.delete(values - values[..., at : at + 1], at, axis=-1)
        return cls(places, axes[0], axes[1], [m for m in axes[2] if m != control], values)

    def blocks(self, method: str) -> np.ndarray:
        """Means of the blocks over their languages [2, places, seeds]; nan where one of the two has none."""
        found = _mean(self.values[..., self.methods.index(method)], axis=3)
        return np.where(np.isfinite(found).all(axis=0), found, np.nan)

    def by_language(self, method: str, where: Cell) -> np.ndarray:
        """Means over the blocks of each place, then over the places that `where` covers [2, languages]."""
        here = [covers(where, place) for place in self.places]
        return _mean(_mean(self.values[..., self.methods.index(method)], axis=2)[:, here], axis=1)

    def points(self, method: str, where: Cell) -> pd.DataFrame:
        """The blocks of a place as rows: columns consistency and stability, index (arch, size, seed)."""
        found = self.blocks(method)
        kept = [(i, j) for i, place in enumerate(self.places) if covers(where, place)
                for j in range(len(self.seeds)) if np.isfinite(found[0, i, j])]  # fmt: skip
        index = pd.MultiIndex.from_tuples(
            [(*self.places[i], self.seeds[j]) for i, j in kept], names=["arch", "size", "seed"]
        )
        table = np.array([found[:, i, j] for i, j in kept]).reshape(-1, len(NAMES))
        return pd.DataFrame(table, index, columns=list(NAMES))


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Means over an axis of what is not nan; nan where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=axis) / np.maximum(count, 1), np.nan)


def correlation_of_estimates(
    details: Differences, method: str, where: Cell, random: Sequence[bool]
) -> tuple[float, float]:
    """Correlation of a method's two estimates, and its degrees of freedom.

    Blocks and languages each give both estimates a part of their error. The covariance matrix of the block means
    within architecture and size, over the blocks, and that of the language means, over the languages, add up to that
    of the estimates, but for noise of single scores, which both hold and which is small beside them; the mixed models
    say how large the errors are, and this says how they go together.

    Args:
        details: differences within blocks and languages.
        method: whose.
        where: architecture and size, AVERAGE for all.
        random: for each of the two, whether its languages stand for others.

    Returns:
        nan and 0 where nothing repeats or nothing varies.
    """
    blocks = details.blocks(method)
    counts = np.isfinite(blocks[0]).sum(axis=1)
    here = np.array([covers(where, place) for place in details.places]) & (counts > 0)
    df_blocks = int(np.maximum(counts - 1, 0).sum())
    if df_blocks < 1 or not here.any():
        return np.nan, 0.0
    rest = blocks - _mean(blocks, axis=2)[..., None]
    flat = rest[:, np.isfinite(rest[0])]
    # The spread of blocks is pooled over places, as the models pool it.
    factor = float((1 / counts[here]).sum()) / here.sum() ** 2
    parts = [(flat @ flat.T / df_blocks * factor, float(df_blocks))]
    if any(random):
        means = details.by_language(method, where)
        known = np.isfinite(means)
        shared, count = known.all(axis=0), known.sum(axis=1)
        cov = np.zeros((2, 2))
        for i, chosen in enumerate(random):
            if chosen and count[i] > 1:
                cov[i, i] = means[i, known[i]].var(ddof=1) / count[i]
        if all(random) and shared.sum() > 2:
            together = float(np.cov(means[:, shared])[0, 1])
            cov[0, 1] = cov[1, 0] = together * shared.sum() / count[0] / count[1]
        parts.append((cov, float(max(shared.sum() - 1, 1))))
    total = np.sum([cov for cov, _ in parts], axis=0)
    scale = total[0, 0] * total[1, 1]
    if min(total[0, 0], total[1, 1]) < NO_SPREAD**2:
        return np.nan, 0.0
    # Variance of the covariance where the two do not go together, of independent parts.
    spread = sum(cov[0, 0] * cov[1, 1] / df for cov, df in parts)
    return float(np.clip(total[0, 1] / np.sqrt(scale), -0.99, 0.99)), float(scale / spread)


def joint_region(
    consistency: Mapping[str, Any], stability: Mapping[str, Any], r: float, df: float, alpha: float
) -> Region | None:
    """The ellipse that holds both true differences in 1 - alpha of studies; None where it cannot be given.

    Standard errors and their degrees of freedom are the rows' own, `r` and its `df` those of
    `correlation_of_estimates`. Two blocks' residuals lie on one line: a correlation needs two degrees of freedom.
    """
    se = np.array([consistency["se"], stability["se"]])
    nu = [float(row["df"]) for row in (consistency, stability)]
    if not (np.isfinite(se).all() and (se > NO_SPREAD).all() and np.isfinite([r, *nu]).all() and df >= 2):
        return None
    if abs(r) >= 0.99:
        return None
    cov = np.outer(se, se) * np.array([[1.0, r], [r, 1.0]])
    centre = np.array([consistency["estimate"], stability["estimate"]], dtype=float)
    radius = region_radius(round(nu[0], 1), round(nu[1], 1), round(df, 1), alpha)
    return Region(centre, cov, radius)


@lru_cache(maxsize=512)
def region_radius(df_first: float, df_second: float, df_correlation: float, alpha: float, draws: int = 2**14) -> float:
    """Mahalanobis distance within which both estimates lie in 1 - alpha of studies.

    The two variances and the correlation are drawn as their degrees of freedom say: with one number for all three
    this is Hotelling's T, whose distribution is that of normal estimates over a Wishart matrix. Drawn where the
    estimates do not go together; Hotelling's T is the same wherever they do. The estimates themselves are taken apart
    into direction and length, and the chance that the length reaches is exact: P(T > t) = E[exp(-t^2 / (2 q))], with
    q the squared distance of the direction.
    """
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, draws)
    scale = [np.sqrt(rng.chisquare(min(nu, 1e6), draws) / min(nu, 1e6)) for nu in (df_first, df_second)]
    u, v = np.cos(angle) / scale[0], np.sin(angle) / scale[1]
    nu = df_correlation - 1
    t = rng.standard_normal(draws) / np.sqrt(rng.chisquare(nu, draws) / nu)
    r = t / np.sqrt(nu + t**2)
    q = (u**2 - 2 * r * u * v + v**2) / (1 - r**2)
    return float(optimize.brentq(lambda x: np.exp(-(x**2) / (2 * q)).mean() - alpha, 1e-3, 1e4, xtol=1e-6))
