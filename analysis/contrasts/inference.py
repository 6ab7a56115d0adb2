"""Estimates and standard errors in; intervals, p values and their adjustment out.

A family is a set of contrasts whose verdicts are to be right together. Its p values and its intervals come from one
function, the chance that the largest |t| of the family is larger than a value: an adjusted p is that chance at the
row's |t|, and the interval reaches as far as the |t| at which the chance is the level. So an interval leaves out 0
just where its adjusted p is under the level, and lies within the smallest effect just where p_equivalent is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special, stats

NO_SPREAD = 1e-9
"""Points. A standard error below it is rounding: scores that do not vary carry no interval and no p."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Largest:
    """The distribution of the largest |t| of a family, for a row with its own degrees of freedom.

    `nodes` and `weights` [k] are a sample of max |Z| (of max |direction| / s where `own`, with `size` dimensions),
    drawn together where it is dense. `tests` is the number of contrasts: every chance is held between that of one
    contrast and Bonferroni's, which are exact bounds.
    """

    nodes: Array
    weights: Array
    tests: int
    own: bool = False

    def chance(self, t: float, df: float) -> float:
        """P(max |t_j| > t) for a row of `df` degrees of freedom; decreasing in t."""
        plain = float(2 * stats.t.sf(t, df))
        if self.tests == 1:
            return plain
        value = max(t, 1e-12)
        if self.own:
            inside = special.chdtrc(self.tests, (value / self.nodes) ** 2)
        else:
            inside = special.chdtr(df, df * (self.nodes / value) ** 2)
        return float(np.clip(inside @ self.weights, plain, min(1.0, plain * self.tests)))

    def critical(self, level: float, df: float) -> float:
        """The t at which `chance` is `level`."""
        low, high = (float(stats.t.isf(level / 2 / tests, df)) for tests in (1, self.tests))
        if self.tests == 1 or high <= low:
            return low
        # At the ends the chance is at least, and at most, the level: the bounds of `chance` say so.
        if self.chance(high, df) >= level:
            return high
        if self.chance(low, df) <= level:
            return low
        return float(optimize.brentq(lambda t: self.chance(t, df) - level, low, high, xtol=1e-10))


def dunnett(t: np.ndarray, df: np.ndarray, correlation: np.ndarray, power: int = 14) -> np.ndarray:
    """Single-step p values of |t| [m] under a multivariate t of the given correlation [m, m].

    Each contrast uses its own degrees of freedom, as R's emmeans does.
    """
    found = largest(correlation, power)
    return np.array([found.chance(abs(value), nu) for value, nu in zip(t, df, strict=True)])


def largest(correlation: np.ndarray, power: int = 14) -> Largest:
    """The largest |t| under a multivariate t: one standard deviation in all contrasts, as in Dunnett's test.

    With Z normal and s = chi / sqrt(df), P(max |Z| / s > t) = E[P(s < max |Z| / t)]: the outer mean runs over
    2^power scrambled Sobol points, the inner probability is exact.
    """
    size = len(correlation)
    if size == 1:
        return Largest(np.ones(1), np.ones(1), 1)
    return Largest(*_thinned(np.abs(_normal(size, power) @ _root(correlation).T).max(axis=1)), size)


def dunnett_paired(t: np.ndarray, df: np.ndarray, correlation: np.ndarray, power: int = 13) -> np.ndarray:
    """As `dunnett` where each contrast has a standard deviation of its own, as paired t's have."""
    found = largest_paired(df, correlation, np.arange(len(df)), correlation, power)
    return np.array([found.chance(abs(value), nu) for value, nu in zip(t, df, strict=True)])


def largest_paired(
    df: np.ndarray, correlation: np.ndarray, owner: np.ndarray, spread: np.ndarray, power: int = 13
) -> Largest:
    """The largest |t| where contrasts have standard deviations of their own, as paired t's have.

    One s for all, as in Dunnett's t, would make the contrasts look more alike than they are: with five methods
    and 4 degrees of freedom 7 % of studies without effects had an adjusted p under .05. Here the SDs are those of
    correlated normal residuals; Z is taken apart into direction and length, and the chance that the length reaches
    is exact: P(max |Z_j| / s_j > t) = E[P(chi_k > t / max_j (|direction_j| / s_j))].

    Args:
        df: degrees of freedom of each contrast [m].
        correlation: of the estimates [m, m].
        owner: the standard deviation that a contrast uses [m]; the same method in two places has one.
        spread: correlation of the residuals behind the standard deviations [s, s].
        power: 2^power draws.
    """
    size = len(correlation)
    if size == 1:
        return Largest(np.ones(1), np.ones(1), 1, own=True)
    rng, whole = np.random.default_rng(0), np.ones(len(spread), dtype=int)
    np.maximum.at(whole, owner, np.floor(df).astype(int))
    root, squares = _root(spread), np.zeros((2**power, len(spread)))
    for draw in range(whole.max()):
        squares += (rng.standard_normal((2**power, len(spread))) @ root.T) ** 2 * (draw < whole)
    direction = rng.standard_normal((2**power, size))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    sd = np.sqrt(squares / whole)[:, owner]
    return Largest(*_thinned((np.abs(direction @ _root(correlation).T) / sd).max(axis=1)), size, own=True)


def bonferroni(tests: int) -> Largest:
    """The bound that needs no correlation."""
    return Largest(np.full(1, np.inf), np.ones(1), tests)


def _root(correlation: np.ndarray) -> Array:
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def _thinned(sample: np.ndarray, top: int = 256, bins: int = 512) -> tuple[Array, Array]:
    """Nodes and weights of a sample: its largest values one by one, the means of equal shares of the others."""
    ordered = np.sort(sample)
    parts = np.array_split(ordered[:-top], bins)
    nodes = np.concatenate([[part.mean() for part in parts], ordered[-top:]])
    weights = np.concatenate([[len(part) for part in parts], np.ones(top)]) / len(ordered)
    return nodes, weights


@cache
def _normal(size: int, power: int) -> np.ndarray:
    """Scrambled Sobol points as standard normal ones, [2^power, size]; always the same."""
    uniform = stats.qmc.Sobol(size, rng=np.random.default_rng(0)).random_base2(power)
    return np.asarray(special.ndtri(np.clip(uniform, 1e-12, 1 - 1e-12)))


def detectable(se: pd.Series, df: pd.Series, alpha: float, tests: pd.Series) -> pd.Series:
    """The difference found four times in five, at Bonferroni's level of `tests` tests (a little above Dunnett's)."""
    return (stats.t.isf(alpha / 2 / tests, df) + stats.t.isf(0.2, df)) * se.where(se > NO_SPREAD)


@dataclass(frozen=True)
class Family:
    """Contrasts that are judged together: rows of a table, and the correlation of their estimates.

    `name` stands in the column `family`; `widened` is a Bonferroni factor over other families declared with it.
    With `owner` and `spread` (`largest_paired`) contrasts have standard deviations of their own; without a
    `correlation` they are judged by Bonferroni.
    """

    name: str
    rows: Sequence[int]
    correlation: np.ndarray | None = None
    owner: np.ndarray | None = None
    spread: np.ndarray | None = None
    widened: int = 1

    def largest(self, kept: NDArray[np.bool_], df: np.ndarray) -> Largest:
        """The distribution of the largest |t| among the rows `kept` [len(rows)], of `df` [kept]."""
        if self.correlation is None:
            return bonferroni(int(kept.sum()))
        part = self.correlation[np.ix_(kept, kept)]
        if self.owner is None or self.spread is None:
            return largest(part)
        used, owner = np.unique(self.owner[kept], return_inverse=True)
        return largest_paired(df, part, owner, self.spread[np.ix_(used, used)])


JUDGED = ["ci_low", "ci_high", "p", "p_adjusted", "p_equivalent", "family", "tests"]
"""Columns that `judge` adds."""


def judge(table: pd.DataFrame, families: Sequence[Family], alpha: float, points: float) -> pd.DataFrame:
    """`table` (estimate, se, df) with `JUDGED`: simultaneous over each row's family.

    `points` is the smallest effect of interest; `tests` the number of contrasts that the row is adjusted for.
    Rows of no family keep their estimate and have neither interval nor adjusted p.

    Returns:
        ci_low, ci_high and p_adjusted agree about 0; ci_low, ci_high and p_equivalent agree about +-`points`.
        All are nan where nothing repeats or nothing varies.
    """
    se, df, estimate = (table[c].to_numpy(dtype=float) for c in ("se", "df", "estimate"))
    known = np.isfinite(se) & np.isfinite(df) & (se > NO_SPREAD)
    scale, nu = np.where(known, se, np.nan), np.where(known, df, 1.0)
    size = len(table)
    low, high, adjusted, equivalent = (np.full(size, np.nan) for _ in range(4))
    names, tests = np.full(size, "", dtype=object), np.ones(size)
    inside = (points - np.abs(estimate)) / scale  # how far within +-points, in standard errors
    for family in families:
        index = np.asarray(family.rows, dtype=int)
        names[index], tests[index] = family.name, len(index) * family.widened
        kept = index[known[index]]
        if not len(kept):
            continue
        found = family.largest(known[index], nu[kept])
        critical = {df: found.critical(alpha / family.widened, df) for df in set(nu[kept])}
        for row in kept:
            reach = critical[nu[row]] * scale[row]
            low[row], high[row] = estimate[row] - reach, estimate[row] + reach
            chances = [found.chance(abs(estimate[row]) / scale[row], nu[row])]
            chances.append(found.chance(inside[row], nu[row]) if inside[row] > 0 else 1.0)
            adjusted[row], equivalent[row] = (min(1.0, family.widened * chance) for chance in chances)
    return table.assign(
        ci_low=low, ci_high=high, p=2 * stats.t.sf(np.abs(estimate / scale), nu), p_adjusted=adjusted,
        p_equivalent=equivalent, family=names, tests=tests,
    )  # fmt: skip


def correlation(cov: np.ndarray) -> np.ndarray:
    sd = np.sqrt(np.diag(cov))
    return np.asarray(cov / np.outer(sd, sd))


def holm(p: list[float]) -> list[float]:
    """Holm-adjusted p values; empty in, empty out. statsmodels' collects garbage at every call, 0.05 s each."""
    order = np.argsort(p, kind="stable")
    out = np.empty(len(p))
    out[order] = np.maximum.accumulate(np.asarray(p, dtype=float)[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    return [float(value) for value in out]
