"""Numbers in, plain sentences out. Nothing here computes a statistic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.confirm import Confirmation
from analysis.contrasts import Result
from analysis.frames import Study
from analysis.influence import Influence
from analysis.layout import Cell
from analysis.settings import Settings
from analysis.tradeoff import Tradeoff

LONG_NAMES = {
    "none": "the control", "fd": "FD", "ed": "ED", "sd": "SD", "mcl": "MCL", "dr": "DR", "teacher": "the teacher",
}  # fmt: skip


def method_name(method: str) -> str:
    return LONG_NAMES.get(method, method)


def sign(value: float, digits: int = 1) -> str:
    """A signed number with a true minus sign; what rounds to zero has no sign."""
    if not np.isfinite(value):
        return "n/a"
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return ("+" if value > 0 else "\N{MINUS SIGN}") + text


def number(value: float, digits: int = 1) -> str:
    """A number with a true minus sign, for intervals and levels."""
    if not np.isfinite(value):
        return "n/a"
    return sign(value, digits).lstrip("+")


def interval(low: float, high: float, digits: int = 1) -> str:
    return f"[{number(low, digits)}, {number(high, digits)}]"


def p_value(p: float) -> str:
    """'p < .001' or 'p = .012'; never p = .000, never p = 1.000 by rounding."""
    if not np.isfinite(p):
        return "p not available"
    if p < 0.001:
        return "p < .001"
    if p > 0.999:
        return "p > .999"
    return f"p = {p:.3f}".replace("0.", ".")


def join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def percent(alpha: float) -> str:
    return f"{100 * (1 - alpha):g} %"


def verdict(row: Mapping[str, float], alpha: float, points: float, higher_is_better: bool = True) -> str:
    """One of: raised, lowered, equivalent, open, unknown: what one contrast shows."""
    if not np.isfinite(row["p_adjusted"]):
        return "unknown"
    if row["p_adjusted"] < alpha:
        return "raised" if row["estimate"] > 0 else "lowered"
    return "equivalent" if row["p_equivalent"] < alpha else "open"


def contrast_sentence(row: Mapping[str, float], method: str, result: Result, settings: Settings) -> str:
    """What one averaged contrast shows, in words."""
    name, label = method_name(method), result.outcome.label
    points = settings.smallest(result.outcome.name)
    level = percent(settings.alpha)
    found = verdict(row, settings.alpha, points)
    size = f"{abs(row['estimate']):.1f} points"
    if found == "unknown":
        return (
            f"{name}'s {label} differed from the control's by {sign(row['estimate'])} points; "
            "too few runs repeat for an interval."
        )
    numbers = f"{level} CI {interval(row['ci_low'], row['ci_high'])}, Dunnett-adjusted {p_value(row['p_adjusted'])}"
    if found in ("raised", "lowered"):
        small = abs(row["estimate"]) < points
        tail = f", less than the {points:g} points that were called of interest" if small else ""
        where = "over" if found == "raised" else "below"
        return f"{name} {found} {label} {where} the control by {size} ({numbers}){tail}."
    if found == "equivalent":
        difference = f"{sign(row['estimate'])} points"
        return f"{name} left {label} within {points:g} points of the control's: {difference} ({numbers})."
    if row["mde"] > 50:
        reach = "these runs are too few for any but an enormous difference"
    else:
        reach = f"with these runs a difference of {row['mde']:.1f} points would be found four times in five"
    if row["ci_low"] > 0 or row["ci_high"] < 0:
        reach = "the interval alone excludes zero, but not once the number of methods is allowed for; " + reach
    return (
        f"Whether {name} changes {label} cannot be told: {sign(row['estimate'])} points against the control "
        f"({numbers}); {reach}."
    )


def levels_sentence(result: Result, settings: Settings) -> str:
    """The control's level of an outcome, and the teacher's where there is one."""
    outcome = result.outcome
    control = outcome.frame[outcome.frame["method"] == settings.control]
    by_run = control.groupby(["arch", "size", "seed"])["score"].mean()
    level = float(by_run.groupby(["arch", "size"]).mean().mean())
    text = f"{outcome.label[0].upper()}{outcome.label[1:]}: control {number(level)}"
    if not outcome.teachers.empty:
        teacher = float(outcome.teachers.groupby("arch")["score"].mean().mean())
        text += f", teacher {number(teacher)}"
    return text + " points."


def best_sentence(result: Result, settings: Settings) -> str:
    """Which method did best on an outcome, or that none can be told from the control."""
    table = result.marginal()
    direction = 1 if result.outcome.higher_is_better else -1
    order = table.assign(key=direction * table["estimate"]).sort_values("key", ascending=False)
    row = order.iloc[0]
    label, name = result.outcome.label, method_name(str(row["method"]))
    if not np.isfinite(row["p_adjusted"]):
        if row["key"] <= 0:
            return (
                f"{label}: no method is ahead of the control; the nearest is {name} ({sign(row['estimate'])} points)."
            )
        return f"{label}: {name} is ahead ({sign(row['estimate'])} points), without an interval."
    text = f"{sign(row['estimate'])} points, {percent(settings.alpha)} CI {interval(row['ci_low'], row['ci_high'])}"
    if row["key"] <= 0:
        return f"{label}: no method is ahead of the control; the nearest is {name} ({text})."
    if row["p_adjusted"] >= settings.alpha:
        return f"{label}: no method can be told from being no better than the control; {name} is highest ({text})."
    # Intervals of two methods against one control overlap less than their difference says, so no ranking is claimed.
    return f"{label}: {name} is highest, {text} over the control."


def tradeoff_sentence(found: Tradeoff, settings: Settings) -> str:
    """What consistency cost one method in stability, with its interval, or that it cannot be told."""
    name, level = method_name(found.method), percent(settings.alpha)
    up, down = float(found.mean[0]), float(found.mean[1])
    points = settings.smallest("stability")
    if not np.isfinite(found.p_bought):
        blocks = f"{found.blocks} block{'s' if found.blocks != 1 else ''}"
        return (
            f"{name}: consistency {sign(up)} points, stability {sign(down)} points; with {blocks} no interval can be "
            "given, so this study cannot tell what consistency cost."
        )
    consistency = f"consistency by {sign(up)} points {interval(found.ci[0, 0], found.ci[1, 0])}"
    stability = f"{sign(down)} points {interval(found.ci[0, 1], found.ci[1, 1])}"
    if found.p_bought_holm < settings.alpha:
        return (
            f"{name} paid for consistency with stability: it changed {consistency} and VQA stability by {stability} "
            f"({level} CIs; intersection-union test, Holm-adjusted {p_value(found.p_bought_holm)})."
        )
    if found.ci[0, 0] <= 0:
        moved = "lowered consistency" if found.ci[1, 0] < 0 else "did not demonstrably raise consistency"
        return (
            f"{name} {moved} ({sign(up)} points {interval(found.ci[0, 0], found.ci[1, 0])}), so there is no gain "
            f"to set a price on; VQA stability changed by {stability} ({level} CIs)."
        )
    if found.ci[0, 1] > 0:
        return (
            f"{name} raised both: {consistency}, and VQA stability by {stability} ({level} CIs); "
            "consistency cost nothing here."
        )
    if found.ci[0, 1] > -points:
        return (
            f"{name} raised {consistency} at no loss of VQA stability as large as {points:g} points: "
            f"{stability} ({level} CIs)."
        )
    return (
        f"{name} raised {consistency}; this study cannot tell what that cost in VQA stability: "
        f"{stability} ({level} CIs)."
    )


def places_sentence(found: list[tuple[Cell, Tradeoff]], settings: Settings) -> str:
    """Where consistency was bought with stability, where both rose, architecture and size by themselves."""
    bought: dict[str, list[str]] = {}
    rose: dict[str, list[str]] = {}
    for (arch, size), t in found:
        if not np.isfinite(t.p_bought):
            continue
        place, name = f"{arch} {size}", method_name(t.method)
        if t.p_bought_holm < settings.alpha:
            bought.setdefault(place, []).append(f"{name} ({sign(t.mean[0])}, {sign(t.mean[1])})")
        elif (t.ci[0] > 0).all():
            rose.setdefault(place, []).append(f"{name} ({sign(t.mean[0])}, {sign(t.mean[1])})")
    parts = []
    for text, where in (("consistency bought with stability", bought), ("both up", rose)):
        parts += [f"{text} in {place} by {join(names)}" for place, names in where.items()]
    if not parts:
        return ""
    return f"By architecture and size (exploratory; points of consistency, stability): {'; '.join(parts)}."


def tradeoff_short(found: Tradeoff) -> str:
    """The trade-off of one method on one line."""
    text = f"{method_name(found.method)}: consistency {sign(found.mean[0])}, VQA stability {sign(found.mean[1])}"
    if not np.isfinite(found.p_bought):
        return text + " (no interval)"
    return f"{text} {interval(found.ci[0, 1], found.ci[1, 1])}"


def sensitivity_sentence(result: Result, settings: Settings) -> str:
    """Whether the analyses of one outcome agree about every method."""
    table = result.sensitivity
    if table.empty:
        return ""
    split = []
    for method, rows in table.groupby("method", sort=False):
        known = rows.dropna(subset=["p"])
        if known.empty:
            continue
        says = {("differs" if p < settings.alpha else "open", np.sign(e)) for p, e in
                zip(known["p"], known["estimate"], strict=True)}  # fmt: skip
        if len({kind for kind, _ in says}) > 1 or (("differs", 1.0) in says and ("differs", -1.0) in says):
            parts = [f"{p_value(p)} by {a}" for p, a in zip(known["p"], known["analysis"], strict=True)]
            split.append(f"{method_name(str(method))} ({'; '.join(parts)})")
    label = result.outcome.label
    if not split:
        count = table["analysis"].nunique()
        return f"{label}: all {count} analyses tell the same methods from the control (unadjusted p)."
    return f"{label}: the analyses disagree about {join(split)}. The first is the one declared beforehand."


def variance_sentence(result: Result) -> str:
    """Names the variances that were estimated at zero, or says that none was."""
    if result.fit is None:
        return ""
    table = result.fit.variance_table()
    zero = list(table.loc[table["zero"], "component"])
    if not zero:
        return "All variances are away from zero."
    which = "it" if len(zero) == 1 else "them"
    return (
        f"Estimated at zero: {join(zero)}. That says the data cannot tell {which} from zero, not that nothing "
        f"varies; intervals that rest on {which} may be too narrow."
    )


def confirmation_sentence(found: Confirmation, label: str) -> str:
    if not found.ran:
        return f"{label}: not confirmed by statsmodels ({found.reason})."
    word = "confirms" if found.agrees else "does NOT confirm"
    left_out = f" and without {join([f'(1 | {name})' for name in found.without])}" if found.without else ""
    return (
        f"{label}: statsmodels MixedLM {word} the model with one run variance{left_out}: estimates differ by at most "
        f"{found.estimate:.1e} standard errors, standard errors by {found.se:.1e} (relative), variances by "
        f"{found.variance:.1e} residual variances."
    )


def cost_phrase(table: pd.DataFrame) -> str:
    """Whether all methods were trained on the same number of items and captions."""
    items, captions = table["items"].nunique(), table["captions"].nunique()
    if items == 1 and captions == 1:
        return "All methods saw the same number of items and encoded the same number of captions."
    if items == 1:
        return (
            "All methods saw the same number of items, but not of captions: methods that encode two captions an item "
            "had more text to learn from, and the comparison is at equal items, not at equal cost."
        )
    return "Methods differ in the number of items seen: compare them with that in mind."


def pairs_sentence(result: Result, settings: Settings) -> str:
    """Which methods can be told from one another, the control left aside."""
    table = result.pairs
    if table.empty:
        return ""
    known = table[(table["first"] != settings.control) & (table["second"] != settings.control)]
    known = known.dropna(subset=["p_adjusted"])
    if known.empty:
        return ""
    open_pairs = known[known["p_adjusted"] >= settings.alpha]
    if open_pairs.empty:
        return f"All {len(known)} pairs of methods can be told apart (Holm over all pairs)."
    names = ", ".join(
        f"{method_name(a)} from {method_name(b)}"
        for a, b in zip(open_pairs["first"], open_pairs["second"], strict=True)
    )
    if len(open_pairs) == len(known):
        return "No two methods can be told apart (Holm over all pairs)."
    return f"Cannot be told apart (Holm over all pairs): {names}."


def influence_sentence(found: Influence | None, result: Result) -> str:
    """How far the averaged differences move when one language or one seed is left out."""
    if found is None:
        return ""
    estimates = result.marginal().set_index("method")["estimate"]
    parts = []
    for what, table in (("language", found.languages), ("seed", found.seeds)):
        if table.empty:
            continue
        moved = (table["estimate"] - table["method"].map(estimates)).abs()
        row = table.iloc[int(moved.to_numpy().argmax())]
        where = f"seed {row['left_out']}" if what == "seed" else row["left_out"]
        turned = sorted({str(m) for m, e in zip(table["method"], table["estimate"], strict=True)
                         if np.sign(e) != np.sign(estimates[m])})  # fmt: skip
        text = (
            f"without any one {what} no difference moves by more than {moved.max():.2f} points "
            f"({method_name(str(row['method']))} without {where})"
        )
        if turned:
            text += f", and the sign of {join([method_name(m) for m in turned])} hangs on it"
        parts.append(text)
    if not parts:
        return ""
    text = "; ".join(parts) + "."
    return f"Leave one out: {text}"


def bound_sentence(result: Result) -> str:
    """How the search for the variances ended."""
    if result.fit is None:
        return ""
    table = zip((*result.fit.names, "residual"), result.fit.bound, strict=True)
    high = [name for name, at_bound in table if at_bound]
    text = "The search ended where no slope is left." if result.fit.converged else (
        "The search stopped before the slopes vanished: read the intervals with care."
    )  # fmt: skip
    return text + (f" At the upper bound of the search: {join(high)}." if high else "")


def front_sentence(front: pd.DataFrame) -> str:
    """Who is on the Pareto front of consistency and stability, and how surely."""
    if front.empty:
        return ""
    chance = {method_name(m): p for m, p in zip(front["method"], front["probability"], strict=True)}
    members = [method_name(m) for m, member in zip(front["method"], front["member"], strict=True) if member]
    shown = join([f"{name} ({100 * chance[name]:.0f} % of bootstrap draws)" for name in members])
    others = [f"{name} ({100 * p:.0f} %)" for name, p in chance.items() if name not in members and p >= 0.005]
    text = f"On the Pareto front of consistency and stability: {shown}."
    return text + (f" Sometimes there: {join(others)}." if others else "")


def methods_paragraph(study: Study, headlines: Mapping[str, Result], settings: Settings) -> str:
    """A paragraph for a paper: what was run and how it was judged."""
    students = study.cells[study.cells["role"] == "student"]
    level = percent(settings.alpha)
    crossed = [r for r in headlines.values() if r.fit is not None]
    text = (
        f"We trained {len(students)} students ({count(len(study.methods), 'method')} including the control, "
        f"{count(len(study.archs), 'architecture')}, {count(len(study.sizes), 'size')}, "
        f"{count(students['seed'].nunique(), 'seed')}) and scored them in {count(len(study.languages), 'language')}. "
        "The run is the unit of replication; within architecture, size and seed all methods share initialisation, "
        "batches and evaluation items. "
    )
    if crossed:
        names = join([r.outcome.label for r in crossed])
        text += (
            f"{names[0].upper()}{names[1:]} were analysed by linear mixed models fitted by REML "
            f"({crossed[0].formula}), with a run variance for each method and Satterthwaite degrees of freedom"
            + ("; statements are about languages like those tested. " if settings.languages == "random" else ". ")
        )
    rest = [r.outcome.label for r in headlines.values() if r.fit is None]
    if rest:
        text += (
            f"{join(rest)[0].upper()}{join(rest)[1:]} {'was' if len(rest) == 1 else 'were'} analysed by paired t tests "
            "on runs within blocks. "
        )
    wide = " and widened by Bonferroni over the primary outcomes" if settings.family == "study" else ""
    return text + (
        f"Differences from the control are given in percentage points with {level} confidence intervals; p values are "
        f"adjusted over methods within an outcome (multivariate t, after Dunnett){wide}, and equivalence is judged by "
        "two one-sided tests. The price of consistency is the joint difference in consistency and stability "
        "with Hotelling's region and an intersection-union test, Holm-adjusted over methods."
    )


def count(number_of: int, noun: str) -> str:
    return f"{number_of} {noun}{'' if number_of == 1 else 's'}"


def citation(study: Study, settings: Settings) -> str:
    """How to cite this report: what identifies it is the hash of the data."""
    return (
        f"Small Polyglots: {settings.study} ({len(study.cells)} models, {count(len(study.languages), 'language')}). "
        f"Data SHA-256 {study.data_hash[:16]}. Method after arXiv 2510.26271."
    )
