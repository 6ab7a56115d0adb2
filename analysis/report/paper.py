"""What goes into a paper: the methods paragraph, LaTeX tables and how to cite the report."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

import pandas as pd

from analysis.contrasts.estimate import Result
from analysis.data.load import StudyData
from analysis.report import tables
from analysis.report.studied import Provenance
from analysis.settings import AnalysisSettings
from analysis.tradeoff.tradeoff import Tradeoff
from analysis.wording import capital, count, join, percent


def methods_paragraph(study: StudyData, headlines: Mapping[str, Result], settings: AnalysisSettings) -> str:
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
            "All methods saw the same number of items, but not of captions: methods that encode two captions per item "
            "had more text to learn from, and the comparison is at equal items, not at equal cost."
        )
    return "Methods differ in the number of items seen: compare them with that in mind."


AUTHOR = "Small Polyglots contributors"
QUESTION = "What does retrieval consistency cost in VQA stability?"


@dataclass(frozen=True)
class Citation:
    """How to cite a report; what identifies it is the hash of its data."""

    study: str
    year: str
    version: str
    data: str
    commit: str = ""

    @classmethod
    def of(cls, study: StudyData, settings: AnalysisSettings, provenance: Provenance) -> Citation:
        """Year of the code's commit where it is known, else of today; version of the installed package."""
        year = str(provenance.get("date") or datetime.date.today())[:4]
        version = str(provenance.get("version") or metadata.version("small-polyglots"))
        return cls(settings.study, year, version, study.data_hash[:16], str(provenance.get("commit", ""))[:12])

    @property
    def title(self) -> str:
        return f"{QUESTION} Study “{self.study}”"

    def text(self) -> str:
        """One line, for a list of references."""
        commit = f", commit {self.commit}" if self.commit else ""
        return (
            f"{AUTHOR} ({self.year}). {self.title}. Small Polyglots, version {self.version}{commit}. "
            f"Data SHA-256 {self.data}. Method after arXiv 2510.26271."
        )

    def bibtex(self) -> str:
        """A BibTeX entry."""
        key = re.sub(r"[^a-z0-9]", "", self.study.lower()) or "study"
        note = f"Data SHA-256 {self.data}" + (f", commit {self.commit}" if self.commit else "")
        study = re.sub(r"([&%$#_{}])", r"\\\1", self.study.replace("\\", ""))
        return (
            f"@misc{{smallpolyglots{self.year}{key},\n"
            f"  author  = {{{{{AUTHOR}}}}},\n"
            f"  title   = {{{QUESTION} Study ``{study}''}},\n"
            f"  year    = {{{self.year}}},\n"
            f"  version = {{{self.version}}},\n"
            f"  note    = {{{note}}}\n"
            "}"
        )


def latex(
    headlines: dict[str, Result], found: list[Tradeoff], settings: AnalysisSettings
) -> dict[str, tuple[pd.DataFrame, str]]:
    """Tables for a paper, with their captions: one of differences for each outcome, and the trade-off."""
    level = percent(settings.alpha)
    out = {}
    dagger = f" {tables.MARK}: not declared."
    for name, result in headlines.items():
        shown = pd.DataFrame(tables.contrast_rows(result, settings))
        columns = {"method": "method", "difference": f"difference [{level}]", "p": "adjusted p", "verdict": "reading"}
        widened = ", widened by Bonferroni over the primary outcomes" if settings.family == "study" else ""
        caption = (
            f"{capital(result.outcome.label)}: differences from the control in percentage points "
            f"({result.procedure}; intervals and p simultaneous over methods{widened})."
        )
        marked = shown["difference"].str.contains(tables.MARK).any()
        out[f"contrasts-{name}"] = (shown[list(columns)].rename(columns=columns), caption + (dagger if marked else ""))
    if found:
        keys = {"method": "method", "consistency": f"consistency [{level}]", "stability": f"stability [{level}]",
                "verdict": "together", "p": "larger adjusted p"}  # fmt: skip
        out["tradeoff"] = (
            pd.DataFrame(tables.tradeoff_rows(found))[list(keys)].rename(columns=keys),
            "Consistency and VQA stability minus the control, percentage points; together: intersection-union test.",
        )
    return out
