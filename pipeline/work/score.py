"""A model, scored on the test split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline import paths, stage
from pipeline.work.device import torch_device
from pipeline.work.inputs import images_by, open_corpus, open_teacher, teacher_folder, teacher_images
from pipeline.work.task import Progress, Task


@dataclass(frozen=True)
class EvaluateTask(Task):
    model: Task
    arch: str
    kind = "evaluate"

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.model.name

    @property
    def out(self) -> Path:
        return paths.SCORES / self.model.name

    @cached_property
    def fingerprint(self) -> str:
        plan = stage.read_json(paths.PLAN / "evaluation.json")
        return stage.declared_hash({"cell": self.name, **plan}, self.model.fingerprint)

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        from study.evaluation import evaluate
        from study.towers import checkpoint

        source = self.model.out if self.model.in_place() else self.model.folder
        where = torch_device(device)
        # No more than one model is held at a time, and of that what reads texts when texts are read.
        if checkpoint.has_images(source):
            teacher = open_teacher(self.arch) if checkpoint.needs_teacher(source) else None
            model = checkpoint.load(source, teacher).to(where)
            del teacher
            images = images_by(model, where)
            model.image_module().to("meta")
        else:  # the student sees its teacher's images, which are embedded once
            images = teacher_images(self.arch, device)
            model = checkpoint.load_text(source, checkpoint.outline(teacher_folder(self.arch)))
            model.text_module().to(where)
        protocol = stage.read_json(paths.PLAN / "evaluation.json")["protocol"]
        scores = evaluate(self.name, model, open_corpus(), images, "test", where, protocol)
        for table, frame in scores.tables().items():
            frame.to_parquet(folder / f"{table}.parquet", index=False)
        for submission, frame in scores.submissions.items():
            frame.to_csv(folder / f"submission-{submission}.csv", index=False)
