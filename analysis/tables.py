"""Results as rows of text for the report's tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis import files, mixed
from analysis.contrasts import Result, rows
from analysis.frames import Study
from analysis.layout import AVERAGE, is_average
from analysis.settings import Settings
from analysis.tradeoff import Tradeoff
from analysis.verdict import verdict
from analysis.wording import interval, number, p_value, sign


def means(result: Result) -> list[dict[str, str]]:
    """Estimated marginal means, averaged over architectures and sizes."""
    return [
        {"method": r["method"], "mean": number(r["estimate"], 2),
         "ci": _ci(r)}
        for r in rows(result.means[is_average(result.means)])
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
        out.append({
            "where": _place(row["arch"], row["size"]),
            "method": row["method"],
            "estimate": sign(row["estimate"], 2),
            "se": number(row["se"], 2),
            "df": number(row["df"], 1),
            "ci": _ci(row),
            "p": _p(row["p"]),
            "p_adjusted": _p(row["p_adjusted"]),
            "p_equivalent": _p(row["p_equivalent"]),
            "mde": number(row["mde"], 2),
            "standardised": sign(row["standardised"], 1),
            "verdict": verdict(row, settings.alpha),
        })  # fmt: skip
    return out


def _place(arch: str, size: str) -> str:
    """An architecture and a size in words; AVERAGE stands for all of them."""
    return ", ".join("all" if level == AVERAGE else level for level in (arch, size))


def _ci(row: dict[str, Any], digits: int = 2) -> str:
    return interval(row["ci_low"], row["ci_high"], digits) if np.isfinite(row["ci_low"]) else "n/a"


def _p(value: float) -> str:
    return p_value(value).removeprefix("p ").removeprefix("= ") if np.isfinite(value) else "n/a"


def omnibus(headlines: dict[str, Result], secondary: dict[str, Result], settings: Settings) -> list[dict[str, str]]:
    label = {name: r.outcome.label for name, r in {**headlines, **secondary}.items()}
    return [
        {"outcome": label[r["outcome"]], "effect": r["effect"], "f": f"{r['f']:.2f}",
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


def design(study: Study) -> list[dict[str, Any]]:
    """Runs per arch x size (rows) and method: how many are there, how many planned ones are not."""
    return [
        {"place": f"{arch}, {size}",
         "cells": [f"{r['completed']} of {r['completed'] + r['missing']}" if r["missing"] else str(r["completed"])
                   for r in rows(here)]}
        for (arch, size), here in files.design(study).groupby(["arch", "size"], sort=False)
    ]  # fmt: skip


def cost(study: Study) -> list[dict[str, str]]:
    """Training cost of a run of each method and size, averaged over architectures and seeds."""
    return [
        {"size": r["size"], "method": r["method"], "flops": f"{r['flops']:.3g}", "seconds": f"{r['seconds']:,.1f}",
         **{name: f"{r[name]:,.0f}" for name in ("parameters", "items", "captions")}}
        for r in rows(files.cost(study))
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
    return [
        {"construct": str(r["construct"]).replace("_", " "), "method": str(r["method"]),
         "estimate": sign(r["estimate"]), "df": number(r["df"], 0), "p": _p(r["p_adjusted"]),
         "ci": _ci(r, 1)}
        for r in rows(files.churn_contrasts(study, settings))
    ]  # fmt: skip


def place_rows(found: list[Tradeoff]) -> list[dict[str, str]]:
    """The trade-off in each architecture and size."""
    return [{"place": f"{t.arch}, {t.size}", **row} for t, row in zip(found, tradeoff_rows(found, {}), strict=True)]


def tradeoff_rows(found: list[Tradeoff], headlines: Mapping[str, Result]) -> list[dict[str, str]]:
    """The two differences of each method and what they say together, with its difference on other outcomes beside."""
    others = {name: headlines[name].marginal().set_index("method")["estimate"] for name in ("retrieval", "vqa")
              if name in headlines}  # fmt: skip
    out = []
    for t in found:
        row = {"method": t.method, "blocks": str(len(t.points)), "p": _p(t.p_both), "verdict": t.verdict}
        for name, judged in (("consistency", t.consistency), ("stability", t.stability), ("task", t.task)):
            row[name] = sign(judged["estimate"])
            if np.isfinite(judged["ci_low"]):
                row[name] += " " + interval(judged["ci_low"], judged["ci_high"])
        for name in ("retrieval", "vqa"):
            row[name] = sign(float(others[name].get(t.method, np.nan))) if name in others else "n/a"
        out.append(row)
    return out


def alternatives(result: Result) -> list[dict[str, str]]:
    table = result.sensitivity
    place = {m: i for i, m in enumerate(dict.fromkeys(table["method"]))}
    ordered = table.iloc[np.argsort(table["method"].map(place).to_numpy(), kind="stable")]
    return [
        {"method": r["method"], "analysis": r["analysis"], "estimate": sign(r["estimate"], 2),
         "ci": _ci(r), "p": _p(r["p_adjusted"])}
        for r in rows(ordered)
    ]  # fmt: skip
