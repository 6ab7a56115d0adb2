"""What retrieval consistency costs in VQA stability: the two rows of the table of contrasts, read together.

Nothing is estimated anew: a trade-off holds the consistency row and the stability row of one method in one place,
with their intervals and adjusted p values, and every verdict follows from those. What the two rows do not have is
how their estimates vary together, which the joint region needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.contrasts import LIKE_THESE, Result, rows
from analysis.frames import Outcome
from analysis.inference import NO_SPREAD, Family, judge
from analysis.layout import AVERAGE, Cell, covers
from analysis.settings import Settings
from analysis.verdict import COST, UNKNOWN, joint_verdict, verdict

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


def analyse(consistency: Result, stability: Result, settings: Settings) -> list[Tradeoff]:
    """The trade-off of every method, averaged and in each architecture and size; in the order of the contrasts."""
    tables = {n: r.contrasts.set_index(["arch", "size", "method"]) for n, r in
              zip(NAMES, (consistency, stability), strict=True)}  # fmt: skip
    details = [differences(r.outcome, settings.control) for r in (consistency, stability)]
    random = [r.population == LIKE_THESE for r in (consistency, stability)]
    populations = (consistency.population, stability.population)
    found = []
    for arch, size, method in tables["consistency"].index:
        if (arch == AVERAGE) != (size == AVERAGE) or (arch, size, method) not in tables["stability"].index:
            continue
        row = {n: {**rows(t.loc[[(arch, size, method)]].reset_index())[0]} for n, t in tables.items()}
        r, df = correlation_of_estimates(details[0][method], details[1][method], (arch, size), random)
        points = pd.concat([_blocks(d[method]) for d in details], axis=1, keys=NAMES).dropna()
        inside = [
            covers((arch, size), place) for place in zip(*map(points.index.get_level_values, (0, 1)), strict=True)
        ]
        found.append(_together(method, (arch, size), row, r, df, points[inside], populations, settings))
    return _with_task(found, settings.alpha)


def _together(
    method: str,
    place: Cell,
    row: Mapping[str, Mapping[str, Any]],
    r: float,
    df: float,
    points: pd.DataFrame,
    populations: tuple[str, str],
    settings: Settings,
) -> Tradeoff:
    up, down = row["consistency"], row["stability"]
    both = max(up["p_adjusted"], down["p_adjusted"])
    said = joint_verdict(verdict(up, settings.alpha), verdict(down, settings.alpha))
    if said == UNKNOWN:
        both = np.nan
    cost = both if not np.isfinite(both) or (up["estimate"] > 0 > down["estimate"]) else 1.0
    region = joint_region(up, down, r, df, settings.alpha)
    return Tradeoff(method, *place, up, down, populations, r, df, region, said, cost, both, {}, points)


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


def differences(outcome: Outcome, control: str) -> pd.DataFrame:
    """Each method minus the control within blocks and languages.

    Returns:
        Index (arch, size, seed, language), a column for each method, points; one language "" where scores have none.
    """
    frame = outcome.frame if outcome.by_language else outcome.frame.assign(language="")
    keys = ["arch", "size", "seed", "language"]
    wide = frame.pivot_table(index=keys, columns="method", values="score")
    return wide.drop(columns=control).sub(wide[control], axis=0)


def _blocks(values: pd.Series) -> pd.Series:
    """Means of the blocks, over their languages."""
    return values.dropna().groupby(level=["arch", "size", "seed"]).mean()


def correlation_of_estimates(
    consistency: pd.Series, stability: pd.Series, place: Cell, random: Sequence[bool]
) -> tuple[float, float]:
    """Correlation of a method's two estimates, and its degrees of freedom.

    Blocks and languages each give both estimates a part of their error. The covariance matrix of the block means
    within architecture and size, over the blocks, and that of the language means, over the languages, add up to that
    of the estimates, but for noise of single scores, which both hold and which is small beside them; the mixed models
    say how large the errors are, and this says how they go together.

    Args:
        consistency, stability: differences from `differences`, of one method.
        place: architecture and size, AVERAGE for all.
        random: for each of the two, whether its languages stand for others.

    Returns:
        nan and 0 where nothing repeats or nothing varies.
    """
    both = [values.dropna() for values in (consistency, stability)]
    blocks = pd.concat([_blocks(values) for values in both], axis=1, keys=NAMES).dropna()
    by_place = blocks.groupby(level=["arch", "size"])
    df_blocks = len(blocks) - by_place.ngroups
    counts = by_place.size()
    here = [cell for cell in counts.index if covers(place, cell)]
    if df_blocks < 1 or not here:
        return np.nan, 0.0
    rest = (blocks - by_place.transform("mean")).to_numpy()
    # The spread of blocks is pooled over places, as the models pool it.
    parts = [(rest.T @ rest / df_blocks * float((1 / counts[here]).sum()) / len(here) ** 2, float(df_blocks))]
    if any(random):
        means = [_by_language(values, here) for values in both]
        shared = pd.concat(means, axis=1, keys=NAMES).dropna()
        cov = np.diag([float(m.var(ddof=1)) / len(m) if chosen and len(m) > 1 else 0.0
                       for m, chosen in zip(means, random, strict=True)])  # fmt: skip
        if all(random) and len(shared) > 2:
            together = float(np.cov(shared.to_numpy().T)[0, 1]) * len(shared) / len(means[0]) / len(means[1])
            cov[0, 1] = cov[1, 0] = together
        parts.append((cov, float(max(len(shared) - 1, 1))))
    total = np.sum([cov for cov, _ in parts], axis=0)
    scale = total[0, 0] * total[1, 1]
    if min(total[0, 0], total[1, 1]) < NO_SPREAD**2:
        return np.nan, 0.0
    # Variance of the covariance where the two do not go together, of independent parts.
    spread = sum(cov[0, 0] * cov[1, 1] / df for cov, df in parts)
    return float(np.clip(total[0, 1] / np.sqrt(scale), -0.99, 0.99)), float(scale / spread)


def _by_language(values: pd.Series, places: Sequence[Cell]) -> pd.Series:
    """Means of the languages over the blocks of each place, then over the places."""
    by_place = values.groupby(level=["arch", "size", "language"]).mean()
    inside = [place in set(places) for place in zip(*map(by_place.index.get_level_values, (0, 1)), strict=True)]
    return by_place[inside].groupby(level="language").mean()


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
def region_radius(df_first: float, df_second: float, df_correlation: float, alpha: float, draws: int = 2**17) -> float:
    """Mahalanobis distance within which both estimates lie in 1 - alpha of studies.

    The two variances and the correlation are drawn as their degrees of freedom say: with one number for all three
    this is Hotelling's T, whose distribution is that of normal estimates over a Wishart matrix. Drawn where the
    estimates do not go together; Hotelling's T is the same wherever they do.
    """
    rng = np.random.default_rng(0)
    z = rng.standard_normal((2, draws))
    scale = [np.sqrt(rng.chisquare(min(nu, 1e6), draws) / min(nu, 1e6)) for nu in (df_first, df_second)]
    u, v = z[0] / scale[0], z[1] / scale[1]
    nu = df_correlation - 1
    t = rng.standard_normal(draws) / np.sqrt(rng.chisquare(nu, draws) / nu)
    r = t / np.sqrt(nu + t**2)
    return float(np.sqrt(np.quantile((u**2 - 2 * r * u * v + v**2) / (1 - r**2), 1 - alpha)))


def averages(found: Sequence[Tradeoff]) -> list[Tradeoff]:
    """The trade-offs averaged over architectures and sizes."""
    return [t for t in found if t.arch == AVERAGE]


def by_place(found: Sequence[Tradeoff]) -> list[Tradeoff]:
    """The trade-offs of single architectures and sizes, place by place; empty for a single place."""
    single = [t for t in found if t.arch != AVERAGE]
    places = list(dict.fromkeys(t.place for t in single))
    return sorted(single, key=lambda t: places.index(t.place)) if len(places) > 1 else []


@dataclass(frozen=True)
class ConstructPair:
    """The trade-off under one measure of consistency and one of stability."""

    consistency: str  # names of measures in the result tables
    stability: str
    primary: bool
    tradeoffs: list[Tradeoff]


@dataclass(frozen=True)
class Disagreement:
    """A method and place on which pairs of measures come to different verdicts.

    `verdicts`: for each pair (measure of consistency, measure of stability) its verdict; the primary pair first.
    """

    method: str
    arch: str
    size: str
    verdicts: Mapping[tuple[str, str], str]

    @property
    def about_cost(self) -> bool:
        """Whether some pair calls it a cost and another one does not."""
        return len({v == COST for v in self.verdicts.values() if v != UNKNOWN}) > 1


def construct_pairs(primary: list[Tradeoff], results: Mapping[str, Result], settings: Settings) -> list[ConstructPair]:
    """The trade-off under the primary pair of measures and the secondary ones of `PAIRS_OF_MEASURES`."""
    by_measure = {kind: {r.outcome.measure: r for n, r in results.items() if n.split(":")[0] == kind} for kind in NAMES}
    if not {"consistency", "stability"} <= set(results):
        return []
    main = (results["consistency"].outcome.measure, results["stability"].outcome.measure)
    found = [ConstructPair(*main, True, primary)]
    for consistency, stability in PAIRS_OF_MEASURES:
        first = by_measure["consistency"].get(consistency)
        second = next((by_measure["stability"][s] for s in stability if s in by_measure["stability"]), None)
        if first is None or second is None:
            continue
        names = (first.outcome.measure, second.outcome.measure)
        if names not in {(p.consistency, p.stability) for p in found}:
            found.append(ConstructPair(*names, False, analyse(first, second, settings)))
    return found


PAIRS_OF_MEASURES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("rbo_gold_deleted", ("agreement",)),
    ("centred_cosine", ("both_right", "agreement_excess", "agreement")),
)
"""Measures of consistency, and of stability in order of preference, beside the primary pair."""


def secondary_measures(names: Sequence[str]) -> list[str]:
    """The outcomes among `names` that some pair of `PAIRS_OF_MEASURES` may need."""
    wanted = {f"consistency:{c}" for c, _ in PAIRS_OF_MEASURES}
    wanted |= {f"stability:{s}" for _, options in PAIRS_OF_MEASURES for s in options}
    return [name for name in names if name in wanted]


def disagreements(pairs: Sequence[ConstructPair]) -> list[Disagreement]:
    """Where the pairs of measures come to different verdicts; unknown ones disagree with none."""
    verdicts: dict[tuple[str, str, str], dict[tuple[str, str], str]] = {}
    for pair in pairs:
        for t in pair.tradeoffs:
            verdicts.setdefault((t.method, t.arch, t.size), {})[pair.consistency, pair.stability] = t.verdict
    return [
        Disagreement(*key, found) for key, found in verdicts.items()
        if len({v for v in found.values() if v != UNKNOWN}) > 1
    ]  # fmt: skip


def pareto(
    found: Sequence[Tradeoff], consistency: Result, stability: Result, control: str, draws: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Which methods no other one beats in both consistency and stability; the control stands at (0, 0).

    Blocks are drawn again within arch x size, whole, so that methods stay paired; languages that stand for others are
    drawn again with them, the same for both scores. Drawing both ways counts the noise of single scores twice (Owen
    2007, Ann. Appl. Stat. 1:386): the probabilities are a little nearer to even than they need be.

    Args:
        found: averaged trade-offs.
        consistency, stability: the results that they come from.
        control: name of the control.
        draws: number of bootstrap draws.
        seed: of the draws.

    Returns:
        Columns method, member (on the front of the estimates) and probability (share of draws on the front); only
        blocks that have every method take part. Empty where there are fewer than two seeds somewhere.
    """
    columns = ["method", "member", "probability"]
    methods = [t.method for t in found]
    details = [differences(r.outcome, control)[methods].dropna() for r in (consistency, stability)] if found else []
    blocks = _shared_blocks(details)
    if not blocks or min(len(seeds) for seeds in blocks.values()) < 2:
        return pd.DataFrame(columns=columns)
    rng = np.random.default_rng(seed)
    names = sorted({language for d in details for language in d.index.get_level_values("language")})
    drawn_languages = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws).astype(float)
    drawn_blocks = {p: rng.multinomial(len(s), np.full(len(s), 1 / len(s)), size=draws) for p, s in blocks.items()}
    means = []
    for detail, result in zip(details, (consistency, stability), strict=True):
        weight = drawn_languages if result.population == LIKE_THESE else np.ones_like(drawn_languages)
        means.append(np.mean([
            _drawn_mean(detail, place, seeds, names, drawn_blocks[place], weight) for place, seeds in blocks.items()
        ], axis=0))  # fmt: skip
    drawn = np.stack(means, axis=2)  # [draws, methods, 2]
    drawn = drawn[np.isfinite(drawn).all(axis=(1, 2))]
    observed = np.array([t.mean for t in found])[None]
    on_front = [_undominated(np.pad(m, ((0, 0), (1, 0), (0, 0)))) for m in (observed, drawn)]
    return pd.DataFrame({
        "method": [control, *methods], "member": on_front[0][0], "probability": on_front[1].mean(axis=0),
    })  # fmt: skip


def _shared_blocks(details: Sequence[pd.DataFrame]) -> dict[Cell, list[Any]]:
    """Seeds of each place that every table has."""
    sets = [set(zip(*map(d.index.get_level_values, (0, 1, 2)), strict=True)) for d in details]
    found: dict[Cell, list[Any]] = {}
    for arch, size, seed in sorted(set.intersection(*sets)) if sets else []:
        found.setdefault((arch, size), []).append(seed)
    return found


def _drawn_mean(
    detail: pd.DataFrame, place: Cell, seeds: list[Any], names: list[str], blocks: np.ndarray, languages: np.ndarray
) -> np.ndarray:
    """Means of drawn blocks [draws, b] and languages [draws, l] in one place, [draws, methods]; nan where none is."""
    index = pd.MultiIndex.from_product([[place[0]], [place[1]], seeds, names])
    values = detail.reindex(index).to_numpy().reshape(len(seeds), len(names), -1)
    present = np.isfinite(values)
    sums, counts = (
        np.einsum("db,blm->dlm", blocks, v) for v in (np.where(present, values, 0.0), present.astype(float))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.einsum("dl,dlm->dm", languages, sums) / np.einsum("dl,dlm->dm", languages, counts))


def _undominated(means: np.ndarray) -> np.ndarray:
    """Whether no other row is at least as good in both columns and better in one; [draws, methods, 2] in."""
    ahead = (means[:, :, None] >= means[:, None]).all(axis=3) & (means[:, :, None] > means[:, None]).any(axis=3)
    return np.asarray(~np.any(ahead, axis=1))


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
