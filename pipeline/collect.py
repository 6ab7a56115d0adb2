"""Stage `collect`: the tables of all declared cells, one each; a missing or foreign cell fails by name.

Students that diverged in training, which `execution.on_failure: record` makes outcomes, have a table of their own.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import params, paths, stage
from pipeline.tracking.score_metrics import headline_metrics, score_metrics
from pipeline.work.run_files import diverged
from study import records
from study.eval.stability import pair_table, stability_table


def model_folder(cell: str) -> Path:
    """Where a student or a teacher has its run.json."""
    arch, _, rest = cell.partition("-")
    return paths.TEACHERS / arch if rest == "teacher" else paths.RUNS / cell


def cell_rows(names: list[str], table: records.Table = records.CELLS) -> pd.DataFrame:
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
    return records.check(pd.DataFrame(rows, columns=None if rows else table.names), table)


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
    """All tables of these cells. Without questions there is nothing to be stable: two empty tables.

    Raises:
        StageError: a cell has no run or no scores, or there is no student that did not diverge.
    """
    lost = [name for name in names if diverged(model_folder(name))]
    names = [name for name in names if name not in lost]
    tables = {"cells": cell_rows(names)}
    if lost:
        tables[records.DIVERGED.name] = cell_rows(lost, records.DIVERGED)
        if not (tables["cells"]["role"] == "student").any():
            raise stage.StageError(f"all {len(lost)} students diverged in training: {', '.join(lost[:10])}")
    for table in ("retrieval", "consistency", "vqa", "collapse", "items"):
        tables[table] = score_rows(names, table)
    if tables["vqa"].empty:
        tables["stability"] = records.check(pd.DataFrame(columns=records.STABILITY.names), records.STABILITY)
    else:
        tables["stability"] = stability_table(tables["cells"], tables["vqa"])
        tables["pairs"] = pair_table(tables["vqa"])
    return tables


def metrics(tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Architecture to size to method to headline measure to its mean over seeds, for `dvc metrics`."""
    by_cell, named = score_metrics(tables), headline_metrics()
    found: dict[str, Any] = {}
    cells = tables["cells"]
    for (arch, size, method), rows in cells.groupby(["arch", "size", "method"]):
        scores = pd.DataFrame([by_cell.get(cell, {}) for cell in rows["cell"]]).reindex(columns=named).mean()
        known = {name: round(float(score), 6) for name, score in scores.dropna().items()}
        found.setdefault(str(arch), {}).setdefault(str(size), {})[str(method)] = known
    return found


def curves(names: list[str]) -> pd.DataFrame:
    """Each method's loss by step, mean over seeds, for `dvc plots`: columns method, model, step, loss."""
    frames = []
    for name in names:
        row = stage.read_json(model_folder(name) / "run.json")["row"]
        history = pd.read_csv(model_folder(name) / "history.csv")
        if "loss" in history:
            frames.append(history[["step", "loss"]].assign(method=row["method"], model=f"{row['arch']}, {row['size']}"))
    if not frames:
        return pd.DataFrame(columns=["method", "model", "step", "loss"])
    return pd.concat(frames).groupby(["method", "model", "step"])["loss"].mean().reset_index()


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
    grid = params.grid()
    tables = result_tables(grid.teachers + grid.cells)

    def make(folder: Path) -> None:
        for table, frame in tables.items():
            frame.to_parquet(folder / f"{table}.parquet", index=False)
        stage.write_json(folder / "metrics.json", metrics(tables))
        curves(grid.cells).to_csv(folder / "curves.csv", index=False, float_format="%.6g")

    stage.write_folder(paths.RESULTS, make)
    clear_delivered()
    if (lost := tables.get(records.DIVERGED.name)) is not None:
        print(f"collect: {len(lost)} diverged in training and in no other table: {', '.join(lost['cell'])}")
    sizes = ", ".join(f"{table} {len(frame):,}" for table, frame in tables.items())
    print(f"collect: rows of {sizes}")
    if line := submissions(grid.teachers + grid.cells):
        print(line)
