"""The result tables of a folder, read and refused by name where they cannot be used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.settings import AnalysisError, AnalysisSettings, nearest
from study import records


def read_tables(folder: Path, covariates: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """The checked tables of a results folder: the five that must be there, and the optional ones that are.

    Args:
        folder: of the parquet files.
        covariates: numeric columns that the table of cells has besides its own.

    Raises:
        AnalysisError: the folder or a file is missing or unreadable, or breaks its schema.
    """
    if not folder.is_dir():
        raise AnalysisError(f"{folder}: no such folder of results")
    tables = {}
    for name, table in {**records.TABLES, **records.OPTIONAL_TABLES}.items():
        path = folder / f"{name}.parquet"
        if not path.is_file() and name in records.OPTIONAL_TABLES:
            continue
        if not path.is_file():
            others = sorted(p.name for p in folder.iterdir() if p.is_file())
            raise AnalysisError(f"{path}: missing; the folder holds {others}")
        try:
            found = pd.read_parquet(path)
            extra = _covariates(found, covariates) if name == "cells" else {}
            tables[name] = records.check(found.drop(columns=list(extra)), table).assign(**extra)
        except records.RecordError as error:
            raise AnalysisError(f"{path}: {error}") from None
        except (OSError, ValueError) as error:
            raise AnalysisError(f"{path}: not a readable parquet file: {error}") from None
    return tables


def _covariates(cells: pd.DataFrame, names: Sequence[str]) -> dict[str, pd.Series]:
    """The declared extra columns of the table of cells, as numbers.

    Raises:
        RecordError: a column is absent, is one of the schema's own, or is not a finite number for every student.
    """
    found = {}
    own = set(records.CELLS.names)
    extra = [str(name) for name in cells.columns if name not in own]
    for name in names:
        if name in own or name not in cells.columns:
            why = "is a column of the schema" if name in own else f"is not there{nearest(name, extra)}"
            raise records.RecordError(f"covariate {name!r} {why}")
        if not pd.api.types.is_numeric_dtype(cells[name]) or pd.api.types.is_bool_dtype(cells[name]):
            raise records.RecordError(f"covariate {name!r} is {cells[name].dtype}, not a number")
        values = cells[name].astype(float)
        wrong = ~np.isfinite(values) & (cells["role"] == "student")
        if wrong.any():
            raise records.RecordError(f"covariate {name!r} of cell {cells.loc[wrong, 'cell'].iloc[0]!r} is not finite")
        found[name] = values
    if undeclared := sorted(set(extra) - set(names)):
        raise records.RecordError(
            f"unknown columns {undeclared}; a numeric factor becomes a term of the model by the setting 'covariates'"
        )
    return found


def check_answers(vqa: pd.DataFrame, folder: Path) -> None:
    """`correct` says what `chosen` and `answer` say, and a question has one answer.

    Raises:
        AnalysisError: they contradict one another, which is somebody's mistake and not ours to settle.
    """
    wrong = (vqa["correct"] != (vqa["chosen"] == vqa["answer"])).to_numpy()
    if wrong.any():
        first = vqa.iloc[int(wrong.argmax())]
        raise AnalysisError(
            f"{folder / 'vqa.parquet'}: 'correct' contradicts 'chosen' and 'answer' in {int(wrong.sum()):,} of "
            f"{len(vqa):,} rows, first in cell {first['cell']!r}, question {first['question']!r}"
        )
    answers = vqa[["question", "answer"]].drop_duplicates()
    twice = answers["question"].duplicated()
    if twice.any():
        name = answers.loc[twice, "question"].iloc[0]
        found = sorted(answers.loc[answers["question"] == name, "answer"])
        raise AnalysisError(
            f"{folder / 'vqa.parquet'}: question {name!r} has the answers {found} in different rows; options must be "
            "numbered alike in every language and run"
        )


def check_ranges(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Scores are fractions within the range of their measure; a score in points would look like a great one."""
    for name, column, measures in (
        ("retrieval", "metric", records.RETRIEVAL_METRICS),
        ("consistency", "construct", records.CONSISTENCY_CONSTRUCTS),
        ("stability", "construct", records.STABILITY_CONSTRUCTS),
        ("pairs", "measure", [m for m in records.STABILITY_CONSTRUCTS if m.name in records.PAIR_MEASURES]),
        ("collapse", "indicator", records.COLLAPSE_INDICATORS),
    ):
        if name not in tables:
            continue
        path, table, known = folder / f"{name}.parquet", tables[name], {m.name: m for m in measures}
        for value in sorted(set(table[column].unique()) - set(known)):
            raise AnalysisError(f"{path}: unknown {column} {value!r}{nearest(value, known)}")
        low = table[column].map({m.name: m.low for m in measures}).astype(float)
        high = table[column].map({m.name: m.high for m in measures}).astype(float)
        outside = (table["score"] < low - 1e-6) | (table["score"] > high + 1e-6)
        if outside.any():
            first = table[outside].iloc[0]
            m = known[first[column]]
            raise AnalysisError(
                f"{path}: {m.name} of cell {first['cell']!r} is {first['score']:g}, outside {m.low:g} to {m.high:g}"
            )


def hash_tables(tables: dict[str, pd.DataFrame]) -> str:
    """SHA-256 over the values of all tables, independent of row order and of the files' encoding."""
    digest = hashlib.sha256()
    for name in sorted(tables):
        frame = tables[name]
        digest.update(name.encode())
        digest.update(",".join(frame.columns).encode())
        row_hashes = pd.util.hash_pandas_object(frame, index=False).sort_values()
        digest.update(row_hashes.to_numpy().tobytes())
    return digest.hexdigest()


def _diverged_cells(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Runs that are in the table of those that diverged, if there is one."""
    found = tables.get(records.DIVERGED.name)
    return [] if found is None else [str(cell) for cell in found["cell"]]


def _diverged(tables: dict[str, pd.DataFrame]) -> str:
    """The end of an error over runs that lack; nothing if none diverged."""
    cells = _diverged_cells(tables)
    more = f" and {len(cells) - 10} more" if len(cells) > 10 else ""
    return f"; diverged in training: {', '.join(cells[:10])}{more}" if cells else ""


def check_cells(tables: dict[str, pd.DataFrame], folder: Path, settings: AnalysisSettings) -> None:
    """The runs can be distinguished and paired, and every other table speaks of them.

    Raises:
        AnalysisError: no control, nothing to compare it with, no common seed, a repeated or contradictory run, or
            rows of a run that is not in the table of cells, or of one that diverged.
    """
    cells = tables["cells"]
    known = set(cells["cell"])
    for role in sorted(set(cells["role"]) - {"student", "teacher"}):
        raise AnalysisError(f"{folder / 'cells.parquet'}: role {role!r}{nearest(role, ['student', 'teacher'])}")
    students = cells[cells["role"] == "student"]
    if students.empty:
        raise AnalysisError(f"{folder / 'cells.parquet'}: no student")
    methods, lost = sorted(set(students["method"])), _diverged(tables)
    if settings.control not in methods:
        hint = lost or nearest(settings.control, methods)
        raise AnalysisError(f"{folder / 'cells.parquet'}: no run of the control {settings.control!r}{hint}")
    if len(methods) < 2:
        raise AnalysisError(
            f"{folder / 'cells.parquet'}: the control is the only method, nothing can be compared{lost}"
        )
    if not comparable(students, settings.control):
        raise AnalysisError(
            f"{folder / 'cells.parquet'}: no method shares an arch and size with {settings.control!r}{lost}"
        )
    blocks = ["arch", "size", "seed"]
    controls = students[students["method"] == settings.control]
    shared = set(students.merge(controls[blocks], on=blocks)["method"])
    for method in methods:
        places = students[students["method"] == method].merge(controls[["arch", "size"]].drop_duplicates())
        if method not in shared and len(places):
            raise AnalysisError(
                f"{folder / 'cells.parquet'}: {method!r} shares no seed with the control {settings.control!r} in any "
                f"arch and size, so nothing is paired: it has seeds {sorted(set(places['seed']))[:10]}, the control "
                f"{sorted(set(controls['seed']))[:10]}{lost}"
            )
    twice = students.duplicated(["arch", "size", "method", "seed", *settings.covariates])
    if twice.any():
        name, hint = students.loc[twice, "cell"].iloc[0], ", ".join(["seed", *settings.covariates])
        raise AnalysisError(f"{folder / 'cells.parquet'}: {name!r} repeats an arch, size, method and {hint}")
    _check_names(students, folder / "cells.parquet")
    for cell in sorted(known.intersection(_diverged_cells(tables))):
        raise AnalysisError(f"{folder / 'diverged.parquet'}: cell {cell!r} is in cells too: it diverged, or it did not")
    others = (n for n in records.OPTIONAL_TABLES if n in tables and n != records.DIVERGED.name)
    for name in ("retrieval", "consistency", "vqa", *others):
        for cell in sorted(set(tables[name]["cell"].unique()) - known):
            raise AnalysisError(f"{folder / f'{name}.parquet'}: cell {cell!r} is not in cells{nearest(cell, known)}")
    runs = tables["stability"].query("level == 'run'")
    for cell in sorted(set(runs["cell"].unique()) - known):
        raise AnalysisError(f"{folder / 'stability.parquet'}: cell {cell!r} is not in cells{nearest(cell, known)}")
    _check_factors(runs, cells, folder / "stability.parquet")


def _check_names(students: pd.DataFrame, path: Path) -> None:
    """A run that is named after factors has these; one with a name of another form has any."""
    levels = [set(students[factor]) for factor in ("arch", "size", "method")]
    for name, *factors, seed in students[["cell", "arch", "size", "method", "seed"]].itertuples(index=False):
        *said, last = str(name).split("-")
        named = len(said) == len(levels) and all(part in known for part, known in zip(said, levels, strict=True))
        if named and (said, last) != (factors, f"s{seed}"):
            raise AnalysisError(
                f"{path}: cell {name!r} has arch {factors[0]!r}, size {factors[1]!r}, method {factors[2]!r} and seed "
                f"{seed}, which its name contradicts"
            )


def _check_factors(runs: pd.DataFrame, cells: pd.DataFrame, path: Path) -> None:
    """Rows of runs repeat the factors of the table of cells."""
    own = cells.set_index("cell").loc[runs["cell"]]
    for factor in ("arch", "size", "method", "seed"):
        given = runs[factor].to_numpy() if factor != "seed" else runs[factor].fillna(-1).to_numpy(dtype="int64")
        wrong = given != own[factor].to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            raise AnalysisError(
                f"{path}: {factor} of cell {runs['cell'].iloc[row]!r} is {given[row]!r} here and "
                f"{own[factor].iloc[row]!r} in cells"
            )


def comparable(frame: pd.DataFrame, control: str) -> bool:
    """Whether some method shares an architecture and size with the control."""
    is_control = frame["method"] == control
    with_control = set(zip(frame.loc[is_control, "arch"], frame.loc[is_control, "size"], strict=True))
    with_method = set(zip(frame.loc[~is_control, "arch"], frame.loc[~is_control, "size"], strict=True))
    return bool(with_control & with_method)
