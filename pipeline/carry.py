"""How a stage carries out one task: adopt what the pool made, or make it now."""

from __future__ import annotations

import os

from pipeline import stage
from pipeline.work import Task


def carry_out(task: Task) -> None:
    """Put the task's finished folder where DVC expects it."""
    if not stage.is_done(task.folder):
        import torch

        torch.set_num_threads(int(os.environ.get("POLYGLOTS_THREADS", os.cpu_count() or 1)))
        task.run(os.environ.get("POLYGLOTS_DEVICE", "auto"), lambda done, total: None)
    stage.adopt(task.folder, task.out)
