"""How a stage carries out its tasks: adopt what the pool made, or make it now."""

from __future__ import annotations

from pipeline import stage
from pipeline.work.device import execution
from pipeline.work.task import Task


def carry_out(*tasks: Task) -> None:
    """Put the tasks' finished folders where DVC expects them, once all of them are made."""
    for task in tasks:
        if not stage.is_done(task.folder):
            declared = execution()
            stage.limit_threads(declared["threads"])
            task.run(declared["device"], lambda done, total: None)
    for task in tasks:
        stage.deliver(task.folder, task.out)
