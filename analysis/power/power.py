"""What a study of a given size can find: power over seeds and languages, from variances that are known or assumed.

A balanced study (every method in every place with every seed, scored in every language) falls into independent
strata, and for those the variance of a contrast and the information on the variance components have closed forms:

- seeds within places, averaged over languages: (S - 1) K vectors of M methods, covariance L (block J + diag(run))
  + residual I;
- languages, averaged over seeds: L - 1 vectors of K M places x methods, covariance S (language J + language:method
  J_K (x) I_M + language:place I_K (x) J_M + language:place:method I) + residual I;
- what is left: (L - 1) (S - 1) K M numbers of the residual variance;

with S seeds, L languages, K places and M methods (Searle, Casella and McCulloch 1992, ch. 4 and 6). Satterthwaite's
degrees of freedom follow from the expected information as those of a fit follow from the observed one, the critical
value is that of the family which the report would adjust for, and power is a tail of the noncentral t. For the
intersection-union test of the trade-off the two noncentral t's are integrated over their common part.

What is assumed beyond the variances: that they stay as they are when languages and seeds are added. For measures over
pairs of languages the residual also holds the noise of single pairs, which shrinks with the number of partners: for
more languages than were studied the power given is a little too low, for fewer a little too high.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special, stats

from analysis.contrasts.inference import correlation, largest, largest_paired
from analysis.power.assumptions import TERMS, Assumed, Assumptions
from analysis.settings import AnalysisSettings

COLUMNS = [
    "outcome", "method", "seeds", "languages", "effect", "effect_stability", "correlation", "se", "df", "critical",
    "power", "mde",
]  # fmt: skip
"""One row per outcome (or TRADEOFF), contrast and size of study.

effect: the true difference assumed, points; of the trade-off that of consistency, upwards, beside effect_stability,
downwards, and the correlation of the two estimates. se, df, critical: of the contrast, and the |t| that the adjusted
test asks for. power: the chance of a finding in the right direction. mde: the difference found four times in five.
"""

TRADEOFF = "trade-off"
SEEDS, LANGUAGES = (3, 5, 10, 20), (8, 16, 36)
TARGET = 0.8

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """A balanced study: `methods` with the control first, `places` combinations of architecture and size."""

    methods: tuple[str, ...]
    places: int
    seeds: int
    languages: int


def covariance(assumed: Assumed, plan: Plan, methods: Sequence[str]) -> Array:
    """Covariance matrix [m, m] of the averaged differences of `methods` from the control."""
    runs = plan.seeds * plan.places
    if not assumed.crossed:
        sd = np.sqrt([assumed.of(f"difference {m}") / runs for m in methods])
        return np.asarray(np.outer(sd, sd) * (0.5 + 0.5 * np.eye(len(methods))))
    shared = (
        assumed.of("language:method") / plan.languages
        + assumed.of("language:place:method") / plan.languages / plan.places
        + assumed.of("residual") / plan.languages / runs
    )
    # The control's own error is in every difference.
    out = np.full((len(methods), len(methods)), shared + assumed.of(f"run {plan.methods[0]}") / runs)
    return np.asarray(out + np.diag([shared + assumed.of(f"run {m}") / runs for m in methods]))


def information(assumed: Assumed, plan: Plan) -> tuple[list[str], Array]:
    """Expected REML information on the variance components: their names and the matrix [k, k]."""
    m, k, s, n = len(plan.methods), plan.places, plan.seeds, plan.languages
    names = [name for name in TERMS if name in assumed.variances and not (name == "block" and s < 2)]
    # One place has no terms of places beside those of languages.
    names = [name for name in names if k > 1 or "place" not in name]
    names[-1:-1] = [f"run {method}" for method in plan.methods]
    ones: Array = np.ones((m, m))
    eye: Array = np.eye(m)
    seeds: dict[str, Any] = {"block": n * ones, "residual": eye}
    for i, method in enumerate(plan.methods):
        seeds[f"run {method}"] = n * np.outer(eye[i], eye[i])
    languages: dict[str, Any] = {
        "language": s * np.ones((k * m, k * m)), "language:method": s * np.kron(np.ones((k, k)), eye),
        "language:place": s * np.kron(np.eye(k), ones), "language:place:method": s * np.eye(k * m),
        "residual": np.eye(k * m),
    }  # fmt: skip
    out = _stratum(assumed, names, seeds, (s - 1) * k)
    alone = (n - 1) * (s - 1) * k * m
    if "language" in assumed.variances:
        out += _stratum(assumed, names, languages, n - 1)
    else:
        # Fixed languages, by method and by place: what they leave of the language means is residual too.
        alone += (n - 1) * (k - 1) * (m - 1)
    out[-1, -1] += alone / 2 / assumed.of("residual") ** 2
    return names, out


def _stratum(assumed: Assumed, names: list[str], parts: Mapping[str, Any], df: int) -> Array:
    """df/2 tr(V^-1 V_i V^-1 V_j) of `df` independent vectors with V = sum of variance times part."""
    used = [name for name in names if name in parts]
    inverse = np.linalg.inv(sum((assumed.of(name) * parts[name] for name in used), np.zeros(())))
    products = np.array([inverse @ parts[name] for name in used])
    out = np.zeros((len(names), len(names)))
    where = [names.index(name) for name in used]
    out[np.ix_(where, where)] = df / 2 * np.einsum("iab,jba->ij", products, products)
    return out


def degrees_of_freedom(assumed: Assumed, plan: Plan, method: str) -> float:
    """Satterthwaite's degrees of freedom of a method's averaged difference; nan where nothing repeats.

    All components count as estimated, those assumed to be 0 too: a fit may well find them above 0.
    """
    if plan.seeds < 2:
        return np.nan
    if not assumed.crossed:
        return float(plan.places * (plan.seeds - 1))
    names, matrix = information(assumed, plan)
    runs = plan.seeds * plan.places
    slope = dict.fromkeys((f"run {plan.methods[0]}", f"run {method}"), 1 / runs)
    slope["language:method"] = 2 / plan.languages
    slope["language:place:method"] = 2 / plan.languages / plan.places
    slope["residual"] = 2 / plan.languages / runs
    gradient = np.array([slope.get(name, 0.0) for name in names])
    # Components that cannot be told apart (two languages, two seeds) leave directions without information.
    spread = gradient @ np.linalg.pinv(matrix, rcond=1e-12, hermitian=True) @ gradient
    return float(2 * covariance(assumed, plan, [method])[0, 0] ** 2 / spread)


@dataclass(frozen=True)
class AdjustedTest:
    """The adjusted test of one contrast: its standard error, degrees of freedom and critical |t|."""

    se: float
    df: float
    critical: float

    def power(self, effect: float) -> float:
        """Chance of a finding in the direction of the true difference `effect`."""
        return float(_tail(self.critical, self.df, abs(effect) / self.se))

    def detectable(self, target: float = TARGET) -> float:
        """The true difference that is found with chance `target`."""
        high = self.critical + 1.0
        while _tail(self.critical, self.df, high) < target:
            high *= 2
        shift = optimize.brentq(lambda value: _tail(self.critical, self.df, value) - target, 0.0, high)
        return float(shift) * self.se


def _tail(critical: float, df: float, shift: float) -> float:
    """P(T > critical) of the noncentral t; its normal limit where df are so many that scipy's series fails."""
    if df > 1e5:
        return float(stats.norm.sf(critical - shift))
    return float(np.clip(stats.nct.sf(critical, df, shift), 0.0, 1.0))


def adjusted_tests(
    assumed: Assumed, plan: Plan, methods: Sequence[str], alpha: float, widened: int = 1
) -> dict[str, AdjustedTest]:
    """The tests of `methods`, adjusted together as the report adjusts them.

    Args:
        assumed: variances of the outcome.
        plan: the study.
        methods: the family of contrasts.
        alpha: level.
        widened: Bonferroni factor over the primary outcomes.

    Returns:
        By method; empty where there is one seed.
    """
    if plan.seeds < 2:
        return {}
    cov = covariance(assumed, plan, methods)
    df = np.array([degrees_of_freedom(assumed, plan, m) for m in methods])
    together = (
        largest(correlation(cov))
        if assumed.crossed
        else largest_paired(df, correlation(cov), np.arange(len(df)), correlation(cov))
    )
    return {
        m: AdjustedTest(float(np.sqrt(cov[i, i])), float(df[i]), together.critical(alpha / widened, float(df[i])))
        for i, m in enumerate(methods)
    }


def joint_power(up: AdjustedTest, down: AdjustedTest, effects_of: tuple[float, float], r: float) -> float:
    """Chance that both tests find: the first upwards, the second downwards (intersection-union test).

    T_i = (Z_i + shift_i) / s_i with Z of correlation `r` and independent s_i; given Z_1 = z the first is a chance of
    s_1, the second a noncentral t, and both are integrated over z.

    Args:
        up: the test that must find a rise.
        down: the test that must find a fall.
        effects_of: true differences, the sizes of rise and fall.
        r: correlation of the two estimates.
    """
    z = np.linspace(-8.5, 8.5, 1701)
    value = z + abs(effects_of[0]) / up.se
    first = np.where(value > 0, special.chdtr(up.df, up.df * (np.maximum(value, 0) / up.critical) ** 2), 0.0)
    # The second turned over: its fall is a rise, and what it shares with the first changes sign.
    rest = np.sqrt(1 - min(abs(r), 0.999) ** 2)
    shift = (abs(effects_of[1]) / down.se - np.clip(r, -0.999, 0.999) * z) / rest
    second = (
        stats.norm.sf(down.critical / rest - shift)
        if down.df > 1e5
        else np.nan_to_num(stats.nct.sf(down.critical / rest, down.df, shift))
    )
    return float(np.clip(np.trapezoid(stats.norm.pdf(z) * first * np.clip(second, 0.0, 1.0), z), 0.0, 1.0))


def contrast_family(methods: Sequence[str], outcome: str, settings: AnalysisSettings) -> tuple[list[str], int]:
    """The contrasts that an outcome's averaged table adjusts together, and the factor over primary outcomes.

    Without declared ones all contrasts are the family, as in the report.
    """
    declared = [m for m in methods[1:] if settings.declared(outcome, m)]
    if not declared:
        return list(methods[1:]), 1
    return declared, len(settings.primary) if settings.family == "study" else 1


def table(
    given: Assumptions,
    settings: AnalysisSettings,
    seeds: Sequence[int] = SEEDS,
    languages: Sequence[int] = LANGUAGES,
    effect: float | None = None,
) -> pd.DataFrame:
    """Power of every contrast of every outcome, and of the trade-off's test, in studies of other sizes.

    Args:
        given: variances, methods and places.
        settings: level, family, declared contrasts, smallest effects of interest.
        seeds: seeds of each method, architecture and size.
        languages: languages of the test set.
        effect: true difference in points; the smallest effect of interest of each outcome without it.

    Returns:
        COLUMNS.
    """
    rows = []
    for n, s in ((n, s) for n in languages for s in seeds):
        plan = Plan(given.methods, given.places, s, n)
        found = {
            name: adjusted_tests(assumed, plan, *_split(contrast_family(given.methods, name, settings), settings.alpha))
            for name, assumed in given.outcomes.items()
        }
        size = {name: settings.smallest(name) if effect is None else effect for name in found}
        for name, by_method in found.items():
            for method, test in by_method.items():
                rows.append({
                    "outcome": name, "method": method, "seeds": s, "languages": n, "effect": size[name],
                    "se": test.se, "df": test.df, "critical": test.critical, "power": test.power(size[name]),
                    "mde": test.detectable(),
                })  # fmt: skip
        rows += [{**row, "seeds": s, "languages": n} for row in _tradeoffs(found, size, given.correlations)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _split(found: tuple[list[str], int], alpha: float) -> tuple[list[str], float, int]:
    return found[0], alpha, found[1]


def _tradeoffs(
    found: Mapping[str, Mapping[str, AdjustedTest]], size: Mapping[str, float], correlations: Mapping[str, float]
) -> Iterator[dict[str, Any]]:
    """Rows of the trade-off's test in one size of study."""
    up, down = found.get("consistency", {}), found.get("stability", {})
    for method in (m for m in up if m in down):
        r = correlations.get(method, 0.0)
        sizes = (size["consistency"], size["stability"])
        yield {
            "outcome": TRADEOFF, "method": method, "effect": sizes[0], "effect_stability": sizes[1], "correlation": r,
            "power": joint_power(up[method], down[method], sizes, r),
        }  # fmt: skip


def middle(found: pd.DataFrame) -> pd.DataFrame:
    """The middle, least and greatest power over the contrasts: outcome, seeds, languages, power, low, high."""
    by_size = found.groupby(["outcome", "seeds", "languages"], sort=False)["power"]
    return by_size.agg(power="median", low="min", high="max").reset_index()


def sentences(found: pd.DataFrame) -> list[str]:
    """One for each outcome and number of languages: in how many studies the contrast in the middle is found."""
    effects = found.drop_duplicates("outcome").set_index("outcome")[["effect", "effect_stability"]].to_dict("index")
    out = []
    order = pd.Categorical(found["outcome"], list(effects))
    for (outcome, languages), part in middle(found.iloc[np.argsort(order.codes, kind="stable")]).groupby(
        ["outcome", "languages"], sort=False
    ):
        up, down = effects[outcome].values()
        size = (
            f"{up:g} points up in consistency and {down:g} down in stability"
            if outcome == TRADEOFF
            else f"{up:g} points"
        )
        shares = [f"{power:.0%} with {seeds} seeds" for seeds, power in zip(part["seeds"], part["power"], strict=True)]
        out.append(f"{outcome}, {languages} languages: {size} found in {', '.join(shares)}.")
    return out
