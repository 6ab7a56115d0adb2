"""Results as rows of text for the report's tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis import effects, mixed, sentences
from analysis.contrasts import COLUMNS, Result, rows
from analysis.frames import Study
from analysis.inference import holm
from analysis.layout import AVERAGE, Cell
from analysis.sentences import interval, number, p_value, sign
from analysis.settings import Settings
from analysis.tradeoff import Tradeoff


def stacked(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables of several outcomes as one, with the outcome first."""
    filled = [table.assign(outcome=name) for name, table in parts.items() if not table.empty]
    if not filled:
        return pd.DataFrame(columns=["outcome"])
    table = pd.concat(filled, ignore_index=True)
    return table[["outcome", *(c for c in table.columns if c != "outcome")]]


def files(headlines: dict[str, Result], secondary: dict[str, Result], settings: Settings) -> dict[str, pd.DataFrame]:
    """The contents of tables/<name>.csv that follow from the results of single outcomes."""
    every = {**headlines, **secondary}
    named = {r.outcome.name: r for r in every.values()}
    variance = {name: r.fit.variance_table() for name, r in named.items() if r.fit is not None}
    return {
        "contrasts": pd.concat([r.contrasts[COLUMNS] for r in every.values()], ignore_index=True),
        "effects": pd.concat(
            [r.contrasts[["outcome", "arch", "size", "contrast", "standardised", "mde", "p_equivalent"]].assign(
                smallest_effect=settings.smallest(name)) for name, r in named.items()], ignore_index=True,
        ),
        "means": stacked({name: r.means for name, r in named.items()}),
        "pairs": stacked({name: r.pairs for name, r in named.items()}),
        "sensitivity": stacked({name: r.sensitivity for name, r in named.items()}),
        "variances": stacked(variance),
    }  # fmt: skip


def tradeoff_file(found: list[Tradeoff], front: pd.DataFrame) -> pd.DataFrame:
    """tables/tradeoff.csv: one row a method, points and p values."""
    chance = dict(zip(front["method"], front["probability"], strict=True)) if len(front) else {}
    names = ["consistency", "stability"]
    return pd.DataFrame([
        {
            "method": t.method, "blocks": t.blocks, "df": t.df,
            **{f"{n}{suffix}": value for i, n in enumerate(names) for suffix, value in
               (("", t.mean[i]), ("_low", t.ci[0, i]), ("_high", t.ci[1, i]), ("_se", np.sqrt(t.cov[i, i])))},
            "covariance": t.cov[0, 1], "p_joint": t.p_joint, "p_bought": t.p_bought,
            "p_bought_holm": t.p_bought_holm, "task": t.task[0], "task_low": t.task[1], "task_high": t.task[2],
            "task_p": t.task[3], "pareto_probability": chance.get(t.method, np.nan),
        }
        for t in found
    ])  # fmt: skip


def latex(
    headlines: dict[str, Result], found: list[Tradeoff], settings: Settings
) -> dict[str, tuple[pd.DataFrame, str]]:
    """Tables for a paper, with their captions: one of differences an outcome, and the trade-off."""
    level = sentences.percent(settings.alpha)
    out = {}
    for name, result in headlines.items():
        shown = contrast_rows(result, result.marginal(), settings)
        columns = {
            "method": "method",
            "estimate": "difference",
            "ci": f"{level} CI",
            "df": "df",
            "p_adjusted": "adjusted p",
        }
        table = pd.DataFrame(shown)[list(columns)].rename(columns=columns)
        caption = (
            f"{result.outcome.label[0].upper()}{result.outcome.label[1:]}: differences from the control in "
            f"percentage points ({result.procedure}; p Dunnett-adjusted)."
        )
        out[f"contrasts-{name}"] = (table, caption)
    if found:
        keys = {"method": "method", "consistency": f"consistency {level} CI", "stability": f"stability {level} CI",
                "task": "stability minus consistency", "holm": "bought (Holm)"}  # fmt: skip
        out["tradeoff"] = (
            pd.DataFrame(tradeoff_rows(found))[list(keys)].rename(columns=keys),
            "Consistency and VQA stability against the control, percentage points; bought: intersection-union test.",
        )
    return out


def means(result: Result, where: str) -> list[dict[str, str]]:
    """Estimated marginal means, averaged over architectures and sizes."""
    return [
        {"method": r["method"], "mean": number(r["estimate"], 2),
         "ci": interval(r["ci_low"], r["ci_high"], 2) if np.isfinite(r["se"]) else "n/a"}
        for r in rows(result.means[result.means["arch"] == where])
    ]  # fmt: skip


def profiles(table: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {"method": r["method"], "iqm": f"{number(r['iqm'], 2)} {interval(r['iqm_low'], r['iqm_high'], 2)}",
         "better": f"{number(r['improvement'], 2)} {interval(r['improvement_low'], r['improvement_high'], 2)}"
                   if np.isfinite(r["improvement"]) else "\N{EN DASH}"}
        for r in rows(table)
    ]  # fmt: skip


def contrast_rows(result: Result, table: pd.DataFrame, settings: Settings) -> list[dict[str, Any]]:
    out = []
    for row in rows(table):
        where = "average" if row["arch"] == AVERAGE else f"{row['arch']}, {row['size']}"
        out.append({
            "where": where,
            "method": row["method"],
            "estimate": sign(row["estimate"], 2),
            "se": number(row["se"], 2),
            "df": number(row["df"], 1),
            "ci": interval(row["ci_low"], row["ci_high"], 2) if np.isfinite(row["se"]) else "n/a",
            "p": _p(row["p"]),
            "p_adjusted": _p(row["p_adjusted"]),
            "p_equivalent": _p(row["p_equivalent"]),
            "mde": number(row["mde"], 2),
            "standardised": sign(row["standardised"], 1),
            "verdict": sentences.verdict(row, settings.alpha, settings.smallest(result.outcome.name)),
        })  # fmt: skip
    return out


def _p(value: float) -> str:
    return p_value(value).removeprefix("p ").removeprefix("= ") if np.isfinite(value) else "n/a"


def omnibus(headlines: dict[str, Result], secondary: dict[str, Result], settings: Settings) -> list[dict[str, str]]:
    """F tests; those of the method effect are Holm-adjusted over the primary outcomes."""
    every = {**headlines, **secondary}
    primary = [name for name in settings.primary if name in every and "method" in every[name].f_tests]
    adjusted = dict(zip(primary, holm([every[n].f_tests["method"][3] for n in primary]), strict=True))
    out = []
    for name, result in every.items():
        if name not in headlines and name not in primary:
            continue
        for effect, (f, numerator, denominator, p) in result.f_tests.items():
            out.append({
                "outcome": result.outcome.label, "effect": effect, "f": f"{f:.2f}",
                "df": f"{numerator}, {denominator:.1f}", "p": _p(p),
                "holm": _p(adjusted[name]) if effect == "method" and name in adjusted else "\N{EN DASH}",
            })  # fmt: skip
    return out


def variances(fit: mixed.MixedFit) -> list[dict[str, str]]:
    out = []
    for row in rows(fit.variance_table()):
        high = "unbounded" if np.isinf(row["high"]) else number(row["high"], 2)
        ci = "at the boundary (0)" if row["zero"] else f"[{number(row['low'], 2)}, {high}]"
        out.append({"component": row["component"], "sd": number(row["sd"], 2), "ci": ci})
    return out


def design(study: Study) -> list[dict[str, Any]]:
    """Runs per arch x size (rows) and method: how many are there, how many planned ones are not."""
    students = study.cells[study.cells["role"] == "student"]
    count = students.groupby(["arch", "size", "method"]).size()
    out = []
    for arch in study.archs:
        for size in study.sizes:
            done = [int(count.get((arch, size, m), 0)) for m in study.methods]
            lost = [sum(c.startswith(f"{arch}-{size}-{m}-s") for c in study.missing) for m in study.methods]
            cells = [f"{d} of {d + x}" if x else str(d) for d, x in zip(done, lost, strict=True)]
            out.append({"place": f"{arch}, {size}", "cells": cells})
    return out


def cost(study: Study) -> list[dict[str, str]]:
    """Training cost of a run of each method and size, averaged over architectures and seeds."""
    students = study.cells[study.cells["role"] == "student"]
    numbers = ["parameters", "items", "captions", "flops", "seconds"]
    mean = students.groupby(["size", "method"], as_index=False)[numbers].mean()
    by_key = {(row["size"], row["method"]): row for row in rows(mean)}
    return [
        {
            "size": size, "method": method, "parameters": f"{row['parameters']:,.0f}", "items": f"{row['items']:,.0f}",
            "captions": f"{row['captions']:,.0f}", "flops": f"{row['flops']:.3g}", "seconds": f"{row['seconds']:,.1f}",
        }
        for size in study.sizes for method in study.methods
        if (row := by_key.get((size, method))) is not None
    ]  # fmt: skip


def churn(study: Study) -> list[dict[str, Any]]:
    plain = study.churn[study.churn["construct"] == "churn"]
    score = {(r["arch"], r["size"], r["method"]): float(r["score"]) for r in rows(plain)}
    return [
        {"place": f"{a}, {s}", "cells": [number(score.get((a, s, m), np.nan)) for m in study.methods]}
        for a in study.archs for s in study.sizes if any((a, s, m) in score for m in study.methods)
    ]  # fmt: skip


def churn_rows(study: Study, settings: Settings) -> list[dict[str, str]]:
    """Churn and its excess over the least that the accuracies allow, against the control, over the cells."""
    out = []
    for construct, scores in study.churn.groupby("construct", sort=False):
        for r in rows(effects.by_cell(scores, study.methods, settings.control, settings.alpha)):
            line = {"construct": str(construct).replace("_", " "), "method": str(r["method"])}
            line |= {"estimate": sign(r["estimate"]), "df": number(r["df"], 0), "p": _p(r["p"])}
            out.append({**line, "ci": interval(r["ci_low"], r["ci_high"]) if np.isfinite(r["se"]) else "n/a"})
    return out


def place_rows(found: list[tuple[Cell, Tradeoff]]) -> list[dict[str, str]]:
    """The trade-off in each architecture and size."""
    shown = tradeoff_rows([t for _, t in found])
    return [{"place": f"{arch}, {size}", **row} for ((arch, size), _), row in zip(found, shown, strict=True)]


def tradeoff_rows(found: list[Tradeoff]) -> list[dict[str, str]]:
    out = []
    for t in found:
        row = {"method": t.method, "blocks": str(t.blocks), "p": _p(t.p_bought), "holm": _p(t.p_bought_holm),
               "joint": _p(t.p_joint)}  # fmt: skip
        for i, name in enumerate(("consistency", "stability")):
            row[name] = sign(float(t.mean[i]))
            if np.isfinite(t.p_bought):
                row[name] += " " + interval(t.ci[0, i], t.ci[1, i])
        row["task"] = sign(float(t.task[0])) + (" " + interval(t.task[1], t.task[2]) if np.isfinite(t.task[3]) else "")
        for name in ("retrieval", "vqa"):
            row[name] = sign(float(t.points[name].mean())) if name in t.points.columns else "n/a"
        out.append(row)
    return out


def alternatives(result: Result) -> list[dict[str, str]]:
    table = result.sensitivity
    place = {m: i for i, m in enumerate(dict.fromkeys(table["method"]))}
    ordered = table.iloc[np.argsort(table["method"].map(place).to_numpy(), kind="stable")]
    return [
        {"method": r["method"], "analysis": r["analysis"], "estimate": sign(r["estimate"], 2),
         "ci": interval(r["ci_low"], r["ci_high"], 2), "p": _p(r["p"])}
        for r in rows(ordered)
    ]  # fmt: skip
