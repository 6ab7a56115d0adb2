"""A student, trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import paths, stage
from pipeline.work.device import torch_device
from pipeline.work.inputs import corpus_content, embeddings_content, open_corpus, open_teacher, teacher_content
from pipeline.work.run_files import write_run
from pipeline.work.task import Progress, Task
from study.config.grid import Cell


@dataclass(frozen=True)
class DistilTask(Task):
    cell: Cell
    kind = "distil"

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.cell.name

    @property
    def out(self) -> Path:
        return paths.RUNS / self.cell.name

    @property
    def plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = stage.read_json(self._file, spec=dict, objectives=dict)
        return plan

    @property
    def _file(self) -> Path:
        return paths.SETTLED / f"{self.cell.plan}.json"

    @cached_property
    def fingerprint(self) -> str:
        arch = self.cell.arch
        inputs = [corpus_content(), teacher_content(arch), embeddings_content(arch)]
        return stage.declared_hash({"cell": self.name, **self.plan}, *inputs)

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        from study.config.size import scale_of
        from study.config.student import StudentSpec
        from study.distill.student import StudentConfig, distil
        from study.models.shrink import summary

        plan, cell = self.plan, self.cell
        with stage.planned(self._file):
            spec, scale = StudentSpec.model_validate(plan["spec"]), scale_of(plan)
        config = StudentConfig(cell.arch, cell.size, scale, cell.seed, plan["objectives"], spec)
        teacher, where = open_teacher(cell.arch), torch_device(device)
        checkpoint = self.folder.with_suffix(".checkpoint")
        embeddings = paths.EMBEDDINGS / cell.arch
        student, history, cost = distil(config, teacher, open_corpus(), embeddings, where, checkpoint, progress)
        row = {
            "role": "student",
            **asdict(cell),
            "towers": spec.towers,
            "learning_rate": spec.training.learning_rate,
            **summary(student, teacher),
        }
        write_run(folder, self, student, history, cost, row, plan, device)
        # A frozen image tower is the teacher's and is not written again for every student.
        student.save(folder, images=spec.towers == "both")
        checkpoint.unlink(missing_ok=True)
