"""Findings in plain sentences. Nothing here computes a statistic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis import verdict as verdicts
from analysis.contrasts import Result
from analysis.inference import NO_SPREAD
from analysis.settings import Settings
from analysis.tradeoff import Tradeoff
from analysis.verdict import verdict
from analysis.wording import interval, join, method_name, number, p_value, percent, sign


def contrast_sentence(row: Mapping[str, float], method: str, result: Result, settings: Settings) -> str:
    """What one averaged contrast shows, in words."""
    name, label = method_name(method), result.outcome.label
    points = settings.smallest(result.outcome.name)
    level = percent(settings.alpha)
    found = verdict(row, settings.alpha)
    size = f"{abs(row['estimate']):.1f} points"
    if found == "unknown":
        still = row["se"] <= NO_SPREAD
        why = "its runs do not vary, so no interval can be given" if still else "too few runs repeat for an interval"
        return f"{name}'s {label} differed from the control's by {sign(row['estimate'])} points; {why}."
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
        return (
            f"{label}: no method can be told from being no better than the control; {name} is highest "
            f"({text}, adjusted {p_value(row['p_adjusted'])})."
        )
    # Intervals of two methods against one control overlap less than their difference says, so no ranking is claimed.
    return f"{label}: {name} is highest, {text} over the control."


def pairs_sentence(result: Result, settings: Settings) -> str:
    """Which methods can be told from one another, the control left aside."""
    table = result.pairs
    if table.empty:
        return ""
    known = table.dropna(subset=["p_adjusted"])
    if known.empty:
        return ""
    open_pairs = known[known["p_adjusted"] >= settings.alpha]
    if open_pairs.empty:
        return f"All {len(known)} pairs of methods can be told apart (adjusted over all pairs)."
    names = ", ".join(
        f"{method_name(a)} from {method_name(b)}"
        for a, b in zip(open_pairs["first"], open_pairs["second"], strict=True)
    )
    if len(open_pairs) == len(known):
        return "No two methods can be told apart (adjusted over all pairs)."
    return f"Cannot be told apart (adjusted over all pairs): {names}."


def tradeoff_sentence(found: Tradeoff, settings: Settings) -> str:
    """What consistency cost one method in stability, with its interval, or that it cannot be told."""
    name, level = method_name(found.method), percent(settings.alpha)
    up, down = found.consistency, found.stability
    points = settings.smallest("stability")
    if found.verdict == verdicts.UNKNOWN:
        blocks = f"{len(found.points)} block{'s' if len(found.points) != 1 else ''}"
        return (
            f"{name}: consistency {sign(up['estimate'])} points, stability {sign(down['estimate'])} points; with "
            f"{blocks} no interval can be given, so this study cannot tell what consistency cost."
        )
    consistency = f"consistency by {sign(up['estimate'])} points {interval(up['ci_low'], up['ci_high'])}"
    stability = f"{sign(down['estimate'])} points {interval(down['ci_low'], down['ci_high'])}"
    both = f"{level} CIs; intersection-union test, adjusted {p_value(found.p_both)}"
    texts = {
        verdicts.COST: f"{name} paid for consistency with stability: it changed {consistency} and VQA stability by "
                       f"{stability} ({both}).",
        verdicts.BOTH_RAISED: f"{name} raised both: {consistency}, and VQA stability by {stability} ({both}); "
                              "consistency cost nothing on this average.",
        verdicts.FREE: f"{name} raised {consistency} at no loss of VQA stability as large as {points:g} points: "
                       f"{stability} ({level} CIs).",
        verdicts.GAIN: f"{name} raised {consistency}; this study cannot tell what that cost in VQA stability: "
                       f"{stability} ({level} CIs).",
    }  # fmt: skip
    if found.verdict in texts:
        return texts[found.verdict]
    moved = "did not demonstrably raise consistency"
    if verdict(up, settings.alpha) == verdicts.LOWERED:
        moved = "lowered consistency"
    return (
        f"{name} {moved} ({sign(up['estimate'])} points {interval(up['ci_low'], up['ci_high'])}), so there is no gain "
        f"to set a price on; VQA stability changed by {stability} ({level} CIs)."
    )


def tradeoff_short(found: Tradeoff) -> str:
    """The trade-off of one method on one line."""
    up, down = found.consistency, found.stability
    text = f"{method_name(found.method)}: consistency {sign(up['estimate'])}, VQA stability {sign(down['estimate'])}"
    if found.verdict == verdicts.UNKNOWN:
        return text + " (no interval)"
    return f"{text} {interval(down['ci_low'], down['ci_high'])}"


def places_sentence(found: list[Tradeoff], settings: Settings) -> str:
    """Where consistency was bought with stability, where both rose, architecture and size by themselves."""
    parts = []
    for said, text in (
        (verdicts.COST, "consistency bought with stability"), (verdicts.BOTH_RAISED, "both up")
    ):  # fmt: skip
        where: dict[str, list[str]] = {}
        for t in found:
            if t.verdict == said:
                numbers = f"({sign(float(t.mean[0]))}, {sign(float(t.mean[1]))})"
                where.setdefault(f"{t.arch} {t.size}", []).append(f"{method_name(t.method)} {numbers}")
        parts += [f"{text} in {place} by {join(names)}" for place, names in where.items()]
    if not parts:
        return ""
    return f"By architecture and size (exploratory; points of consistency, stability): {'; '.join(parts)}."


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
