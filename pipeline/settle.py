"""Stage `settle`: the declared methods with the values that tuning found, one plan for all seeds of a cell.

A method that was never tuned keeps what params.yaml declares; its plan says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import paths, stage
from pipeline.tuned import sentence, tuned_values
from pipeline.validate import student_code
from study.published import teacher_spec

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


def run() -> None:
    tuned = Path(stage.read_json(paths.PLAN / "tuning.json")["values"])
    settled: dict[str, Any] = {}
    for name, declared in stage.read_json(paths.PLAN / "students.json").items():
        found = tuned_values(tuned / f"{name}.json", declared)
        teacher = teacher_spec(declared["teacher"])
        plan = {
            **{key: declared[key] for key in MAKES if key in declared},
            "code": student_code(teacher, declared),
            "tuned": bool(found),
        }
        settled[name] = apply(plan, found)

    if line := sentence({name: plan["tuned"] for name, plan in settled.items()}):
        print(f"settle: {line}")

    def make(folder: Path) -> None:
        for name, content in settled.items():
            stage.write_json(folder / f"{name}.json", content)

    stage.write_folder(paths.SETTLED, make)
