"""A job of the pool, carried out and told of in its model's journal."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pipeline import provenance, stage
from pipeline.tracking import journal
from pipeline.tracking.describe import announced, cost_metrics, count_params
from pipeline.tracking.journal import Journal
from pipeline.work.score import EvaluateTask
from pipeline.work.task import Progress, Task


def carry_out(tasks: Sequence[Task], device: str, progress: Progress) -> None:
    """Make the tasks of one model, in order."""
    if not tasks:
        return
    first = tasks[0]
    model = first.model if isinstance(first, EvaluateTask) else first
    if model is not first and not journal.place(model.fingerprint).is_file():
        # Trained elsewhere: a run that began with its scoring would be no true picture of it.
        for task in tasks:
            task.run(device, progress)
        return
    with journal.writing(model.fingerprint) as told:
        told.write(journal.START, cell=model.name, commit=_commit(), **announced(model))

        def telling(done: int, total: int, row: Mapping[str, float]) -> None:
            told.row(row)
            progress(done, total, row)

        for task in tasks:
            task.run(device, telling)
        _tell_scores(told, model, [task for task in tasks if isinstance(task, EvaluateTask)])


@lru_cache(maxsize=1)
def _commit() -> str | None:
    known = provenance.commit()
    return known.get("commit")


def _tell_scores(told: Journal, model: Task, scored: Sequence[EvaluateTask]) -> None:
    """What MLflow shows of a whole run; it is shown again by `publish`, so nothing fails here."""
    with contextlib.suppress(Exception):
        folder = model.out if model.in_place() else model.folder
        row = stage.read_json(folder / "run.json")["row"]
        metrics: dict[str, float] = cost_metrics(row)
        for task in scored:
            metrics |= _scores(task)
        told.write(journal.SCORES, metrics=metrics, params=count_params(row))


def _scores(task: EvaluateTask) -> dict[str, Any]:
    import pandas as pd

    from pipeline.tracking.score_metrics import TABLES, score_metrics

    tables = {table: pd.read_parquet(task.folder / f"{table}.parquet") for table in TABLES}
    return score_metrics(tables).get(task.name, {})
