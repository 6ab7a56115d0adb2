"""What each figure shows, in words, for those who do not see it: the finding and not the kind of chart."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import names
from analysis.contrasts.estimate import rows
from analysis.data.load import StudyData
from analysis.report import sentences
from analysis.results import Analysis
from analysis.settings import AnalysisSettings
from analysis.tradeoff.tradeoff import Tradeoff
from analysis.wording import capital, join, number


def texts(analysis: Analysis, settings: AnalysisSettings) -> dict[str, str]:
    """Figure -> alternative text."""
    results = analysis.headlines
    found = {
        "overview": " ".join(sentences.outcome_line(r, settings) for r in results.values()),
        "tradeoff": sentences.places_sentence(analysis.places) or _average(analysis.tradeoffs),
        "languages": _languages(analysis.single_languages, analysis.study, settings),
        "scores": " ".join(f"{capital(r.outcome.label)}: {sentences.levels_phrase(r, settings)}; "
                           f"{_range_of_means(r.means)}." for r in results.values()),
        "retrieval": _retrieval(analysis.study, settings),
        "profiles": " ".join(f"{capital(r.outcome.label)}: {'; '.join(sentences.outcome_phrases(r, settings, False))}."
                             for r in results.values()),
        "pairs": " ".join(f"{capital(r.outcome.label)}: {text}" for r in results.values()
                          if (text := sentences.pairs_sentence(r, settings))),
        "power": sentences.power_sentence(analysis.power, results),
        "diagnostics": _residuals(analysis),
    }  # fmt: skip
    for name, table in analysis.by_language.items():
        found[f"forest-{name}"] = _predictions(table, results[name].outcome.label)
    return found


def _average(found: list[Tradeoff]) -> str:
    parts = [f"{names.label(t.method)}: {sentences.TOGETHER[t.verdict]}" for t in found]
    return "; ".join(parts) + "." if parts else ""


def _languages(table: pd.DataFrame, study: StudyData, settings: AnalysisSettings) -> str:
    parts = []
    for name, outcome in study.headlines.items():
        here = table[table["outcome"] == name]
        told = []
        for contrast, part in here.groupby("contrast", sort=False):
            differ = part["p_adjusted"] < settings.alpha
            up, down = (int((differ & (part["estimate"] * way > 0)).sum()) for way in (1, -1))
            method = names.label(str(contrast).removesuffix(f" - {settings.control}"))
            told.append(f"{method} above the control in {up} and below it in {down} of {len(part)}")
        if told:
            parts.append(f"{capital(outcome.label)}, languages with a significant difference: {'; '.join(told)}.")
    return " ".join(parts)


def _range_of_means(means: pd.DataFrame) -> str:
    if means.empty:
        return "no means"
    ordered = rows(means.sort_values("estimate"))
    low, high = ordered[0], ordered[-1]
    return (
        f"means from {number(low['estimate'])} ({names.label(low['method'])}, {low['arch']} {low['size']}) to "
        f"{number(high['estimate'])} ({names.label(high['method'])}, {high['arch']} {high['size']})"
    )


def _retrieval(study: StudyData, settings: AnalysisSettings) -> str:
    outcome = study.headlines.get("retrieval")
    if outcome is None:
        return ""
    parts = []
    for method, frame in outcome.frame.groupby("method", sort=False):
        level = frame.groupby("language")["score"].mean()
        parts.append(
            f"{names.methods(study.methods, settings.control)[str(method)].label} from {number(level.min())} "
            f"({names.language(str(level.idxmin()))}) to {number(level.max())} ({names.language(str(level.idxmax()))})"
        )
    return f"Retrieval, lowest and highest language: {'; '.join(parts)}."


def _residuals(analysis: Analysis) -> str:
    parts = []
    for r in analysis.headlines.values():
        if r.fit is not None:
            residual = (r.outcome.frame["score"].to_numpy() - r.fit.fitted) / np.sqrt(r.fit.variances[-1])
            parts.append(f"{r.outcome.label} {100 * float((np.abs(residual) > 3).mean()):.1f} %")
    return f"Residuals beyond three standard deviations, 0.3 % if normal: {join(parts)}." if parts else ""


def _predictions(table: pd.DataFrame, label: str) -> str:
    parts = []
    for method, part in table.groupby("method", sort=False):
        ordered = rows(part.sort_values("estimate"))
        low, high = ordered[0], ordered[-1]
        parts.append(
            f"{names.label(str(method))} from {number(low['estimate'])} in {names.language(low['language'])} to "
            f"{number(high['estimate'])} in {names.language(high['language'])}"
        )
    return f"{capital(label)} minus the control, predictions: {'; '.join(parts)}."
