"""The result tables of a folder, read and refused by name where they cannot be used."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from analysis.settings import AnalysisError, Settings, nearest
from study import records


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The five checked tables of a results folder.

    Raises:
        AnalysisError: the folder or a file is missing or unreadable, or breaks its schema.
    """
    if not folder.is_dir():
        raise AnalysisError(f"{folder}: no such folder of results")
    tables = {}
    for name, table in records.TABLES.items():
        path = folder / f"{name}.parquet"
        if not path.is_file():
            others = sorted(p.name for p in folder.iterdir() if p.is_file())
            raise AnalysisError(f"{path}: missing; the folder holds {others}")
        try:
            tables[name] = records.check(pd.read_parquet(path), table)
        except records.RecordError as error:
            raise AnalysisError(f"{path}: {error}") from None
        except (OSError, ValueError) as error:
            raise AnalysisError(f"{path}: not a readable parquet file: {error}") from None
    return tables


def check_ranges(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Scores are fractions within the range of their measure; a score in points would look like a great one."""
    for name, column, measures in (
        ("retrieval", "metric", records.RETRIEVAL_METRICS),
        ("consistency", "construct", records.CONSISTENCY_CONSTRUCTS),
        ("stability", "construct", records.STABILITY_CONSTRUCTS),
    ):
        path, table, known = folder / f"{name}.parquet", tables[name], {m.name: m for m in measures}
        for value in sorted(set(table[column]) - set(known)):
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


def check_cells(tables: dict[str, pd.DataFrame], folder: Path, settings: Settings) -> None:
    cells = tables["cells"]
    known = set(cells["cell"])
    for role in sorted(set(cells["role"]) - {"student", "teacher"}):
        raise AnalysisError(f"{folder / 'cells.parquet'}: role {role!r}{nearest(role, ['student', 'teacher'])}")
    students = cells[cells["role"] == "student"]
    if students.empty:
        raise AnalysisError(f"{folder / 'cells.parquet'}: no student")
    methods = sorted(set(students["method"]))
    if settings.control not in methods:
        hint = nearest(settings.control, methods)
        raise AnalysisError(f"{folder / 'cells.parquet'}: no run of the control {settings.control!r}{hint}")
    if len(methods) < 2:
        raise AnalysisError(f"{folder / 'cells.parquet'}: the control is the only method, nothing can be compared")
    if not comparable(students, settings.control):
        raise AnalysisError(f"{folder / 'cells.parquet'}: no method shares an arch and size with {settings.control!r}")
    twice = students.duplicated(["arch", "size", "method", "seed"])
    if twice.any():
        name = students.loc[twice, "cell"].iloc[0]
        raise AnalysisError(f"{folder / 'cells.parquet'}: {name!r} repeats an arch, size, method and seed")
    for name in ("retrieval", "consistency", "vqa"):
        for cell in sorted(set(tables[name]["cell"]) - known):
            raise AnalysisError(f"{folder / f'{name}.parquet'}: cell {cell!r} is not in cells{nearest(cell, known)}")
    runs = tables["stability"].query("level == 'run'")
    for cell in sorted(set(runs["cell"]) - known):
        raise AnalysisError(f"{folder / 'stability.parquet'}: cell {cell!r} is not in cells{nearest(cell, known)}")


def comparable(frame: pd.DataFrame, control: str) -> bool:
    """Whether some method shares an architecture and size with the control."""
    is_control = frame["method"] == control
    with_control = set(zip(frame.loc[is_control, "arch"], frame.loc[is_control, "size"], strict=True))
    with_method = set(zip(frame.loc[~is_control, "arch"], frame.loc[~is_control, "size"], strict=True))
    return bool(with_control & with_method)
