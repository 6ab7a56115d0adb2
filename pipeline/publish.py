"""Stage `publish`: the study's MLflow experiment shows exactly the declared cells and teachers.

Cells write files only; what DVC restores from its cache logs nothing by itself. So one stage reads
the results and makes the MLflow store follow them, also after a pull.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import paths, stage, tracking
from pipeline.collect import model_folder
from pipeline.run_record import RunRecord, flatten, metric_name
from pipeline.tracking import Store
from study import records

COSTS = ("seconds", "flops", "items", "captions", "parameters", "text_parameters", "text_fraction")
"""Columns of `cells` that are metrics as well, so that MLflow can draw scores over them."""

IDENTITY = ("cell", "role", "arch", "size", "method", "seed", "fingerprint")

FACTORS = ("archs", "sizes", "methods", "seeds")

ARTIFACTS = ("run.json", "history.csv", "fragmentation.csv", "config.json")

Metrics = dict[str, dict[str, float]]
"""Cell to metric name to value."""


def run_records(grid: Mapping[str, Any]) -> list[RunRecord]:
    """What the study's folder, the working one, holds of each cell of its grid.

    Raises:
        StageError: a declared run or its rows are not there.
    """
    names = [*grid["teachers"], *grid["cells"]]
    for name in names:
        missing = [file for file in ("run.json", "history.csv") if not (model_folder(name) / file).is_file()]
        if missing:
            raise stage.StageError(f"cell {name}: {model_folder(name) / missing[0]} is not there: run `make repro`")
    metrics = scores()
    for name in names:
        if name not in metrics:
            raise stage.StageError(f"cell {name} has no rows in {paths.RESULTS}: run `make repro`")
    return [run_record(name, grid["study"], metrics[name]) for name in names]


def run_record(name: str, study: str, metrics: Mapping[str, float]) -> RunRecord:
    """One cell: what was declared, how it was trained, how it scored."""
    folder = model_folder(name)
    run = stage.read_json(folder / "run.json")
    row = run["row"]
    if run["cell"] != name or row["cell"] != name:
        raise stage.StageError(f"{folder} holds the run of {run['cell']}, not of {name}")
    tags = {column: str(row[column]) for column in IDENTITY}
    tags |= {"study": study, "weights": str(folder / "model.safetensors")}
    counts = {column: value for column, value in row.items() if column not in IDENTITY}
    history = pd.read_csv(folder / "history.csv")
    return RunRecord(
        name=name,
        tags=tags,
        params=flatten({"settings": run["settings"], "versions": run["versions"], **counts}),
        metrics={**metrics, **{metric_name("cost", column): float(row[column]) for column in COSTS}},
        curves={
            metric_name("training", str(column)): [
                (int(step), float(value)) for step, value in zip(history["step"], history[column], strict=True)
            ]
            for column in history.columns
            if column != "step"
        },
        artifacts=[folder / file for file in ARTIFACTS if (folder / file).is_file()],
        seconds=float(row["seconds"]),
    )


def scores() -> Metrics:
    """Summary metrics of every cell that has rows in all of the tables; without questions none has answers."""
    metrics: Metrics = defaultdict(dict)
    for cell in table("cells")["cell"]:
        metrics[str(cell)] = {}
    retrieval, consistency, vqa, stability = (table(n) for n in ("retrieval", "consistency", "vqa", "stability"))
    summarise(metrics, "retrieval", retrieval, "metric")
    for (direction, measure), rows in retrieval.groupby(["direction", "metric"]):
        put(metrics, ["retrieval", str(measure), str(direction)], rows.groupby("cell")["score"].mean())
    summarise(metrics, "consistency", consistency, "construct")
    put(
        metrics, ["vqa", "accuracy", "mean"], vqa.groupby(["cell", "language"])["correct"].mean().groupby("cell").mean()
    )
    for language, rows in vqa.groupby("language"):
        put(metrics, ["vqa", "accuracy", str(language)], rows.groupby("cell")["correct"].mean())
    of_runs = stability[(stability["level"] == "run") & (stability["language"] == records.ALL_LANGUAGES)]
    for construct, rows in of_runs.groupby("construct"):
        put(metrics, ["stability", str(construct)], rows.set_index("cell")["score"])
    scored = set(retrieval["cell"]) & set(consistency["cell"])
    if len(vqa):
        scored &= set(vqa["cell"])
    return {cell: values for cell, values in metrics.items() if cell in scored}


def summarise(metrics: Metrics, kind: str, frame: pd.DataFrame, measures: str) -> None:
    """`kind.measure.mean`, the mean over languages, and `kind.measure.<language>` of the main measures."""
    by_language = frame.groupby([measures, "language", "cell"])["score"].mean()
    shown = records.headline(kind, set(frame[measures]))
    for measure in frame[measures].unique():
        values = by_language.loc[measure]
        put(metrics, [kind, str(measure), "mean"], values.groupby("cell").mean())
        if measure == shown:  # for each language; of the other measures the mean over languages is
            for language, rows in values.groupby("language"):
                put(metrics, [kind, str(measure), str(language)], rows.droplevel("language"))


def put(metrics: Metrics, name: Iterable[str], values: pd.Series[float]) -> None:
    """Give each cell of the index its value; an empty one is left out."""
    key = metric_name(*name)
    for cell, value in values.dropna().items():
        metrics[str(cell)][key] = float(value)


def table(name: str) -> pd.DataFrame:
    path = paths.RESULTS / f"{name}.parquet"
    if not path.is_file():
        raise stage.StageError(f"{path} is not there: run `make repro`")
    return pd.read_parquet(path)


def note(grid: Mapping[str, Any]) -> str:
    """The experiment's description in the UI."""
    factors = "\n".join(f"- **{factor}**: {', '.join(map(str, grid[factor]))}" for factor in FACTORS)
    return f"""{grid["description"]}

One run for each of {len(grid["cells"])} students and {len(grid["teachers"])} teachers.

{factors}

**Compare methods**: filter `tags.size = "half" and tags.arch = "clip"`, group by `tags.method` and look at
`retrieval.map_at_10.mean`, `consistency.rbo_gold_deleted.mean`, `vqa.accuracy.mean` and `stability.alpha`;
add a language code for one language. `training.*` are the training curves, `cost.*` what a run cost.
Confidence intervals and tests are in the study's `report/`, not here.

This view is made from the study's files by `python -m pipeline publish`; runs added by hand are removed.
"""


def run() -> None:
    grid = stage.read_json(paths.PLAN / "grid.json", study=str, cells=list, teachers=list)
    found = run_records(grid)
    try:
        changes = tracking.sync(found, Store.of(Path.cwd()), grid["study"], note(grid))
    except tracking.TrackingError as error:
        raise stage.StageError(str(error)) from None
    fingerprints = {record.name: record.tags["fingerprint"] for record in found}
    stage.write_json(paths.PUBLISHED, {"study": grid["study"], "runs": len(found), "cells": fingerprints})
    print(f"publish: {len(found)} runs in {Store.of(Path.cwd()).database.name}: {changes}")
