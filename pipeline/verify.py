"""`verify`: one model made anew beside the study, and compared with what is there, byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import logs, params, paths, stage
from pipeline.work.device import device_name, execution, torch_device
from pipeline.work.distil import DistilTask
from pipeline.work.score import EvaluateTask
from pipeline.work.task import Progress, Task
from pipeline.work.teach import TeacherTask
from study.config.grid import cells, teacher_name
from study.names import UnknownNameError


@dataclass(frozen=True)
class Anew(Task):
    """A task whose result lies in a place of its own."""

    task: Task
    place: Path
    kind = "verify"

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.task.name

    @property
    def out(self) -> Path:
        return self.place

    @cached_property
    def fingerprint(self) -> str:
        return self.task.fingerprint

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        self.task.make(folder, device, progress)


def tasks_of(name: str) -> tuple[Task, str]:
    """The model of that name, and its architecture.

    Raises:
        UnknownNameError: params.yaml declares no such model.
    """
    grid = params.grid()
    known: dict[str, tuple[Task, str]] = {teacher_name(arch): (TeacherTask(arch), arch) for arch in grid.archs}
    for cell in cells(grid.archs, grid.sizes, grid.methods, grid.seeds):
        known[cell.name] = DistilTask(cell), cell.arch
    if name not in known:
        raise UnknownNameError("cell", name, known, "grid of params.yaml")
    return known[name]


def differences(there: Path, anew: Path) -> list[str]:
    """What two folders differ in: a line for each file, with the tensors of weights."""
    files = {path.relative_to(folder) for folder in (there, anew) for path in folder.rglob("*") if path.is_file()}
    found = []
    for file in sorted(files):
        if not (there / file).is_file() or not (anew / file).is_file():
            found.append(f"{there / file} is {'not made anew' if (there / file).is_file() else 'not there'}")
        elif (there / file).read_bytes() != (anew / file).read_bytes():
            found.append(f"{there / file} differs{_where(there / file, anew / file)}")
    return found


def _where(there: Path, anew: Path) -> str:
    """In which of their parts two files differ, where they have parts that can be named."""
    if there.suffix == ".safetensors":
        import torch
        from safetensors.torch import load_file

        old, new = load_file(there), load_file(anew)
        parts = [name for name in old if name not in new or not torch.equal(old[name], new[name])]
        same = [name for name in parts if name in new and new[name].shape == old[name].shape]
        largest = max((float((old[name].double() - new[name].double()).abs().max()) for name in same), default=0.0)
        return f" in {len(parts)} of {len(old)} tensors, by {largest:.3g} at most: {', '.join(parts[:3])}"
    if there.suffix == ".json":
        old, new = stage.read_json(there), stage.read_json(anew)
        return f": {', '.join(sorted(_keys(old, new)))}"
    return ""


def _keys(old: Any, new: Any, prefix: str = "") -> set[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {key for name in {*old, *new} for key in _keys(old.get(name), new.get(name), f"{prefix}.{name}")}
    return set() if old == new else {prefix.removeprefix(".")}


def verify(name: str) -> list[str]:
    """Make the model `name` anew and score it; what differs from what is there.

    Raises:
        StageError: it is not there, or not as params.yaml now declares it.
    """
    model, arch = tasks_of(name)
    scored = EvaluateTask(model, arch)
    for task in (model, scored):
        if not task.in_place():
            state = "of another declaration, data or code" if task.out.is_dir() else "not there"
            raise stage.StageError(f"{task.out} is {state}, so nothing can be compared: run `make repro` first")
    declared = execution()
    stage.limit_threads(declared.threads)
    place = stage.SCRATCH / "verify" / name
    shutil.rmtree(place, ignore_errors=True)
    model.folder.with_suffix(".checkpoint").unlink(missing_ok=True)  # of a verification that was killed
    again = Anew(model, place / "model")
    found = []
    try:
        for task, there in ((again, model.out), (Anew(EvaluateTask(again, arch), place / "scores"), scored.out)):
            with logs.logged(name, f"on {declared.device}, to be compared with {there}"):
                task.out.mkdir(parents=True)
                task.make(task.out, declared.device, lambda done, total, row: None)
            (task.out / "fingerprint").write_text(task.fingerprint + "\n")
            found += differences(there, task.out)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return found


def run(name: str) -> None:
    """Print the outcome.

    Raises:
        StageError: something differs; the message names it.
    """
    found = verify(name)
    folders = [paths.TEACHERS / name.removesuffix("-teacher"), paths.RUNS / name]
    made = next(folder for folder in folders if (folder / "run.json").is_file())
    then, now = stage.read_json(made / "run.json")["row"]["device"], device_name(torch_device(execution().device))
    if found:
        other = f" (it was made on {then}, and now on {now}: docs/reliability.md)" if then != now else ""
        raise stage.StageError("\n".join([f"{name} is not the same{other}:", *(f"  {line}" for line in found)]))
    print(f"verify: {name} is the same, byte for byte: {made} and {paths.SCORES / name}")
