"""What retrieval consistency costs in VQA stability: the two rows of the table of contrasts, read together.

Nothing is estimated anew: a trade-off holds the consistency row and the stability row of one method in one place,
with their intervals and adjusted p values, and every verdict follows from those. How the two vary together is in
`joint`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.contrasts.estimate import LIKE_THESE, Result, rows
from analysis.contrasts.inference import NO_SPREAD, Family, judge
from analysis.contrasts.verdict import UNKNOWN, joint_verdict, verdict
from analysis.mixed.design import AVERAGE, Cell
from analysis.settings import AnalysisSettings
from analysis.tradeoff.joint import NAMES, Differences, Region, correlation_of_estimates, joint_region


@dataclass(frozen=True)
class Tradeoff:
    """One method's consistency and stability minus the control's, in one place or averaged over all.

    `consistency` and `stability` are rows of `Result.contrasts`; `populations` is what each of them speaks of.
    `correlation` is that of the two estimates, on `correlation_df` degrees of freedom; `region` holds both true
    differences with the level's confidence, None where too few blocks repeat. `verdict` is `verdict.joint_verdict` of
    the two rows' verdicts. `p_tradeoff` is the p of "consistency up and stability down": where the estimates have
    those signs the larger of the two adjusted p (intersection-union test), else 1; `p_both` the larger of the two
    whatever their signs. `task` is the difference stability minus consistency (estimate, se, df and
    `inference.JUDGED`, Bonferroni over the methods). `points` are the blocks' differences, columns consistency and
    stability, indexed by (arch, size, seed).
    """

    method: str
    arch: str
    size: str
    consistency: Mapping[str, Any]
    stability: Mapping[str, Any]
    populations: tuple[str, str]
    correlation: float
    correlation_df: float
    region: Region | None
    verdict: str
    p_tradeoff: float
    p_both: float
    task: Mapping[str, Any]
    points: pd.DataFrame

    @property
    def mean(self) -> np.ndarray:
        """The two estimates [2]."""
        return np.array([self.consistency["estimate"], self.stability["estimate"]])

    @property
    def place(self) -> Cell:
        return self.arch, self.size

    def ellipse(self, count: int = 121) -> np.ndarray:
        """Outline of the region [count, 2]; empty where there is none."""
        return self.region.outline(count) if self.region is not None else np.empty((0, 2))


def analyse(consistency: Result, stability: Result, settings: AnalysisSettings) -> list[Tradeoff]:
    """The trade-off of every method, averaged and in each architecture and size; in the order of the contrasts."""
    pair = (consistency, stability)
    first, second = ({(r["arch"], r["size"], r["method"]): r for r in rows(result.contrasts)} for result in pair)
    details = Differences.of(pair, settings.control)
    random = [r.population == LIKE_THESE for r in pair]
    found = []
    for (arch, size, method), row in first.items():
        if (arch == AVERAGE) != (size == AVERAGE) or (arch, size, method) not in second:
            continue
        correlation = correlation_of_estimates(details, method, (arch, size), random)
        both = {"consistency": row, "stability": second[arch, size, method]}
        points = details.points(method, (arch, size))
        populations = (consistency.population, stability.population)
        found.append(_together((method, arch, size), both, correlation, points, populations, settings.alpha))
    return _with_task(found, settings.alpha)


def _together(
    named: tuple[str, str, str],
    row: Mapping[str, Mapping[str, Any]],
    correlation: tuple[float, float],
    points: pd.DataFrame,
    populations: tuple[str, str],
    alpha: float,
) -> Tradeoff:
    """`named`: method, arch and size; `correlation`: of the two estimates, with its degrees of freedom."""
    up, down = row["consistency"], row["stability"]
    both = max(up["p_adjusted"], down["p_adjusted"])
    said = joint_verdict(verdict(up, alpha), verdict(down, alpha))
    if said == UNKNOWN:
        both = np.nan
    cost = both if not np.isfinite(both) or (up["estimate"] > 0 > down["estimate"]) else 1.0
    region = joint_region(up, down, *correlation, alpha)
    return Tradeoff(*named, up, down, populations, *correlation, region, said, cost, both, {}, points)


def _with_task(found: list[Tradeoff], alpha: float) -> list[Tradeoff]:
    """The same with stability minus consistency, the averages one family and all places another."""
    records = []
    for t in found:
        a, b = t.consistency["se"], t.stability["se"]
        se = float(np.sqrt(max(a**2 + b**2 - 2 * t.correlation * a * b, 0.0))) if np.isfinite(t.correlation) else np.nan
        df = min(t.consistency["df"], t.stability["df"])
        records.append({"estimate": float(t.mean[1] - t.mean[0]), "se": se, "df": df})
    if not records:
        return []
    whole = np.array([t.arch == AVERAGE for t in found])
    families = [Family(name, list(np.flatnonzero(which))) for name, which in
                (("stability minus consistency, average", whole),
                 ("stability minus consistency, by architecture and size", ~whole)) if which.any()]  # fmt: skip
    judged = rows(judge(pd.DataFrame(records), families, alpha, np.nan))
    return [Tradeoff(**{**t.__dict__, "task": task}) for t, task in zip(found, judged, strict=True)]


def averages(found: Sequence[Tradeoff]) -> list[Tradeoff]:
    """The trade-offs averaged over architectures and sizes."""
    return [t for t in found if t.arch == AVERAGE]


def by_place(found: Sequence[Tradeoff]) -> list[Tradeoff]:
    """The trade-offs of single architectures and sizes, place by place; empty for a single place."""
    single = [t for t in found if t.arch != AVERAGE]
    places = list(dict.fromkeys(t.place for t in single))
    return sorted(single, key=lambda t: places.index(t.place)) if len(places) > 1 else []


FEWEST_BLOCKS = 6
"""Blocks under which the correlation over runs has no interval."""


@dataclass(frozen=True)
class RunCorrelation:
    """Correlation of the differences in consistency and stability over runs of all methods; nan ends: no interval."""

    estimate: float
    low: float
    high: float
    blocks: int


def correlation(found: Sequence[Tradeoff], alpha: float = 0.05) -> RunCorrelation | None:
    """The correlation of the two differences over runs of all methods, with a jackknife interval over blocks.

    Blocks (arch, size, seed) are left out whole, as the runs of a block share the control's run; the interval is
    Student's on Fisher's scale (Efron and Stein 1981, Ann. Stat. 9:586, for the variance). None where nothing varies.
    """
    tables = [t.points.assign(method=t.method) for t in found]
    if not tables or not sum(map(len, tables)):
        return None
    stacked = pd.concat(tables)
    blocks = [g[list(NAMES)].to_numpy() for _, g in stacked.groupby(level=[0, 1, 2])]
    if len(stacked) < 3 or stacked[list(NAMES)].std().min() < NO_SPREAD:
        return None
    sums = np.array([[len(b), *b.sum(0), *(b**2).sum(0), (b[:, 0] * b[:, 1]).sum()] for b in blocks])
    whole = _fisher(sums.sum(axis=0))
    count = len(blocks)
    if count < FEWEST_BLOCKS:
        return RunCorrelation(float(np.tanh(whole)), np.nan, np.nan, count)
    without = _fisher(sums.sum(axis=0) - sums)
    half = stats.t.isf(alpha / 2, count - 1) * np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    low, high = np.tanh(whole - half), np.tanh(whole + half)
    return RunCorrelation(float(np.tanh(whole)), float(low), float(high), count)


def _fisher(sums: np.ndarray) -> np.ndarray:
    """Fisher's transformation of the correlation from counts, sums, squares and products [..., 6]."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    r = (xy - x * y / n) / np.sqrt((xx - x * x / n) * (yy - y * y / n))
    return np.asarray(np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12)))
