"""A job of the pool, carried out and told of: in its model's journal, and in its log."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pipeline import failures, logs, provenance, stage
from pipeline.tracking import journal
from pipeline.tracking.describe import announced, cost_metrics, count_params
from pipeline.tracking.journal import Journal
from pipeline.work.score import EvaluateTask
from pipeline.work.task import Progress, Task


def carry_out(tasks: Sequence[Task], device: str, progress: Progress) -> None:
    """Make the tasks of one model, in order.

    Raises:
        CellError: one could not be made; the model's log has the traceback.
    """
    if not tasks:
        return
    model = failures.model_of(tasks[0])
    try:
        with logs.logged(model.name, f"on {device}"):
            _carry_out(tasks, model, device, progress)
    except Exception as error:
        raise failures.failed(model, error) from error


def logged(task: Task, device: str, progress: Progress) -> None:
    """Run a task that makes no model of the grid: it has a log, and MLflow is not told.

    Raises:
        CellError: it failed; the log has the traceback.
    """
    try:
        with logs.logged(task.name, f"on {device}"):
            task.run(device, progress)
    except Exception as error:
        raise failures.failed(task, error) from error


def _carry_out(tasks: Sequence[Task], model: Task, device: str, progress: Progress) -> None:
    if model is not tasks[0] and not journal.place(model.fingerprint).is_file():
        # Trained elsewhere: a run that began with its scoring would be no true picture of it.
        for task in tasks:
            task.run(device, progress)
        return
    with journal.writing(model.fingerprint) as told:
        told.write(
            journal.START,
            cell=model.name,
            commit=_commit(),
            device=device,
            host=platform.node(),
            trained=model is not tasks[0],
            **announced(model),
        )

        def telling(done: int, total: int, row: Mapping[str, float]) -> None:
            if row:
                told.row(row, total)
                values = ", ".join(f"{name} {value:.5g}" for name, value in row.items() if name != "step")
                logs.write(f"step {done} of {total}: {values}")
            else:
                told.step(done, total)
            progress(done, total, row)

        for task in tasks:
            task.run(device, telling)
        if reason := failures.outcome(model):
            told.fail(reason)
            logs.write(f"diverged: {reason}")
            return
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
