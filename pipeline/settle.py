"""Stage `settle`: the declared methods with the values that tuning found, one plan for all seeds of a cell.

A method that was never tuned keeps what params.yaml declares; its plan says so.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pipeline import paths, stage
from pipeline.sources import ROOT, code_hash
from pipeline.validate import REGISTRIES
from study.objectives import objective
from study.towers import FAMILIES


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


def student_code(family: str, objectives: list[str]) -> str:
    """The code that makes a student of that family by those objectives."""
    roots = ["study.distillation", FAMILIES[family].partition(":")[0], *(objective(n).__module__ for n in objectives)]
    return code_hash(roots, data=[ROOT / "study" / "towers" / "configs"], without=REGISTRIES)


def main(tuned: Path) -> None:
    with stage.main("settle"):
        grid, students = (stage.read_json(paths.PLAN / f"{name}.json") for name in ("grid", "students"))
        settled: dict[str, Any] = {}
        for arch in grid["archs"]:
            family = stage.read_json(paths.PLAN / f"teacher-{arch}.json")["spec"]["family"]
            for method in grid["methods"]:
                objectives = students["methods"][method]
                file = tuned / f"{arch}-{method}.json"
                found = stage.read_json(file)["best"] if file.is_file() else {}
                for size in grid["sizes"]:
                    plan = {
                        "fraction": students["sizes"][size],
                        "objectives": objectives,
                        "spec": students["spec"],
                        "code": student_code(family, list(objectives)),
                        "tuned": bool(found),
                    }
                    settled[f"{arch}-{size}-{method}"] = apply(plan, found)

        def make(folder: Path) -> None:
            for name, content in settled.items():
                stage.write_json(folder / f"{name}.json", content)

        stage.write_folder(paths.SETTLED, make)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
