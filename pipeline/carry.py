"""How a stage carries out one task: adopt what the pool made, or make it now."""

from __future__ import annotations

from pipeline import stage
from pipeline.work.device import execution
from pipeline.work.task import Task


def carry_out(task: Task) -> None:
    """Put the task's finished folder where DVC expects it."""
    if not stage.is_done(task.folder):
        declared = execution()
        stage.limit_threads(declared["threads"])
        task.run(declared["device"], lambda done, total: None)
    stage.adopt(task.folder, task.out)
