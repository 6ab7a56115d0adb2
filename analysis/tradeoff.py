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
from scipy import optimize, stats

from analysis.contrasts import LIKE_THESE, Result, rows
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
    pair = (consistency, stability)
    first, second = ({(r["arch"], r["size"], r["method"]): r for r in rows(result.contrasts)} for result in pair)
    details = Differences.of(pair, settings.control)
    random = [r.population == LIKE_THESE for r in pair]
    found = []
    for (arch, size, method), row in first.items():
        if (arch == AVERAGE) != (size == AVERAGE) or (arch, size, method) not in second:
            continue
        r, df = correlation_of_estimates(details, method, (arch, size), random)
        both = {"consistency": row, "stability": second[arch, size, method]}
        points = details.points(method, (arch, size))
        populations = (consistency.population, stability.population)
        found.append(_together(method, (arch, size), both, r, df, points, populations, settings))
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
    if not found:
        return pd.DataFrame(columns=columns)
    details = Differences.of((consistency, stability), control)
    methods = [t.method for t in found]
    values = details.values[..., [details.methods.index(m) for m in methods]]
    whole = np.isfinite(_mean(values, axis=3)).all(axis=(0, 3))  # [places, seeds]
    kept = [(i, np.flatnonzero(seeds)) for i, seeds in enumerate(whole) if seeds.any()]
    if not kept or min(len(seeds) for _, seeds in kept) < 2:
        return pd.DataFrame(columns=columns)
    rng = np.random.default_rng(seed)
    languages = _multinomial(rng, len(details.languages), draws)
    blocks = [_multinomial(rng, len(seeds), draws) for _, seeds in kept]
    means = []
    for part, result in zip(values, (consistency, stability), strict=True):
        weight = languages if result.population == LIKE_THESE else np.ones_like(languages)
        means.append(np.mean([_drawn(part[i, seeds], b, weight) for (i, seeds), b in zip(kept, blocks, strict=True)],
                             axis=0))  # fmt: skip
    drawn = np.stack(means, axis=2)  # [draws, methods, 2]
    drawn = drawn[np.isfinite(drawn).all(axis=(1, 2))]
    observed = np.array([t.mean for t in found])[None]
    on_front = [_undominated(np.pad(m, ((0, 0), (1, 0), (0, 0)))) for m in (observed, drawn)]
    return pd.DataFrame({
        "method": [control, *methods], "member": on_front[0][0], "probability": on_front[1].mean(axis=0),
    })  # fmt: skip


def _multinomial(rng: np.random.Generator, count: int, draws: int) -> np.ndarray:
    """How often each of `count` things is drawn when as many are drawn again, [draws, count]."""
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(float)


def _drawn(values: np.ndarray, blocks: np.ndarray, languages: np.ndarray) -> np.ndarray:
    """Means of [seeds, languages, methods] over drawn blocks [draws, seeds] and languages, [draws, methods]."""
    known = np.isfinite(values)
    sums, counts = (np.einsum("ds,slm->dlm", blocks, part, optimize=True)
                    for part in (np.where(known, values, 0.0), known.astype(float)))  # fmt: skip
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw may hold no language of the score
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
