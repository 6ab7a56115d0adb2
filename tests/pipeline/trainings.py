"""Trainings of a moment, some of which meet a disaster once: python -m tests.pipeline.trainings EXECUTION NAME...

What the tests of the engines make. A training is the real loop with its real checkpoints; the model has four numbers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import pool, stage
from pipeline.engines import engine
from pipeline.engines.base import carry_out
from pipeline.work.task import Progress, Task
from study.config.params import ExecutionSpec

STEPS, EVERY = 40, 5
FATAL = 20
"""The step after which the disaster comes."""


@dataclass(frozen=True)
class Training(Task):
    """Writes the weights that it ends with, and beside the scratch the steps that were reported."""

    label: str
    seed: int
    disaster: str = "none"
    kind = "training"

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.label

    @property
    def out(self) -> Path:
        return Path("out") / self.label

    @cached_property
    def fingerprint(self) -> str:
        return f"{self.label}-{self.seed}"

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        import torch
        from safetensors.torch import save_file

        from study.config.schedule import Schedule
        from study.distill.training import fit

        class Line(torch.nn.Module):
            """The least that the loop asks of a model."""

            def __init__(self) -> None:
                super().__init__()
                self.table = torch.nn.Embedding(1, 3)
                torch.nn.init.zeros_(self.table.weight)
                self.scale = torch.nn.Parameter(torch.ones(()))

            def token_table(self) -> torch.nn.Embedding:
                return self.table

            def temperature_parameters(self) -> list[torch.nn.Parameter]:
                return [self.scale]

        model = Line().to(device)

        def loss(step: int) -> dict[str, torch.Tensor]:
            x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1000 * self.seed + step))
            predicted = model.scale * x @ model.table.weight.T
            return {"loss": (predicted - x.sum(dim=1, keepdim=True)).square().mean()}

        def told(done: int, total: int, row: Mapping[str, float]) -> None:
            with Path(f"{self.label}.steps").open("a") as file:
                file.write(f"{done}\n")
            progress(done, total, row)
            if done == FATAL + EVERY:  # the checkpoint of step FATAL is written
                meet(self.disaster, Path(f"{self.label}.met"))

        checkpoint = self.folder.with_suffix(".checkpoint")
        schedule = Schedule(steps=STEPS, batch=4, learning_rate=0.05)
        fit(model, {}, loss, schedule, checkpoint=checkpoint, checkpoint_seconds=0, report_every=EVERY, progress=told)  # type: ignore[arg-type]
        save_file(model.state_dict(), folder / "model.safetensors")
        checkpoint.unlink(missing_ok=True)


def meet(disaster: str, met: Path) -> None:
    """Let a disaster come, once; `met` is written before it."""
    if disaster == "none" or met.exists():
        return
    met.write_text(str(os.getpid()))
    target, number = {
        "worker": (os.getpid(), signal.SIGKILL),
        "element": (os.getppid(), signal.SIGKILL),  # what an array started on this node
        "time": (os.getppid(), signal.SIGUSR2),  # as Slurm tells an element whose time is over
        "wait": (os.getpid(), 0),  # for a disaster from elsewhere
    }[disaster]
    os.kill(target, number)
    time.sleep(120)


def trainings(names: list[str]) -> list[pool.Job]:
    """Jobs called label or label:disaster."""
    parts = [name.partition(":") for name in names]
    return [(Training(label, number, disaster or "none"),) for number, (label, _, disaster) in enumerate(parts)]


def result(label: str) -> dict[str, bytes]:
    """The finished folder of a training in the working folder: file name to bytes."""
    (folder,) = stage.SCRATCH.glob(f"training/{label}-*[0-9]")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def steps(label: str) -> list[int]:
    """All steps that were reported, of all attempts."""
    return [int(line) for line in Path(f"{label}.steps").read_text().split()]


def run(execution: dict[str, Any], names: list[str]) -> None:
    by = engine(ExecutionSpec.model_validate(execution), len(names))
    pool.run_jobs("trainings", trainings(names), by)


def carry(label: str, number: str) -> None:
    """What a stage of DVC does: take what is made, or make it."""
    task = Training(label, int(number))
    if not stage.is_done(task.folder):
        assert carry_out((task,), "cpu") is None
    stage.deliver(task.folder, task.out)


if __name__ == "__main__":
    from tests.pipeline.trainings import carry  # other processes find its classes by that name
    from tests.pipeline.trainings import run as named

    with stage.main("trainings"):
        if sys.argv[1] == "stage":
            carry(*sys.argv[2:])
        else:
            named(json.loads(sys.argv[1]), sys.argv[2:])
