"""Stage `settle`: the declared methods with the values that tuning found, one plan for all seeds of a cell.

A method that was never tuned keeps what params.yaml declares; its plan says so.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline import paths, stage
from pipeline.validate import student_code
from study.distillation import StudentSpec
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


def completed(declared: dict[str, Any]) -> dict[str, Any]:
    """A declaration with the defaults of options that were added after it was written: they change nothing."""
    try:
        students, teacher = StudentSpec.model_validate(declared["spec"]), teacher_spec(declared["teacher"])
    except (KeyError, ValidationError):
        return declared
    return {**declared, "spec": students.model_dump(), "teacher": teacher.model_dump()}


def tuned_values(file: Path, declared: dict[str, Any]) -> dict[str, Any]:
    """The values that tuning found for this very declaration, or none, and it says so."""
    if not file.is_file():
        return {}
    found = stage.read_json(file)
    then = completed(found["declared"])
    differ = [key for key, value in declared.items() if then.get(key) != value]
    if differ:
        print(f"settle: {file} was tuned for another declaration ({', '.join(differ)} differ) and is not used")
        return {}
    best: dict[str, Any] = found["best"]
    return best


def main(tuned: Path) -> None:
    with stage.main("settle"):
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

        def make(folder: Path) -> None:
            for name, content in settled.items():
                stage.write_json(folder / f"{name}.json", content)

        stage.write_folder(paths.SETTLED, make)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
