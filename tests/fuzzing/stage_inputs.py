"""Files that stages hand to one another, and those that people keep beside params.yaml: resolved.json, tuned values."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from random import Random

from pipeline import analyse, check, declare, pool, resolve, stage
from pipeline.sources import ROOT
from pipeline.tuned import tuned_for
from pipeline.work.device import execution, torch_device
from pipeline.work.distil import DistilTask
from pipeline.work.teach import TeacherTask
from study.config.params import read
from study.config.pretrained import teacher_spec
from study.config.size import scale_of
from study.config.student import StudentSpec
from study.objectives import options_of
from tests.fuzzing import parameters, treewise
from tests.fuzzing.inputs import Kind, Later, json_tree, text
from tests.study import tiny

VALUES = "tuning/clip-half-fd.json"


def tuned(random: Random, content: bytes) -> bytes:
    """Mostly other values than those that tuning found: of the rest there is much more."""
    if random.random() < 0.5:
        return json_tree(random, content)
    tree = json.loads(content)
    tree["best"] = treewise.mutate(random, tree["best"])
    return json.dumps(tree).encode()


def write_study(folder: Path) -> None:
    """The smoke study with a tuned cell, a tiny corpus and a declaration of its analysis."""
    (folder / "tuning").mkdir()
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / "params.yaml").write_text(parameters.base("smoke"), encoding="utf-8")
    params = read(folder / "params.yaml")
    declared = tuned_for(params, "clip", "half", "fd")
    best = {"learning_rate": 0.002, "fd.weight": 2.0}
    stage.write_json(folder / VALUES, {"declared": declared, "best": best, "seeds": [1000], "trials": []})
    tiny.write_corpus(folder / "corpus")
    before = Path.cwd()
    os.chdir(folder)
    try:
        resolve.run()
        declare.run()
    finally:
        os.chdir(before)


def resolved() -> Later:
    """As the stage `resolve`; then as a student's stage reads what it wrote."""
    check.told(read(Path("params.yaml")))
    resolve.run()
    return students


def students() -> None:
    for task, *_ in pool.jobs("students")[2:]:
        task.fingerprint  # noqa: B018 (reads the values)
        assert isinstance(task, DistilTask)
        StudentSpec.model_validate(task.settings["spec"])
        scale_of(task.settings)
        for name, options in task.settings["objectives"].items():
            options_of(name).model_validate(options)


def read_grid() -> None:
    """As the pool does; names that no run has are met by the stage `collect`, which says so."""
    pool.jobs("teachers")
    pool.jobs("students")


def read_teacher() -> None:
    task = TeacherTask("clip")
    task.fingerprint  # noqa: B018 (reads the values)
    teacher_spec(task.settings)


def read_execution() -> None:
    torch_device(execution().device)


def read_analysis() -> None:
    analyse.chosen()


STAGES = (
    Kind("tuned values", write_study, VALUES, tuned, resolved, 4),
    Kind("resolved, students", write_study, "resolved.json", json_tree, students, 2),
    Kind("resolved, teacher", write_study, "resolved.json", json_tree, read_teacher),
    Kind("resolved, analysis", write_study, "resolved.json", json_tree, read_analysis, 2),
    Kind("params, grid", write_study, "params.yaml", text, read_grid),
    Kind("params, execution", write_study, "params.yaml", text, read_execution),
    Kind("declaration", write_study, "declaration.json", json_tree, read_analysis, 2),
)
