"""Stage `collect`: the tables of all declared cells, one each; a missing or foreign cell fails by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from pipeline import paths, stage
from study import records
from study.eval.stability import pair_table, stability_table


def model_folder(cell: str) -> Path:
    """Where a student or a teacher has its run.json."""
    arch, _, rest = cell.partition("-")
    return paths.TEACHERS / arch if rest == "teacher" else paths.RUNS / cell


def cell_rows(names: list[str]) -> pd.DataFrame:
    """One row a cell, from its run.json."""
    absent = [name for name in names if not (model_folder(name) / "run.json").is_file()]
    if absent:
        raise stage.StageError(f"{len(absent)} of {len(names)} declared cells have no run: {', '.join(absent[:10])}")
    rows = []
    for name in names:
        row = stage.read_json(model_folder(name) / "run.json")["row"]
        if row["cell"] != name:
            raise stage.StageError(f"{model_folder(name)} holds the run of {row['cell']}, not of {name}")
        rows.append(row)
    return records.check(pd.DataFrame(rows), records.CELLS)


def score_rows(names: list[str], table: str) -> pd.DataFrame:
    """That table's rows of every cell; answers may lack of all cells, where the corpus asks no questions."""
    frames, silent = [], []
    for name in names:
        path = paths.SCORES / name / f"{table}.parquet"
        if not path.is_file():
            raise stage.StageError(f"{path} is not there: cell {name} was not scored")
        frame = pd.read_parquet(path)
        if table == "vqa" and frame.empty:
            silent.append(name)
        elif set(frame["cell"]) != {name}:
            raise stage.StageError(f"{path} holds rows of {sorted(set(frame['cell']))[:3]}")
        frames.append(frame)
    if silent and len(silent) < len(names):
        raise stage.StageError(
            f"{len(silent)} of {len(names)} cells have no answers, the others have: {', '.join(silent[:10])}"
        )
    schema = {**records.TABLES, **records.OPTIONAL_TABLES}[table]
    return records.check(pd.concat(frames, ignore_index=True), schema)


def result_tables(names: list[str]) -> dict[str, pd.DataFrame]:
    """All tables of these cells. Without questions there is nothing to be stable: two empty tables."""
    tables = {"cells": cell_rows(names)}
    for table in ("retrieval", "consistency", "vqa", "collapse", "items"):
        tables[table] = score_rows(names, table)
    if tables["vqa"].empty:
        tables["stability"] = records.check(pd.DataFrame(columns=records.STABILITY.names), records.STABILITY)
    else:
        tables["stability"] = stability_table(tables["cells"], tables["vqa"])
        tables["pairs"] = pair_table(tables["vqa"])
    return tables


def submissions(names: list[str]) -> str:
    """A line on the answers whose labels their publisher holds back; nothing where there are none."""
    files = sorted({file.name for name in names for file in (paths.SCORES / name).glob("submission-*.csv")})
    if not files:
        return ""
    where = paths.SCORES / "<cell>"
    return f"collect: labels are held back by their publisher; answers for it to score: {where}/ {', '.join(files)}"


def clear_delivered() -> None:
    """Remove from the scratch what DVC has recorded by now, teachers, students and scores."""
    for kind, outputs in (("teacher", paths.TEACHERS), ("distil", paths.RUNS), ("evaluate", paths.SCORES)):
        stage.clear_scratch(kind, [file.read_text().strip() for file in outputs.glob("*/fingerprint")])
    for made in (stage.SCRATCH / "embed").glob(f"*/{stage.DONE}"):
        shutil.rmtree(made.parent, ignore_errors=True)


def run() -> None:
    grid = stage.read_json(paths.PLAN / "grid.json", cells=list, teachers=list)
    tables = result_tables(grid["teachers"] + grid["cells"])

    def make(folder: Path) -> None:
        for table, frame in tables.items():
            frame.to_parquet(folder / f"{table}.parquet", index=False)

    stage.write_folder(paths.RESULTS, make)
    clear_delivered()
    sizes = ", ".join(f"{table} {len(frame):,}" for table, frame in tables.items())
    print(f"collect: rows of {sizes}")
    if line := submissions(grid["teachers"] + grid["cells"]):
        print(line)
