"""Stage `collect`: the tables of all declared cells, one each; a missing or foreign cell fails by name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipeline import paths, stage
from study import records
from study.scoring.stability import stability_table


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
    """That table's rows of every cell."""
    frames = []
    for name in names:
        path = paths.SCORES / name / f"{table}.parquet"
        if not path.is_file():
            raise stage.StageError(f"{path} is not there: cell {name} was not scored")
        frame = pd.read_parquet(path)
        if set(frame["cell"]) != {name}:
            raise stage.StageError(f"{path} holds rows of {sorted(set(frame['cell']))[:3]}")
        frames.append(frame)
    return records.check(pd.concat(frames, ignore_index=True), records.TABLES[table])


def main() -> None:
    with stage.main("collect"):
        grid = stage.read_json(paths.PLAN / "grid.json")
        names = grid["teachers"] + grid["cells"]
        tables = {"cells": cell_rows(names)}
        for table in ("retrieval", "consistency", "vqa"):
            tables[table] = score_rows(names, table)
        tables["stability"] = stability_table(tables["cells"], tables["vqa"])

        def make(folder: Path) -> None:
            for table, frame in tables.items():
                frame.to_parquet(folder / f"{table}.parquet", index=False)

        stage.write_folder(paths.RESULTS, make)
        sizes = ", ".join(f"{table} {len(frame):,}" for table, frame in tables.items())
        print(f"collect: rows of {sizes}")


if __name__ == "__main__":
    main()
