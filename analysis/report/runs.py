"""What became of every run: it is an outcome of the study too whether training succeeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.data.load import FACTORS, StudyData

COMPLETED, MISSING, OUTLIER, NO_OUTCOME = "completed", "missing", "outlier", "no outcome"

COLUMNS = [*FACTORS, "status", "why"]
"""Columns of tables/runs.csv; `why` is empty for a complete run."""


def table(study: StudyData, outliers: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Every run that was planned or made, one row each, by what became of it.

    `missing`: planned and not in the results, so it failed or was never made. `outlier`: far from the runs of its
    architecture, size and method in an outcome (`robust.outlying`), as a diverged run is. `no outcome`: it is in the
    table of cells and lacks a headline outcome. The first that fits is the status; `why` says all that is known.

    Args:
        study: with the missing, unplanned and incomplete runs.
        outliers: label of an outcome to the runs that lie far off in it.

    Returns:
        COLUMNS; of a missing run the factors that its name tells, seed as nullable integer.
    """
    students = study.cells[study.cells["role"] == "student"]
    found = []
    for row in students[FACTORS].itertuples(index=False, name=None):
        cell = str(row[0])
        far = [label for label, cells in outliers.items() if cell in cells]
        lacking = [line.removeprefix(f"{cell}: ") for line in study.incomplete if line.startswith(f"{cell}: ")]
        why = [f"far from the others of its kind: {', '.join(far)}"] if far else []
        why += [*lacking, *(["not planned"] if cell in study.extra else [])]
        nothing = any(line.startswith("no ") for line in lacking)
        found.append((*row, OUTLIER if far else NO_OUTCOME if nothing else COMPLETED, "; ".join(why)))
    for cell in study.missing:
        if not cell.endswith("-teacher"):
            found.append((cell, *_factors(cell), MISSING, "planned, not in the results"))
    out = pd.DataFrame(found, columns=COLUMNS)
    return out.astype({"seed": "Int64"})


def _factors(cell: str) -> tuple[str | None, str | None, str | None, int | None]:
    """Factors of a name `arch-size-method-sN`; nothing of another name."""
    parts = cell.split("-")
    if len(parts) != 4 or not parts[3].startswith("s") or not parts[3][1:].isdigit():
        return None, None, None, None
    return parts[0], parts[1], parts[2], int(parts[3][1:])
