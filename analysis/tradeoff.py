"""What retrieval consistency costs in VQA stability: paired differences of whole runs, judged jointly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from analysis.frames import Study
from analysis.inference import NO_SPREAD, holm
from analysis.layout import Cell, Layout
from analysis.paired import paired_differences, run_means
from analysis.settings import Settings


@dataclass(frozen=True)
class Tradeoff:
    """One method's (consistency, stability) minus the control's, in points, averaged over arch x size.

    `mean` [2], `cov` [2, 2] of the mean, `df` of its estimate; `ci` [2, 2] rows low, high of each; `radius` scales
    the ellipse (Hotelling), nan where too few blocks; `task` [4] is the method x task contrast, stability minus
    consistency: estimate, low, high, p; `p_bought` is the intersection-union p of "consistency up and
    stability down", `p_bought_holm` the same adjusted over methods; `points` the blocks' differences.
    """

    method: str
    mean: np.ndarray
    cov: np.ndarray
    df: int
    blocks: int
    ci: np.ndarray
    radius: float
    p_up: float
    p_down: float
    p_bought: float
    p_joint: float
    task: np.ndarray
    points: pd.DataFrame
    p_bought_holm: float = np.nan

    def ellipse(self, count: int = 121) -> np.ndarray:
        """Outline of the joint confidence region, [count, 2]; empty where it does not exist."""
        if not np.isfinite(self.radius):
            return np.empty((0, 2))
        values, vectors = np.linalg.eigh(self.cov)
        angle = np.linspace(0, 2 * np.pi, count)
        circle = np.column_stack([np.cos(angle), np.sin(angle)])
        return np.asarray(self.mean + self.radius * circle * np.sqrt(np.maximum(values, 0)) @ vectors.T)


def joint(points: pd.DataFrame, method: str, alpha: float) -> Tradeoff:
    """Mean, region and tests of one method's paired differences.

    Args:
        points: columns consistency and stability, indexed by (arch, size, seed); no empty values, one row a block.

    The mean weighs every arch x size alike; the covariance is that of blocks within arch x size, so a method
    whose effect differs between architectures does not look noisy for it.
    """
    values = points[["consistency", "stability"]]
    by_place = values.groupby(["arch", "size"])
    sizes, places = by_place.size(), by_place.ngroups
    mean = by_place.mean().mean().to_numpy()
    df = len(values) - places
    residuals = (values - by_place.transform("mean")).to_numpy()
    factor = float((1 / sizes).sum()) / places**2
    cov = residuals.T @ residuals / df * factor if df > 0 else np.full((2, 2), np.nan)
    se = np.sqrt(np.diag(cov))
    ci = np.full((2, 2), np.nan)
    p_up = p_down = p_joint = radius = np.nan
    task = np.array([mean[1] - mean[0], np.nan, np.nan, np.nan])
    if df > 0 and (se > NO_SPREAD).all():
        half = stats.t.isf(alpha / 2, df) * se
        ci = np.vstack([mean - half, mean + half])
        p_up, p_down = float(stats.t.sf(mean[0] / se[0], df)), float(stats.t.cdf(mean[1] / se[1], df))
        apart = float(np.sqrt(max(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1], 0.0)))
        if apart > NO_SPREAD:
            reach = stats.t.isf(alpha / 2, df) * apart
            task[1:] = task[0] - reach, task[0] + reach, 2 * stats.t.sf(abs(task[0]) / apart, df)
        # Two blocks' residuals lie on one line: a region needs at least two degrees of freedom.
        if df >= 2 and np.linalg.cond(cov) < 1e12:
            scale = 2 * df / (df - 1)
            radius = float(np.sqrt(scale * stats.f.isf(alpha, 2, df - 1)))
            p_joint = float(stats.f.sf(float(mean @ np.linalg.solve(cov, mean)) / scale, 2, df - 1))
    return Tradeoff(
        method, mean, cov, df, len(values), ci, radius, p_up, p_down, max(p_up, p_down), p_joint, task, points
    )  # fmt: skip


def differences(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Each outcome's paired differences, wide: index (arch, size, seed), a column for each method, in points."""
    out = {}
    for name, outcome in study.headlines.items():
        layout = Layout.of(outcome.frame, study, settings.control)
        out[name] = paired_differences(run_means(outcome.frame), layout)
    return out


def analyse(study: Study, settings: Settings) -> list[Tradeoff]:
    """The trade-off of every method that has both scores; in the order of the report."""
    wide = differences(study, settings)
    if not {"consistency", "stability"} <= set(wide):
        return []
    found = []
    for method in study.methods:
        if not all(method in wide[name].columns for name in ("consistency", "stability")):
            continue
        columns = {name: frame[method] for name, frame in wide.items() if method in frame.columns}
        points = pd.DataFrame(columns).dropna(subset=["consistency", "stability"])
        if not points.empty:
            found.append(joint(points, method, settings.alpha))
    return _adjusted(found)


def _adjusted(found: list[Tradeoff]) -> list[Tradeoff]:
    """The same with the intersection-union p Holm-adjusted over all of them."""
    known = [i for i, t in enumerate(found) if np.isfinite(t.p_bought)]
    adjusted = dict(zip(known, holm([found[i].p_bought for i in known]), strict=True))
    return [replace(t, p_bought_holm=adjusted.get(i, np.nan)) for i, t in enumerate(found)]


def by_place(found: list[Tradeoff], alpha: float) -> list[tuple[Cell, Tradeoff]]:
    """The trade-off within each architecture and size, each with its own variance; Holm over all of them.

    An average over places can hide that a method pays in one and gains in another. Empty for a single place.
    """
    parts = [
        ((str(arch), str(size)), joint(points, t.method, alpha))
        for t in found
        for (arch, size), points in t.points.groupby(level=["arch", "size"], sort=False)
    ]
    places = list(dict.fromkeys(place for place, _ in parts))
    if len(places) < 2:
        return []
    ordered = sorted(parts, key=lambda part: places.index(part[0]))
    return list(zip([place for place, _ in ordered], _adjusted([t for _, t in ordered]), strict=True))


def pareto(found: list[Tradeoff], control: str, draws: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Which methods no other one beats in both consistency and stability; the control stands at (0, 0).

    Blocks are resampled within arch x size, whole, so that methods stay paired.

    Returns:
        Columns method, member (on the front of the means) and probability (share of draws on the front); only
        blocks that have every method take part. Empty where there are fewer than two seeds somewhere.
    """
    columns = ["method", "member", "probability"]
    if not found:
        return pd.DataFrame(columns=columns)
    wide = pd.concat({t.method: t.points[["consistency", "stability"]] for t in found}, axis=1).dropna()
    places = [part.to_numpy() for _, part in wide.groupby(level=["arch", "size"])]
    if not places or min(len(part) for part in places) < 2:
        return pd.DataFrame(columns=columns)
    rng = np.random.default_rng(seed)
    drawn = np.mean([part[rng.integers(0, len(part), (draws, len(part)))].mean(axis=1) for part in places], axis=0)
    observed = np.mean([part.mean(axis=0) for part in places], axis=0)[None]
    on_front = [_undominated(np.pad(m.reshape(len(m), -1, 2), ((0, 0), (1, 0), (0, 0)))) for m in (observed, drawn)]
    return pd.DataFrame({
        "method": [control, *(t.method for t in found)],
        "member": on_front[0][0],
        "probability": on_front[1].mean(axis=0),
    })  # fmt: skip


def _undominated(means: np.ndarray) -> np.ndarray:
    """Whether no other row is at least as good in both columns and better in one; [draws, methods, 2] in."""
    ahead = (means[:, :, None] >= means[:, None]).all(axis=3) & (means[:, :, None] > means[:, None]).any(axis=3)
    return np.asarray(~np.any(ahead, axis=1))


def correlation(found: list[Tradeoff], draws: int = 2000, seed: int = 0) -> tuple[float, float, float] | None:
    """Correlation of the two differences over runs of all methods, with a 95 % percentile interval.

    Blocks (arch, size, seed) are resampled whole, as the runs of a block share the control's run. None where
    there are fewer than five blocks or nothing varies.
    """
    if not found:
        return None
    stacked = pd.concat([t.points[["consistency", "stability"]].assign(method=t.method) for t in found])
    blocks = [g[["consistency", "stability"]].to_numpy() for _, g in stacked.groupby(level=[0, 1, 2])]
    if len(blocks) < 5 or stacked[["consistency", "stability"]].std().min() < NO_SPREAD:
        return None
    # Sums of each block are all that a correlation needs, so a draw is one matrix product.
    sums = np.array([[len(b), *b.sum(0), *(b**2).sum(0), (b[:, 0] * b[:, 1]).sum()] for b in blocks])

    def of(s: np.ndarray) -> np.ndarray:
        n, x, y, xx, yy, xy = np.moveaxis(s, -1, 0)
        return np.asarray((xy - x * y / n) / np.sqrt((xx - x * x / n) * (yy - y * y / n)))

    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(blocks), np.full(len(blocks), 1 / len(blocks)), size=draws)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = of(counts @ sums)  # a draw of one block again and again has no correlation
    if not np.isfinite(values).any():
        return None
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(of(sums.sum(axis=0))), float(low), float(high)
