"""Runs that have collapsed: their measures of sameness rise, and mean nothing.

A run trips an indicator where it is much worse than the runs that it is compared with: those of the control in the
same architecture and size, and for the control itself its teacher, from which a small model is further away. The limits
lie between what honest runs and the mildest collapses of docs/constructs.md do: a common vector took 16 % of the
effective rank and added 1.5 to the hubness, one option for 30 % of the questions added .18 to its share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.data.load import FACTORS, StudyData
from analysis.wording import count, join, method_name, number

COLUMNS = [*FACTORS, "indicator", "score", "reference", "tripped"]
"""One row per run and indicator: the mean over languages, that of the runs it is compared with, and the judgement."""

TEACHER = "teacher"


@dataclass(frozen=True)
class Limit:
    """How far an indicator may be from its reference: a share of it, or a distance from it."""

    label: str
    relative: bool
    method: float
    control: float

    def tripped(self, score: float, reference: float, control: bool) -> bool:
        """Whether `score` is beyond the limit, which is below the reference where relative and above it where not."""
        limit = self.control if control else self.method
        return score < limit * reference if self.relative else score > reference + limit


LIMITS: Mapping[str, Limit] = {
    "effective_rank": Limit("effective rank", True, 0.75, 0.5),
    "hubness": Limit("hubness", False, 1.5, 3.0),
    "top_answer": Limit("share of the most frequent answer", False, 0.1, 0.2),
}


def analyse(study: StudyData, control: str) -> pd.DataFrame:
    """Every run's indicators beside their references.

    Returns:
        `COLUMNS`, of students; reference is nan and nothing trips where there is nothing to compare with. Empty where
        the results have no indicators.
    """
    if study.collapse.empty:
        return pd.DataFrame(columns=COLUMNS)
    means = study.collapse.groupby(["cell", "indicator"])["score"].mean().reset_index()
    runs = study.cells[[*FACTORS, "role"]].merge(means, on="cell")
    students, teachers = runs[runs["role"] != TEACHER], runs[runs["role"] == TEACHER]
    of_teacher = teachers.groupby(["arch", "indicator"])["score"].mean()
    own = students[students["method"] == control].groupby(["arch", "size", "indicator"])["score"].mean()
    found = []
    for row in students[[*FACTORS, "indicator", "score"]].itertuples(index=False, name=None):
        _, arch, size, method, _, indicator, score = row
        is_control = method == control
        reference = of_teacher.get((arch, indicator)) if is_control else own.get((arch, size, indicator))
        level = np.nan if reference is None else float(reference)
        known = np.isfinite(level) and indicator in LIMITS
        found.append((*row, level, known and LIMITS[indicator].tripped(score, level, is_control)))
    return pd.DataFrame(found, columns=COLUMNS)


def sentence(table: pd.DataFrame) -> str:
    """Names the methods and places whose runs tripped an indicator; empty where none did."""
    parts = []
    for (method, arch, size), runs in table.groupby(["method", "arch", "size"], sort=False):
        told = []
        for indicator, rows in runs.groupby("indicator", sort=False):
            hit = rows[rows["tripped"]]
            if len(hit):
                digits = 2 if indicator == "top_answer" else 1
                told.append(
                    f"{LIMITS[str(indicator)].label} {number(hit['score'].mean(), digits)}, reference "
                    f"{number(hit['reference'].mean(), digits)}, in {len(hit)} of {count(len(rows), 'run')}"
                )
        if told:
            parts.append(f"{method_name(str(method))} in {arch} {size} ({join(told)})")
    return f"Signs of collapse, so that sameness is no gain there: {'; '.join(parts)}." if parts else ""
