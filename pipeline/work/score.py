"""A model, scored on the test split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import paths, stage
from pipeline.work.device import torch_device
from pipeline.work.inputs import open_corpus, open_teacher, teacher_folder
from pipeline.work.task import Progress, Task

if TYPE_CHECKING:
    import torch

    from study.eval.evaluation import Images
    from study.models.dual_encoder import DualEncoder


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
        plan = stage.read_json(paths.PLAN / "evaluation.json", protocol=str)
        return stage.declared_hash({"cell": self.name, **plan}, self.model.fingerprint)

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        from study.eval.evaluation import evaluate
        from study.models import checkpoint

        source = self.model.out if self.model.in_place() else self.model.folder
        where = torch_device(device)
        # One model is in memory at a time (an encoder student with an image tower of its own is read beside its
        # teacher), and only its text tower while texts are read.
        if checkpoint.has_images(source):
            teacher = open_teacher(self.arch) if checkpoint.needs_teacher(source) else None
            model = checkpoint.load(source, teacher).to(where)
            del teacher
            images = images_by(model, where)
            model.image_module().to("meta")
        else:
            images = teacher_images(self.arch, device)
            model = checkpoint.load_text(source, teacher_folder(self.arch))
            model.text_module().to(where)
        protocol = stage.read_json(paths.PLAN / "evaluation.json", protocol=str)["protocol"]
        scores = evaluate(self.name, model, open_corpus(), images, "test", where, protocol)
        for table, frame in scores.tables().items():
            frame.to_parquet(folder / f"{table}.parquet", index=False)
        for submission, frame in scores.submissions.items():
            frame.to_csv(folder / f"submission-{submission}.csv", index=False)


@lru_cache(maxsize=4)
def teacher_images(arch: str, device: str) -> Images:
    """The test images as a teacher sees them, and all its students without an image tower of their own."""
    where = torch_device(device)
    return images_by(open_teacher(arch).to(where), where)


def images_by(model: DualEncoder, where: torch.device) -> Images:
    """The test images as `model` sees them."""
    from study.eval.evaluation import images_of

    return images_of(model, open_corpus(), "test", where)
