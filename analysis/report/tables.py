"""Results as rows of text for the report's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis import names
from analysis.contrasts import prediction
from analysis.contrasts.estimate import Result, rows
from analysis.contrasts.verdict import EQUIVALENT, LOWERED, OPEN, RAISED, UNKNOWN, verdict
from analysis.data.load import StudyData
from analysis.mixed import model as mixed
from analysis.mixed.design import AVERAGE, is_average
from analysis.report import files
from analysis.report.sentences import TOGETHER, coverage, difference
from analysis.settings import AnalysisSettings
from analysis.tradeoff.tradeoff import Tradeoff
from analysis.wording import capital, interval, number, p_value, sign

READINGS = {
    RAISED: "raised",
    LOWERED: "lowered",
    EQUIVALENT: "equivalent",
    OPEN: "not significant",
    UNKNOWN: "no interval",
}

MARK = "\N{DAGGER}"
"""Beside what was not declared."""


def contrast_rows(
    result: Result,
    settings: AnalysisSettings,
    items: pd.DataFrame | None = None,
    predictions: pd.DataFrame | None = None,
) -> list[dict[str, Any]]:
    """The averaged differences of an outcome.

    Args:
        result: of the outcome.
        settings: the declared choices.
        items: `items.COLUMNS`, for the interval with test items drawn anew.
        predictions: `prediction.COLUMNS`, for the interval of one new language.
    """
    drawn = _intervals(items, result.outcome.name)
    language = predictions[predictions["new"] == prediction.LANGUAGE] if predictions is not None else None
    new = _intervals(language, result.outcome.name)
    return [
        {
            "method": names.label(row["method"]) + coverage(result, row["method"]),
            "difference": difference(row) + (MARK if row["exploratory"] else ""),
            "p": _p(row["p_adjusted"]),
            "p_equivalent": _p(row["p_equivalent"]),
            "mde": number(row["mde"]) if row["mde"] < 100 else "n/a",
            "verdict": READINGS[verdict(row, settings.alpha)],
            "items": drawn.get(row["method"], "\N{EN DASH}"),
            "new_language": new.get(row["method"], "\N{EN DASH}"),
        }
        for row in rows(result.marginal())
    ]


def _intervals(table: pd.DataFrame | None, outcome: str) -> dict[str, str]:
    """Method -> its interval in a table with columns outcome, method, low and high."""
    if table is None or table.empty:
        return {}
    here = table[(table["outcome"] == outcome) & table["low"].notna()]
    return {str(row["method"]): interval(row["low"], row["high"]) for row in rows(here)}


def place_rows(result: Result, study: StudyData, settings: AnalysisSettings) -> list[dict[str, Any]]:
    """Differences of an outcome by architecture, by size and by both: a row for each, a cell for each method."""
    return _matrix(result.contrasts[~is_average(result.contrasts)], ["arch", "size"], study, settings)


def secondary_rows(results: Mapping[str, Result], study: StudyData, settings: AnalysisSettings) -> list[dict[str, Any]]:
    """Averaged differences of the secondary measures: a row for each measure, a cell for each method."""
    out = []
    for r in results.values():
        row = {"kind": r.outcome.name.split(":")[0], "label": capital(r.outcome.label)}
        row["better"] = "more" if r.outcome.higher_is_better else "less"
        out += [{**row, **part} for part in _matrix(r.marginal(), ["outcome"], study, settings)]
    return out


def _matrix(table: pd.DataFrame, by: list[str], study: StudyData, settings: AnalysisSettings) -> list[dict[str, Any]]:
    """Rows `where` and `cells`: for each method its difference, if any, and whether it is significant."""
    out = []
    for key, part in table.groupby(by, sort=False):
        found = {row["method"]: row for row in rows(part)}
        cells = []
        for method in study.methods:
            if method == settings.control:
                continue
            row = found.get(method)
            shown = row is not None and verdict(row, settings.alpha) in (RAISED, LOWERED)
            cells.append({"text": "" if row is None else sign(row["estimate"]), "shown": shown})
        where = ", ".join(str(level) for level in key if level != AVERAGE)
        out.append({"where": where, "cells": cells})
    return out


def _ci(row: dict[str, Any], digits: int = 1) -> str:
    return interval(row["ci_low"], row["ci_high"], digits) if np.isfinite(row["ci_low"]) else "n/a"


def _p(value: float) -> str:
    return p_value(value).removeprefix("p ").removeprefix("= ") if np.isfinite(value) else "n/a"


def means(result: Result, profile: pd.DataFrame) -> list[dict[str, str]]:
    """Estimated marginal means, and whole runs: interquartile mean and probability of improvement."""
    whole = {str(row["method"]): row for row in rows(profile)}
    return [
        {
            "method": names.label(r["method"]),
            "mean": f"{number(r['estimate'])} {_ci(r)}",
            "iqm": _ranged(whole, r["method"], "iqm", 1),
            "better": _ranged(whole, r["method"], "improvement", 2),
        }
        for r in rows(result.means[is_average(result.means)])
    ]


def _ranged(found: Mapping[str, dict[str, Any]], method: str, column: str, digits: int) -> str:
    if method not in found or not np.isfinite(found[method][column]):
        return "\N{EN DASH}"
    value, low, high = (float(found[method][name]) for name in (column, f"{column}_low", f"{column}_high"))
    return number(value, digits) + (f" {interval(low, high, digits)}" if np.isfinite(low) else "")


def omnibus(
    headlines: dict[str, Result], secondary: dict[str, Result], settings: AnalysisSettings
) -> list[dict[str, str]]:
    label = {name: r.outcome.label for name, r in {**headlines, **secondary}.items()}
    return [
        {"outcome": capital(label[r["outcome"]]), "effect": r["effect"], "f": f"{r['f']:.2f}",
         "df": f"{r['df']}, {r['df_denominator']:.1f}", "p": _p(r["p"]),
         "holm": _p(r["p_holm"]) if np.isfinite(r["p_holm"]) else "\N{EN DASH}"}
        for r in rows(files.f_tests(headlines, secondary, settings))
    ]  # fmt: skip


def variances(fit: mixed.MixedFit) -> list[dict[str, str]]:
    out = []
    for row in rows(fit.variance_table()):
        high = "unbounded" if np.isinf(row["high"]) else number(row["high"], 2)
        ci = "at the boundary (0)" if row["zero"] else f"[{number(row['low'], 2)}, {high}]"
        out.append({"component": row["component"], "sd": number(row["sd"], 2), "ci": ci})
    return out


def design(study: StudyData) -> list[dict[str, Any]]:
    """Runs per arch x size (rows) and method: how many are there, how many planned ones are not."""
    return [
        {"place": f"{arch}, {size}",
         "cells": [f"{r['completed']} of {r['completed'] + r['missing']}" if r["missing"] else str(r["completed"])
                   for r in rows(here)]}
        for (arch, size), here in files.design(study).groupby(["arch", "size"], sort=False)
    ]  # fmt: skip


def cost(study: StudyData) -> list[dict[str, str]]:
    """Training cost of a run of each method and size, averaged over architectures and seeds."""
    return [
        {"size": r["size"], "method": names.label(r["method"]), "flops": f"{r['flops']:.3g}",
         "seconds": f"{r['seconds']:,.1f}", **{name: f"{r[name]:,.0f}" for name in ("parameters", "items", "captions")}}
        for r in rows(files.cost(study))
    ]  # fmt: skip


def churn(study: StudyData) -> list[dict[str, Any]]:
    plain = study.churn[study.churn["construct"] == "churn"]
    score = {(r["arch"], r["size"], r["method"]): float(r["score"]) for r in rows(plain)}
    return [
        {"place": f"{a}, {s}", "cells": [number(score.get((a, s, m), np.nan)) for m in study.methods]}
        for a in study.archs for s in study.sizes if any((a, s, m) in score for m in study.methods)
    ]  # fmt: skip


def tradeoff_rows(found: Sequence[Tradeoff], exploratory: bool = False) -> list[dict[str, str]]:
    """The two differences of each method and what they say together."""
    return [
        {
            "place": f"{t.arch}, {t.size}",
            "method": names.label(t.method) + (MARK if exploratory else ""),
            "consistency": difference(t.consistency),
            "stability": difference(t.stability),
            "task": difference(t.task),
            "p": _p(t.p_both),
            "verdict": TOGETHER[t.verdict],
        }
        for t in found
    ]


def construct_rows(analysis_pairs: Sequence[Any]) -> list[dict[str, Any]]:
    """The averaged trade-off under each pair of measures: a row for each pair, a cell for each method."""
    return [
        {
            "consistency": pair.consistency.replace("_", " "),
            "stability": pair.stability.replace("_", " "),
            "cells": [
                {"method": t.method, "text": f"{sign(float(t.mean[0]))}, {sign(float(t.mean[1]))}",
                 "verdict": TOGETHER[t.verdict]}
                for t in pair.tradeoffs if t.arch == AVERAGE
            ],
        }
        for pair in analysis_pairs
    ]  # fmt: skip
