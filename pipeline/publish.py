"""Stage `publish`: the study's MLflow experiment shows exactly the declared cells and teachers, and the report.

Runs appear while they are made (tracking/watch.py). What DVC restores from its cache tells nothing by itself, and some
scores are known of a whole study only, so this stage reads the results and makes MLflow follow them, also after a pull.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Mapping

import pandas as pd

from pipeline import params, paths, stage
from pipeline.collect import model_folder
from pipeline.params import Grid
from pipeline.tracking import experiment, journal
from pipeline.tracking.describe import cost_metrics, count_params, dataset, identity_tags, settings_params
from pipeline.tracking.follow import COMMIT_TAG, Sent, write_sent
from pipeline.tracking.journal import PENDING, Told
from pipeline.tracking.run_record import RunRecord, curves_of
from pipeline.tracking.score_metrics import TABLES, Metrics, score_metrics
from pipeline.tracking.sync import Changes, sync
from pipeline.tracking.tracker import TrackingError
from pipeline.tracking.watcher import publishing
from pipeline.work.run_files import diverged

FILES = ("run.json", "history.csv", "fragmentation.csv", "config.json")

WAIT_SECONDS = 60.0
"""For a watcher that still sends."""


def run_records(grid: Grid) -> list[RunRecord]:
    """What the study's folder, the working one, holds of each cell of its grid, and of its report if it has one.

    Raises:
        StageError: a declared run or its rows are not there.
    """
    names = [*grid.teachers, *grid.cells]
    for name in names:
        missing = [file for file in ("run.json", "history.csv") if not (model_folder(name) / file).is_file()]
        if missing:
            raise stage.StageError(f"cell {name}: {model_folder(name) / missing[0]} is not there: run `make repro`")
    metrics = scores()
    for name in names:
        if name not in metrics and not diverged(model_folder(name)):
            raise stage.StageError(f"cell {name} has no rows in {paths.RESULTS}: run `make repro`")
    records = [run_record(name, grid.study, metrics.get(name)) for name in names]
    return [*records, *report_record(grid.study)]


def run_record(name: str, study: str, metrics: Mapping[str, float] | None) -> RunRecord:
    """One cell: what was declared, how it was trained, how it scored; one without `metrics` has diverged."""
    folder = model_folder(name)
    run = stage.read_json(folder / "run.json")
    row = {"role": "student", **run["row"]}
    if run["cell"] != name or row["cell"] != name:
        raise stage.StageError(f"{folder} holds the run of {run['cell']}, not of {name}")
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:  # exactly, which pandas does not promise
        history = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    told = Told.of(row["fingerprint"])
    tags = {**identity_tags(row), "study": study}
    if metrics is not None:
        tags["weights"] = str(folder / "model.safetensors")
    if told.start.get("commit"):
        tags[COMMIT_TAG] = told.start["commit"]
    corpus = dataset() if (paths.CORPUS / "corpus.json").is_file() else None
    return RunRecord(
        name=name,
        fingerprint=row["fingerprint"],
        tags=tags,
        params={**settings_params(row, run["settings"], run["versions"]), **count_params(row)},
        metrics={} if metrics is None else {**metrics, **cost_metrics(row)},
        curves=curves_of(history),
        files={file: folder / file for file in FILES if (folder / file).is_file()},
        dataset=corpus,
        started=told.started,
        ended=told.ended,
        failure="" if metrics is not None else f"diverged in training: {row['reason']}",
    )


def report_record(study: str) -> list[RunRecord]:
    """The report and its tables, as artifacts of a run of their own; none if there is no report yet."""
    files = sorted(path for path in paths.REPORT.rglob("*") if path.is_file()) if paths.REPORT.is_dir() else []
    if not files:
        return []
    key = stage.tree_hash([paths.REPORT])[:32]
    written = round(max(path.stat().st_mtime for path in files) * 1000)
    tags = {"role": "report", "fingerprint": key, "study": study}
    record = RunRecord(
        name="report",
        fingerprint=key,
        tags=tags,
        params={"role": "report"},
        metrics={},
        files={path.relative_to(paths.REPORT).as_posix(): path for path in files},
        started=written,
        ended=written,
    )
    return [record]


def scores() -> Metrics:
    """Summary metrics of every cell that has rows in all of the tables; without questions none has answers."""
    tables = {name: table(name) for name in (*TABLES, "stability")}
    metrics: Metrics = {str(cell): {} for cell in table("cells")["cell"]}
    metrics |= score_metrics(tables)
    scored = set(tables["retrieval"]["cell"]) & set(tables["consistency"]["cell"])
    if len(tables["vqa"]):
        scored &= set(tables["vqa"]["cell"])
    return {cell: values for cell, values in metrics.items() if cell in scored}


def table(name: str) -> pd.DataFrame:
    path = paths.RESULTS / f"{name}.parquet"
    if not path.is_file():
        raise stage.StageError(f"{path} is not there: run `make repro`")
    return pd.read_parquet(path)


def publish(records: list[RunRecord]) -> Changes:
    """Make MLflow show the records.

    Raises:
        TrackingError: it cannot be reached, or another process of this folder still sends.
    """
    with publishing(WAIT_SECONDS) as alone:
        if not alone:
            raise TrackingError("another process of this study still sends to MLflow")
        tracker = experiment.open_tracker()
        changes, runs = sync(records, tracker)
        status = {record.fingerprint: record.status for record in records}
        for path in journal.journals():
            if path.stem in runs:
                size = path.stat().st_size
                last = journal.events(path)[0]
                step = max((int(event["row"]["step"]) for event in last if event["event"] == journal.ROW), default=-1)
                write_sent(path, tracker.destination, Sent(runs[path.stem], size, step, status[path.stem]))
            elif not journal.written_now(path):
                for file in (path, *path.parent.glob(f"{path.stem}.*.json")):
                    file.unlink(missing_ok=True)
        PENDING.unlink(missing_ok=True)
    return changes


def run(or_later: bool = False) -> None:
    """Publish. With `or_later`, a store that cannot be used is told of and fails nothing: results are whole."""
    grid = params.grid()
    found = run_records(grid)
    where = experiment.destination().shown
    try:
        print(f"publish: {len(found)} runs in {where}: {publish(found)}")
    except TrackingError as error:
        if not or_later:
            raise stage.StageError(str(error)) from None
        with contextlib.suppress(OSError):
            PENDING.touch()
        print(f"publish: {error}\npublish: results are whole, MLflow is behind; {experiment.LATER}", flush=True)
    fingerprints = {record.name: record.fingerprint for record in found}
    stage.write_json(paths.PUBLISHED, {"study": grid.study, "runs": len(found), "cells": fingerprints})
