"""Findings in plain sentences. Nothing here computes a statistic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.contrasts import Result
from analysis.inference import NO_SPREAD
from analysis.layout import Cell
from analysis.settings import Settings
from analysis.tradeoff import Tradeoff
from analysis.wording import interval, join, method_name, number, p_value, percent, sign


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
            "consistency cost nothing on this average."
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


def tradeoff_short(found: Tradeoff) -> str:
    """The trade-off of one method on one line."""
    text = f"{method_name(found.method)}: consistency {sign(found.mean[0])}, VQA stability {sign(found.mean[1])}"
    if not np.isfinite(found.p_bought):
        return text + " (no interval)"
    return f"{text} {interval(found.ci[0, 1], found.ci[1, 1])}"


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
