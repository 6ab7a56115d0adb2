"""Findings in plain sentences. Nothing here computes a statistic: every claim is a verdict on the adjusted p."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.contrasts.estimate import LIKE_THESE, Result, rows
from analysis.contrasts.verdict import (
    BOTH_LOWERED,
    BOTH_RAISED,
    COST,
    EQUIVALENT,
    FREE,
    GAIN,
    LOWERED,
    NONE,
    OPEN,
    OPPOSITE,
    RAISED,
    UNKNOWN,
    verdict,
)
from analysis.mixed.design import AVERAGE
from analysis.power import power
from analysis.settings import AnalysisSettings
from analysis.tradeoff.measure_pairs import ConstructPair, Disagreement
from analysis.tradeoff.tradeoff import Tradeoff
from analysis.wording import capital, count, interval, join, method_name, number, sign
from analysis.wording import points as point_count

Row = Mapping[Any, Any]

TOGETHER = {
    COST: "consistency raised at the cost of stability",
    BOTH_RAISED: "both raised",
    BOTH_LOWERED: "both lowered",
    OPPOSITE: "consistency lowered, stability raised",
    FREE: "consistency raised, stability equivalent",
    GAIN: "consistency raised, cost open",
    NONE: "no significant gain in consistency",
    UNKNOWN: "no interval",
}
"""What the verdicts on consistency and stability say together, in words."""


def difference(row: Row) -> str:
    """'+1.2 [0.3, 2.1]', or '+1.2 (no interval)'."""
    if not np.isfinite(row["ci_low"]):
        return f"{sign(row['estimate'])} (no interval)"
    return f"{sign(row['estimate'])} {interval(row['ci_low'], row['ci_high'])}"


def coverage(result: Result, method: str) -> str:
    """In how many combinations of architecture and size a method is compared, where it is not in all."""
    if result.design is None:
        return ""
    shared, every = len(result.design.shared(method)), len(result.design.places)
    return f" (in {shared} of {every} combinations)" if shared < every else ""


def by_verdict(result: Result, settings: AnalysisSettings) -> dict[str, list[dict[str, Any]]]:
    """The averaged contrasts of an outcome by what they show, the largest first; methods that ran everywhere lead."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows(result.marginal()):
        found.setdefault(verdict(row, settings.alpha), []).append(row)
    return {
        said: sorted(part, key=lambda r: (bool(coverage(result, r["method"])), -abs(r["estimate"])))
        for said, part in found.items()
    }  # fmt: skip


def levels_phrase(result: Result, settings: AnalysisSettings) -> str:
    """'control 36.4, teacher 65.9'."""
    outcome = result.outcome
    control = outcome.frame[outcome.frame["method"] == settings.control]
    by_run = control.groupby(["arch", "size", "seed"])["score"].mean()
    text = f"control {number(float(by_run.groupby(['arch', 'size']).mean().mean()))}"
    if not outcome.teachers.empty:
        text += f", teacher {number(float(outcome.teachers.groupby('arch')['score'].mean().mean()))}"
    return text


def outcome_phrases(result: Result, settings: AnalysisSettings, every: bool) -> list[str]:
    """What the methods did to one outcome, a phrase for each verdict.

    `every`: with the interval of each method that differs; else of the first of each phrase only.
    """
    groups = by_verdict(result, settings)
    points = settings.smallest(result.outcome.name)
    phrases = []
    for said, lead in ((RAISED, "raised by"), (LOWERED, "lowered by")):
        texts = []
        for i, row in enumerate(groups.get(said, [])):
            text = method_name(row["method"]) + coverage(result, row["method"])
            if every or i == 0:
                small = f", less than {point_count(points)}" if _small(row, settings) else ""
                text += f" {difference(row)}{small}"
            texts.append(text)
        if texts:
            phrases.append(f"{lead} {join(texts)}")
    for said, lead in (
        (EQUIVALENT, f"within {point_count(points)} of the control:"), (OPEN, "not significantly different:")
    ):  # fmt: skip
        if found := groups.get(said):
            phrases.append(f"{lead} {join([method_name(r['method']) + coverage(result, r['method']) for r in found])}")
    if found := groups.get(UNKNOWN):
        texts = [f"{method_name(r['method'])} {sign(r['estimate'])}" for r in found]
        phrases.append(f"no interval: {join(texts)}")
    return phrases


def outcome_line(result: Result, settings: AnalysisSettings, every: bool = True) -> str:
    """One outcome on one line: level of control and teacher, and what the methods did."""
    phrases = "; ".join(outcome_phrases(result, settings, every))
    return f"{capital(result.outcome.label)} ({levels_phrase(result, settings)}): {phrases}."


def answer(found: Sequence[Tradeoff], settings: AnalysisSettings) -> str:
    """What retrieval consistency costs in VQA stability, in one sentence; averaged over architectures and sizes."""
    if not found:
        return "Consistency and stability are not both measured for any method, so there is no cost to judge."
    groups: dict[str, list[Tradeoff]] = {}
    for t in found:
        groups.setdefault(t.verdict, []).append(t)
    if set(groups) == {UNKNOWN}:
        return "This study cannot tell what consistency costs: too few runs repeat for an interval."
    names = {said: join([method_name(t.method) for t in part]) for said, part in groups.items()}
    several = {said: len(part) > 1 for said, part in groups.items()}
    parts = []
    if COST in groups:
        told = join([
            f"{method_name(t.method)} (consistency {difference(t.consistency)}, stability {difference(t.stability)}"
            + (f", less than {point_count(settings.smallest('stability'))})" if _small(t.stability, settings) else ")")
            for t in groups[COST]
        ])  # fmt: skip
        parts.append(f"consistency cost stability with {told}")
    if BOTH_RAISED in groups:
        parts.append(f"{names[BOTH_RAISED]} raised both")
    if FREE in groups:
        points = settings.smallest("stability")
        parts.append(f"{names[FREE]} raised consistency with stability within {point_count(points)} of the control's")
    if GAIN in groups:
        told = join([f"{method_name(t.method)} (stability {difference(t.stability)})" for t in groups[GAIN]])
        parts.append(f"{told} raised consistency at a cost that is open")
    if OPPOSITE in groups:
        parts.append(f"{names[OPPOSITE]} lowered consistency and raised stability")
    if BOTH_LOWERED in groups:
        parts.append(f"{names[BOTH_LOWERED]} lowered both")
    if NONE in groups:
        only = len(groups) == 1
        who = "no method" if only else names[NONE]
        verb = "raised consistency significantly" if only else "did not raise consistency significantly"
        parts.append(f"{who} {verb}" + (", so there is no gain to set a price on" if only else ""))
    if UNKNOWN in groups:
        parts.append(f"{names[UNKNOWN]} {'have' if several[UNKNOWN] else 'has'} no interval")
    if COST not in groups and any(said in groups for said in (BOTH_RAISED, FREE)):
        parts.insert(0, "no method is shown to pay for consistency with stability")
    return capital("; ".join(parts)) + "."


def _small(row: Row, settings: AnalysisSettings) -> bool:
    """Whether the whole interval lies within the smallest effect of interest."""
    return bool(row["p_equivalent"] < settings.alpha)


def population_sentence(results: Mapping[str, Result]) -> str:
    """Which languages each outcome speaks of, said once."""
    like = [r.outcome.label for r in results.values() if r.population == LIKE_THESE]
    tested = [r.outcome.label for r in results.values() if r.population != LIKE_THESE]
    if not tested:
        return "Results speak of languages like those tested."
    if not like:
        return "Results speak of the tested languages only."
    return (
        f"{capital(join(like))} speak{'s' if len(like) == 1 else ''} of languages like those tested, "
        f"{join(tested)} of the tested languages only."
    )


def places_sentence(found: Sequence[Tradeoff]) -> str:
    """Where consistency had a cost, and where both rose, architecture and size by themselves."""
    where: dict[tuple[str, str], list[str]] = {}
    for t in found:
        if t.verdict in (COST, BOTH_RAISED, BOTH_LOWERED, OPPOSITE):
            text = f"{method_name(t.method)} ({sign(float(t.mean[0]))}, {sign(float(t.mean[1]))})"
            where.setdefault((t.verdict, f"{t.arch} {t.size}"), []).append(text)
    if not found:
        return ""
    head = "By architecture and size (exploratory; points of consistency, stability)"
    if not where:
        return f"{head}: nowhere did both change significantly."
    order = (COST, BOTH_RAISED, OPPOSITE, BOTH_LOWERED)
    parts = [f"{TOGETHER[said]} in {place} by {join(texts)}"
             for (said, place), texts in sorted(where.items(), key=lambda item: order.index(item[0][0]))]  # fmt: skip
    return f"{head}: {'; '.join(parts)}."


def constructs_sentence(pairs: Sequence[ConstructPair], found: Sequence[Disagreement]) -> str:
    """Whether other measures of consistency and stability come to the same verdicts."""
    if len(pairs) < 2:
        return ""
    whole = [d for d in found if d.arch == AVERAGE]
    if not whole:
        return f"Under all {len(pairs)} pairs of measures the verdicts are the same."
    parts = []
    for d in whole:
        said: dict[str, list[str]] = {}
        for (consistency, stability), together in d.verdicts.items():
            if together != UNKNOWN:
                said.setdefault(together, []).append(f"{measure(consistency)} with {measure(stability)}")
        told = [f"“{TOGETHER[v]}” under {join(measures)}" for v, measures in said.items()]
        parts.append(f"{method_name(d.method)}: {', '.join(told)}")
    return f"Measures disagree. {'. '.join(capital(p) for p in parts)}."


def measure(name: str) -> str:
    """A measure's name in running text."""
    return name.replace("_", " ")


def pairs_sentence(result: Result, settings: AnalysisSettings) -> str:
    """Which methods differ significantly from one another, the control left aside."""
    table = result.pairs
    known = table.dropna(subset=["p_adjusted"]) if len(table) else table
    if known.empty:
        return ""
    differ = known["p_adjusted"] < settings.alpha
    if differ.all():
        return f"All {len(known)} pairs of methods differ significantly."
    if not differ.any():
        return "No two methods differ significantly from each other."
    names = join([
        f"{method_name(a)} and {method_name(b)}"
        for a, b in zip(known.loc[~differ, "first"], known.loc[~differ, "second"], strict=True)
    ])  # fmt: skip
    return f"{count(int(differ.sum()), 'pair')} of {len(known)} differ significantly; not so {names}."


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


def outlying_sentence(results: Mapping[str, Result]) -> str:
    """Runs that lie far from those of their kind, and whether a verdict hangs on them."""
    runs: dict[str, list[str]] = {}
    for r in results.values():
        for cell in r.outliers:
            runs.setdefault(cell, []).append(r.outcome.label)
    if not runs:
        return ""
    named = "; ".join(f"{cell} ({join(labels)})" for cell, labels in sorted(runs.items()))
    text = f"{count(len(runs), 'run')} far from the others of {'its' if len(runs) == 1 else 'their'} kind: {named}."
    parted = [f"{join([method_name(m) for m in r.parted])} on {r.outcome.label}" for r in results.values() if r.parted]
    if parted:
        return f"{text} Without {'it' if len(runs) == 1 else 'them'} the verdict is another one for {join(parted)}."
    return f"{text} Without {'it' if len(runs) == 1 else 'them'} every verdict is the same."


def power_sentence(table: pd.DataFrame, results: Mapping[str, Result]) -> str:
    """How often a study of this one's size finds the smallest effects of interest: of the contrast in the middle."""
    if table.empty:
        return ""
    shown = power.middle(table)
    seeds = max((int(r.outcome.frame.groupby(["arch", "size", "method"])["seed"].nunique().max()) for r in
                 results.values()), default=0)  # fmt: skip
    parts = []
    for outcome, part in shown[shown["seeds"] == seeds].groupby("outcome", sort=False):
        languages = _languages_of(results, str(outcome))
        here = part[part["languages"] == languages] if languages in set(part["languages"]) else part
        effect = rows(table[table["outcome"] == outcome])[0]
        label = results[str(outcome)].outcome.label if outcome in results else str(outcome)
        size = f"{point_count(effect['effect'])} up" if outcome in results else (
            f"{point_count(effect['effect'])} up and {point_count(effect['effect_stability'])} down"
        )  # fmt: skip
        found = float(here["power"].iloc[-1])
        if np.isfinite(found):  # scores that do not vary have no power to speak of
            parts.append(f"{label} ({size}) {100 * found:.0f} %")
    return f"With {count(seeds, 'seed')}, power for the smallest effects of interest: {join(parts)}." if parts else ""


def _languages_of(results: Mapping[str, Result], outcome: str) -> int:
    names = [outcome] if outcome in results else ["consistency", "stability"]
    counts = [int(results[n].outcome.frame["language"].nunique()) for n in names
              if n in results and results[n].outcome.by_language]  # fmt: skip
    return min(counts, default=0)
