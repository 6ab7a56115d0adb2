"""What goes into a paper: the methods paragraph, LaTeX tables and how to cite the report."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis import tables
from analysis.contrasts import Result
from analysis.frames import Study
from analysis.settings import Settings
from analysis.tradeoff import Tradeoff
from analysis.wording import count, join, percent


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
        "with a joint confidence region and an intersection-union test of the two adjusted p values."
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


def citation(study: Study, settings: Settings) -> str:
    """How to cite this report: what identifies it is the hash of the data."""
    return (
        f"Small Polyglots: {settings.study} ({len(study.cells)} models, {count(len(study.languages), 'language')}). "
        f"Data SHA-256 {study.data_hash[:16]}. Method after arXiv 2510.26271."
    )


def latex(
    headlines: dict[str, Result], found: list[Tradeoff], settings: Settings
) -> dict[str, tuple[pd.DataFrame, str]]:
    """Tables for a paper, with their captions: one of differences an outcome, and the trade-off."""
    level = percent(settings.alpha)
    out = {}
    for name, result in headlines.items():
        shown = tables.contrast_rows(result, result.marginal(), settings)
        columns = {
            "method": "method",
            "estimate": "difference",
            "ci": f"{level} CI",
            "df": "df",
            "p_adjusted": "adjusted p",
        }
        table = pd.DataFrame(shown)[list(columns)].rename(columns=columns)
        widened = ", widened by Bonferroni over the primary outcomes" if settings.family == "study" else ""
        caption = (
            f"{result.outcome.label[0].upper()}{result.outcome.label[1:]}: differences from the control in "
            f"percentage points ({result.procedure}; p Dunnett-adjusted{widened})."
        )
        out[f"contrasts-{name}"] = (table, caption)
    if found:
        keys = {"method": "method", "consistency": f"consistency {level} CI", "stability": f"stability {level} CI",
                "task": "stability minus consistency", "verdict": "verdict"}  # fmt: skip
        out["tradeoff"] = (
            pd.DataFrame(tables.tradeoff_rows(found, headlines))[list(keys)].rename(columns=keys),
            "Consistency and VQA stability against the control, percentage points; verdict: intersection-union test.",
        )
    return out
