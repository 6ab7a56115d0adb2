"""Files that stages hand to one another, and those that people keep beside params.yaml: plans, tuned values."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

from pipeline import analyse, declare, pool, settle, stage, validate
from pipeline.work.device import execution, torch_device
from pipeline.work.teach import TeacherTask
from study.config.params import read
from study.config.pretrained import teacher_spec
from study.config.size import scale_of
from study.config.student import StudentSpec
from study.objectives import options_of
from tests.fuzzing import parameters, treewise
from tests.fuzzing.inputs import Kind, Later, json_tree
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
    """The smoke study with its plans, a tuned cell, a tiny corpus and a declaration of its analysis."""
    (folder / "tuning").mkdir()
    (folder / "params.yaml").write_text(parameters.base("smoke"), encoding="utf-8")
    params = read(folder / "params.yaml")
    declared = validate.tuned_for(params, "clip", "half", "fd")
    best = {"learning_rate": 0.002, "fd.weight": 2.0}
    stage.write_json(folder / VALUES, {"declared": declared, "best": best, "seeds": [1000], "trials": []})
    tiny.write_corpus(folder / "corpus")
    before = Path.cwd()
    os.chdir(folder)
    try:
        validate.run()
        settle.run()
        declare.run()
    finally:
        os.chdir(before)


def settled() -> Later:
    """As the stages `validate` and `settle`; then as a student's stage reads what they wrote."""
    validate.told(read(Path("params.yaml")))
    settle.run()
    return students


def students() -> None:
    for file in sorted(Path("settled").glob("*.json")):
        plan = stage.read_json(file)
        StudentSpec.model_validate(plan["spec"])
        scale_of(plan)
        for name, options in plan["objectives"].items():
            options_of(name).model_validate(options)


def read_grid() -> None:
    """As the pool does; names that no run has are met by the stage `collect`, which says so."""
    pool.jobs("teachers")
    pool.jobs("students")


def read_teacher() -> None:
    task = TeacherTask("clip")
    task.fingerprint  # noqa: B018 (reads the plan)
    with stage.planned(Path("plan/teacher-clip.json")):  # as its `make` does
        teacher_spec(task.plan["spec"])


def read_execution() -> None:
    torch_device(execution()["device"])


def read_analysis() -> None:
    analyse.chosen()


STAGES = (
    Kind("tuned values", write_study, VALUES, tuned, settled, 4),
    Kind("plan students", write_study, "plan/students.json", json_tree, settled, 2),
    Kind("plan teacher", write_study, "plan/teacher-clip.json", json_tree, read_teacher),
    Kind("plan grid", write_study, "plan/grid.json", json_tree, read_grid),
    Kind("plan execution", write_study, "plan/execution.json", json_tree, read_execution),
    Kind("plan analysis", write_study, "plan/analysis.json", json_tree, read_analysis, 2),
    Kind("declaration", write_study, "declaration.json", json_tree, read_analysis, 2),
)
