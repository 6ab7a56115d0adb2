"""A student, trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import params, paths, stage
from pipeline.tuned import apply
from pipeline.work.device import execution, torch_device
from pipeline.work.inputs import corpus_content, embeddings_content, open_corpus, open_teacher, teacher_content
from pipeline.work.run_files import write_diverged, write_run
from pipeline.work.task import Progress, Task
from study.config.grid import Cell
from study.config.size import EncoderSpec, scale_of, size_of
from study.config.student import StudentSpec


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
    def settings(self) -> dict[str, Any]:
        """What it is trained with: its objectives with their options, its size, and the `students` block, tuned."""
        values, cell = self._values, self.cell
        with params.from_file(paths.PARAMS):
            spec = StudentSpec.model_validate(values["students"]).model_dump()
            scale = size_of(values[f"sizes.{cell.size}"])
        size = {"encoder": scale.model_dump()} if isinstance(scale, EncoderSpec) else {"fraction": scale}
        found = values[f"tuned.{cell.plan}".replace("-", ".")]
        declared = {"objectives": values[f"methods.{cell.method}"], "spec": spec, **size}
        return {**apply(declared, found), "tuned": bool(found)}

    @property
    def _values(self) -> params.Values:
        return params.of_stage("student", **asdict(self.cell))

    @cached_property
    def fingerprint(self) -> str:
        arch = self.cell.arch
        inputs = [corpus_content(), teacher_content(arch), embeddings_content(arch)]
        # The stage also scores it; what determines the scores alone does not make another student.
        scoring = params.of_stage("evaluate", arch=arch)
        training = {key: value for key, value in self._values.items() if key not in scoring}
        return stage.declared_hash({"cell": self.name, **training}, *inputs)

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        from study.distill.student import StudentConfig, distil
        from study.divergence import DivergenceError
        from study.models.shrink import summary

        settings, cell = self.settings, self.cell
        spec, scale = StudentSpec.model_validate(settings["spec"]), scale_of(settings)
        config = StudentConfig(cell.arch, cell.size, scale, cell.seed, settings["objectives"], spec)
        teacher, where = open_teacher(cell.arch), torch_device(device)
        checkpoint = self.folder.with_suffix(".checkpoint")
        embeddings = paths.EMBEDDINGS / cell.arch
        try:
            student, history, cost = distil(config, teacher, open_corpus(), embeddings, where, checkpoint, progress)
        except DivergenceError as error:
            if execution().on_failure != "record":
                raise error.hinted(self._hint(settings)) from error
            rate = {"learning_rate": spec.training.learning_rate}
            write_diverged(folder, self, error, {**asdict(cell), **rate}, settings, device)
            checkpoint.unlink(missing_ok=True)
            return
        row = {
            "role": "student",
            **asdict(cell),
            "towers": spec.towers,
            "learning_rate": spec.training.learning_rate,
            **summary(student, teacher),
        }
        write_run(folder, self, student, history, cost, row, settings, device)
        # A frozen image tower is the teacher's and is not written again for every student.
        student.save(folder, images=spec.towers == "both")
        checkpoint.unlink(missing_ok=True)

    def _hint(self, settings: dict[str, Any]) -> str:
        """What to change after a divergence."""
        rate, where = settings["spec"]["training"]["learning_rate"], "students.training.learning_rate"
        if rate != self._values["students"]["training"]["learning_rate"]:
            where = f"tuned: {params.block('tuning')['values']}/{self.cell.plan}.json"
        return (
            f"the learning rate is {rate:g} ({where}); try a smaller one, or let a diverged student be an outcome: "
            "execution.on_failure: record"
        )
