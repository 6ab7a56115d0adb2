"""The work of the long stages: what a run is made from, and how it is made.

Each kind of work is a `Task`: its fingerprint covers exactly what DVC tracks for the stage, and its
`make` fills a folder. The stage and the pool that goes before it carry out the same tasks.
"""

from __future__ import annotations

import copy
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths, stage
from study.design import Cell, teacher_name

if TYPE_CHECKING:
    import torch

    from study.corpora.layout import PreparedCorpus
    from study.cost import Cost
    from study.evaluation import Images
    from study.towers.protocol import DualEncoder
    from study.training import History

Progress = Callable[[int, int], None]


@lru_cache(maxsize=16)
def _tree(path: Path) -> str:
    return stage.tree_hash([path])


def corpus_content() -> str:
    """The corpus's own hash over all its files."""
    content: str = stage.read_json(paths.CORPUS / "corpus.json")["content"]
    return content


class Task(ABC):
    """A folder to be made."""

    kind: str
    name: str

    @property
    @abstractmethod
    def out(self) -> Path:
        """Where DVC expects it."""

    @cached_property
    @abstractmethod
    def fingerprint(self) -> str:
        """What determines it."""

    @abstractmethod
    def make(self, folder: Path, device: str, progress: Progress) -> None:
        """Fill `folder`."""

    @property
    def folder(self) -> Path:
        return stage.scratch(self.kind, self.fingerprint)

    def in_place(self) -> bool:
        """Whether DVC's output already is this very result."""
        record = self.out / "fingerprint"
        return record.is_file() and record.read_text().strip() == self.fingerprint

    def run(self, device: str, progress: Progress) -> None:
        def whole(folder: Path) -> None:
            self.make(folder, device, progress)
            (folder / "fingerprint").write_text(self.fingerprint + "\n")

        stage.make(self.folder, whole)


@dataclass(frozen=True)
class TeacherTask(Task):
    """A teacher: trained here, or brought from where it was published."""

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
        plan: dict[str, Any] = stage.read_json(paths.PLAN / f"teacher-{self.arch}.json")
        return plan

    @cached_property
    def fingerprint(self) -> str:
        return stage.declared_hash(self.plan, corpus_content())

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        from study.cost import Cost
        from study.published import PublishedSpec, teacher_spec
        from study.student import summary
        from study.teacher import train_teacher
        from study.training import History

        spec = teacher_spec(self.plan["spec"])
        row: dict[str, Any] = {"role": "teacher", "arch": self.arch, "size": "full", "method": "teacher"}
        checkpoint = self.folder.with_suffix(".checkpoint")
        if isinstance(spec, PublishedSpec):
            model, history, cost = spec.fetch(), History(), Cost.none()
            row |= {"seed": 0, "towers": "none", "learning_rate": 0.0}
        else:
            model, history, cost = train_teacher(spec, open_corpus(), torch_device(device), checkpoint, progress)
            row |= {"seed": spec.seed, "towers": "both", "learning_rate": spec.training.learning_rate}
        row |= summary(model, model)
        write_run(folder, self, model, history, cost, row, self.plan["spec"], device)
        model.save(folder)
        checkpoint.unlink(missing_ok=True)


@dataclass(frozen=True)
class DistilTask(Task):
    """A student, trained."""

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
        plan: dict[str, Any] = stage.read_json(paths.SETTLED / f"{self.cell.plan}.json")
        return plan

    @cached_property
    def fingerprint(self) -> str:
        inputs = [corpus_content(), _tree(paths.TEACHERS / self.cell.arch), _tree(paths.EMBEDDINGS / self.cell.arch)]
        return stage.declared_hash({"cell": self.name, **self.plan}, *inputs)

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        from study.distillation import Corner, StudentSpec, distil
        from study.encoders import scale_of
        from study.student import summary

        plan, cell = self.plan, self.cell
        spec = StudentSpec.model_validate(plan["spec"])
        corner = Corner(cell.arch, cell.size, scale_of(plan), cell.seed, plan["objectives"], spec)
        teacher, where = open_teacher(cell.arch), torch_device(device)
        checkpoint = self.folder.with_suffix(".checkpoint")
        embeddings = paths.EMBEDDINGS / cell.arch
        student, history, cost = distil(corner, teacher, open_corpus(), embeddings, where, checkpoint, progress)
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


@dataclass(frozen=True)
class EvaluateTask(Task):
    """A model, scored on the test split."""

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
        teacher = open_teacher(self.arch)
        model = checkpoint.load(source, teacher).to(where)
        # A student without an image tower sees its teacher's images, which are embedded once.
        images = images_by(model, where) if checkpoint.has_images(source) else teacher_images(self.arch, device)
        protocol = stage.read_json(paths.PLAN / "evaluation.json")["protocol"]
        scores = evaluate(self.name, model, open_corpus(), images, "test", where, protocol)
        for table, frame in scores.tables().items():
            frame.to_parquet(folder / f"{table}.parquet", index=False)
        for submission, frame in scores.submissions.items():
            frame.to_csv(folder / f"submission-{submission}.csv", index=False)


def write_run(
    folder: Path,
    task: Task,
    model: DualEncoder,
    history: History,
    cost: Cost,
    row: dict[str, Any],
    settings: dict[str, Any],
    device: str,
) -> None:
    """run.json, history.csv and fragmentation.csv: everything about a training that is not weights."""
    import pandas as pd

    from study.fragmentation import fragmentation

    where = torch_device(device)
    row = {
        "cell": task.name,
        **row,
        **asdict(cost),
        "seconds": round(history.seconds, 3),
        "device": device_name(where),
        "fingerprint": task.fingerprint,
    }
    record = {"cell": task.name, "row": row, "settings": settings, "temperature": model.temperature}
    stage.write_json(folder / "run.json", {**record, "versions": versions()})
    pd.DataFrame(history.rows, columns=list(history.rows[0]) if history.rows else ["step"]).to_csv(
        folder / "history.csv", index=False
    )
    fragmentation(model, open_corpus(), "validation").to_csv(folder / "fragmentation.csv", index=False)


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    from importlib.metadata import version

    names = ("torch", "transformers", "open_clip_torch", "tokenizers", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


@lru_cache(maxsize=1)
def open_corpus() -> PreparedCorpus:
    from study.corpora.layout import PreparedCorpus

    return PreparedCorpus(paths.CORPUS)


@lru_cache(maxsize=4)
def open_teacher(arch: str) -> DualEncoder:
    """The trained teacher; callers do not change it."""
    from study.towers import checkpoint

    folder = TeacherTask(arch).out
    if not folder.is_dir():
        raise stage.StageError(f"{folder} is not there: run `dvc repro teacher`")
    return checkpoint.load(folder).requires_grad_(False)


@lru_cache(maxsize=4)
def teacher_images(arch: str, device: str) -> Images:
    where = torch_device(device)
    return images_by(copy.deepcopy(open_teacher(arch)).to(where), where)


def images_by(model: DualEncoder, where: torch.device) -> Images:
    from study.evaluation import images_of

    return images_of(model, open_corpus(), "test", where)


def torch_device(name: str) -> torch.device:
    """The device called `name`; `auto` is the first GPU, or the CPU."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise stage.StageError(f"execution.device is {name!r}, allowed are auto, cpu, cuda, cuda:<number>") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise stage.StageError(f"execution.device is {name!r}, but torch sees no GPU here")
    return device


def execution() -> dict[str, Any]:
    """Where and how to run: device, workers, threads. It changes no result, so no stage depends on it."""
    declared: dict[str, Any] = stage.read_json(paths.PLAN / "execution.json")
    return declared


def device_name(device: torch.device) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
