"""A teacher: trained here, or brought from where it was published."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import paths, stage
from pipeline.work.device import torch_device
from pipeline.work.inputs import corpus_content, open_corpus
from pipeline.work.run_files import write_run
from pipeline.work.task import Progress, Task
from study.config.grid import teacher_name


@dataclass(frozen=True)
class TeacherTask(Task):
    arch: str
    kind = "teacher"

    @property
    def name(self) -> str:  # type: ignore[override]
        return teacher_name(self.arch)

    @property
    def out(self) -> Path:
        return paths.TEACHERS / self.arch

    @property
    def plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = stage.read_json(self._file, spec=dict)
        return plan

    @property
    def _file(self) -> Path:
        return paths.PLAN / f"teacher-{self.arch}.json"

    @cached_property
    def fingerprint(self) -> str:
        return stage.declared_hash(self.plan, corpus_content())

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        from study.config.pretrained import PretrainedSpec, teacher_spec
        from study.distill.cost import TrainingCost
        from study.distill.teacher import train_teacher
        from study.distill.training import History
        from study.models.shrink import summary

        with stage.planned(self._file):
            spec = teacher_spec(self.plan["spec"])
        row: dict[str, Any] = {"role": "teacher", "arch": self.arch, "size": "full", "method": "teacher"}
        checkpoint = self.folder.with_suffix(".checkpoint")
        if isinstance(spec, PretrainedSpec):
            model, history, cost = spec.fetch(), History(), TrainingCost.none()
            row |= {"seed": 0, "towers": "none", "learning_rate": 0.0}
        else:
            model, history, cost = train_teacher(spec, open_corpus(), torch_device(device), checkpoint, progress)
            row |= {"seed": spec.seed, "towers": "both", "learning_rate": spec.training.learning_rate}
        row |= summary(model, model)
        write_run(folder, self, model, history, cost, row, self.plan["spec"], device)
        model.save(folder)
        checkpoint.unlink(missing_ok=True)
