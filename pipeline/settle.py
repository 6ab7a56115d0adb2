"""Stage `settle`: the declared methods with the values that tuning found, one plan for all seeds of a cell.

A method that was never tuned keeps what params.yaml declares; its plan says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline import paths, stage
from pipeline.tuned import sentence, tuned_values
from pipeline.validate import student_code
from study.config.params import describe
from study.config.pretrained import teacher_spec
from study.config.student import StudentSpec
from study.objectives import options_of

MAKES = ("objectives", "fraction", "encoder", "encoder_contents", "spec")
"""What of a declaration makes a student."""


def apply(plan: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """`plan` with tuned values: `learning_rate`, or `<objective>.<option>`."""
    settled: dict[str, Any] = {
        **plan,
        "spec": {**plan["spec"], "training": dict(plan["spec"]["training"])},
        "objectives": {name: dict(options) for name, options in plan["objectives"].items()},
    }
    for key, value in found.items():
        name, _, option = key.partition(".")
        if key == "learning_rate":
            settled["spec"]["training"][key] = value
        elif name in settled["objectives"] and option:
            settled["objectives"][name][option] = value
        else:
            raise stage.StageError(
                f"tuned value {key!r} fits none of the method's objectives {list(plan['objectives'])}"
            )
    return settled


def check(plan: Mapping[str, Any], where: Path) -> None:
    """Refuse a settled plan that no student can be trained by; raises StageError, which names `where`."""
    parts: dict[str, type[BaseModel]] = {name: options_of(name) for name in plan["objectives"]}
    parts["spec"] = StudentSpec
    for name, kind in parts.items():
        try:
            kind.model_validate(plan["spec"] if name == "spec" else plan["objectives"][name])
        except ValidationError as error:
            said = "; ".join(describe(problem, kind) for problem in error.errors())
            raise stage.StageError(f"{where}, {name}: {said}") from None


def is_declared(plan: Any) -> bool:
    """Whether this has the form of `validate.tuned_for`'s."""
    return (
        isinstance(plan, dict)
        and all(isinstance(plan.get(key), dict) for key in ("objectives", "spec", "teacher"))
        and all(isinstance(options, dict) for options in plan["objectives"].values())
        and (isinstance(plan.get("fraction"), float) or isinstance(plan.get("encoder"), dict))
    )


def run() -> None:
    tuned = Path(stage.read_json(paths.PLAN / "tuning.json", values=str)["values"])
    settled: dict[str, Any] = {}
    students = paths.PLAN / "students.json"
    declarations = stage.read_json(students)
    if not isinstance(declarations, dict) or not all(map(is_declared, declarations.values())):
        raise stage.StageError(f"{students} is not what `validate` writes: {stage.REMEDY}")
    for name, declared in declarations.items():
        found = tuned_values(tuned / f"{name}.json", declared)
        with stage.planned(students):
            teacher = teacher_spec(declared["teacher"])
        plan = {
            **{key: declared[key] for key in MAKES if key in declared},
            "code": student_code(teacher, declared),
            "tuned": bool(found),
        }
        settled[name] = apply(plan, found)
        check(settled[name], tuned / f"{name}.json" if found else students)

    if line := sentence({name: plan["tuned"] for name, plan in settled.items()}):
        print(f"settle: {line}")

    def make(folder: Path) -> None:
        for name, content in settled.items():
            stage.write_json(folder / f"{name}.json", content)

    stage.write_folder(paths.SETTLED, make)
