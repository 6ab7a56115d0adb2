"""How a stage carries out its tasks: adopt what the pool made, or make it now."""

from __future__ import annotations

from pipeline import stage
from pipeline.tracking import telling
from pipeline.tracking.watcher import watched
from pipeline.work.device import execution
from pipeline.work.task import Task


def carry_out(*tasks: Task) -> None:
    """Put the finished folders of one model's tasks where DVC expects them, once all of them are made."""
    missing = [task for task in tasks if not stage.is_done(task.folder)]
    if missing:
        declared = execution()
        stage.limit_threads(declared.threads)
        with watched():
            telling.carry_out(missing, declared.device, lambda done, total, row: None)
    for task in tasks:
        stage.deliver(task.folder, task.out)
