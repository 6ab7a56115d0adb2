"""A teacher: trained here, or brought from where it was published."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import params, paths, stage
from pipeline.work.device import torch_device
from pipeline.work.inputs import corpus_content, open_corpus
from pipeline.work.run_files import write_run
from pipeline.work.task import Progress, Task
from study.config.grid import teacher_name
from study.config.pretrained import teacher_spec


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
    def settings(self) -> dict[str, Any]:
        """Its block of params.yaml, with defaults."""
        with params.from_file(paths.PARAMS):
            return teacher_spec(self._values[f"teachers.{self.arch}"]).model_dump()

    @property
    def _values(self) -> params.Values:
        return params.of_stage("teacher", arch=self.arch)

    @cached_property
    def fingerprint(self) -> str:
        return stage.declared_hash({"arch": self.arch, **self._values}, corpus_content())

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        from study.config.pretrained import PretrainedSpec
        from study.distill.cost import TrainingCost
        from study.distill.teacher import train_teacher
        from study.distill.training import History
        from study.divergence import DivergenceError
        from study.models.shrink import summary

        spec = teacher_spec(self.settings)
        row: dict[str, Any] = {"role": "teacher", "arch": self.arch, "size": "full", "method": "teacher"}
        checkpoint = self.folder.with_suffix(".checkpoint")
        if isinstance(spec, PretrainedSpec):
            model, history, cost = spec.fetch(), History(), TrainingCost.none()
            row |= {"seed": 0, "towers": "none", "learning_rate": 0.0}
        else:
            try:
                model, history, cost = train_teacher(spec, open_corpus(), torch_device(device), checkpoint, progress)
            except DivergenceError as error:
                rate = f"teachers.{self.arch}.training.learning_rate"
                hint = f"the learning rate is {spec.training.learning_rate:g} ({rate}); try a smaller one"
                raise error.hinted(hint) from error
            row |= {"seed": spec.seed, "towers": "both", "learning_rate": spec.training.learning_rate}
        row |= summary(model, model)
        write_run(folder, self, model, history, cost, row, self.settings, device)
        model.save(folder)
        checkpoint.unlink(missing_ok=True)
