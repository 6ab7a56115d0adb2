"""How a stage carries out its tasks: adopt what the pool made, or make it now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline import paths, recorded, stage
from pipeline.tracking import telling
from pipeline.tracking.watcher import watched
from pipeline.work.device import execution
from pipeline.work.task import Task


def carry_out(*tasks: Task, reads: Sequence[Path] = ()) -> None:
    """Put the finished folders of one model's tasks where DVC expects them, once all of them are made.

    Args:
        tasks: training and scoring, or one of them.
        reads: outputs of earlier stages that they read, beside the corpus.

    Raises:
        StageError: what is read is not what DVC recorded.
        CellError: a task could not be carried out.
    """
    missing = [task for task in tasks if not stage.is_done(task.folder)]
    if missing:
        recorded.verify(paths.CORPUS, *reads)
        declared = execution()
        stage.limit_threads(declared.threads)
        with watched():
            telling.carry_out(missing, declared.device, lambda done, total, row: None)
    for task in tasks:
        stage.deliver(task.folder, task.out)
