"""A plan's code hash covers what carries the plan out, and nothing that does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import validate
from pipeline.sources import ROOT, closure
from study.config.check import load


@pytest.fixture(scope="module")
def files() -> dict[str, set[str]]:
    """Of each plan with a code hash: the files that are hashed."""

    def listed(modules: Any, data: Any = (), without: Any = ()) -> list[str]:
        return [path.relative_to(ROOT).as_posix() for path in (*closure(modules, without), *map(Path, data))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validate, "code_hash", listed)
        plans = validate.plans(load(ROOT / "params.yaml"))
        plans["student"] = {"code": validate.student_code(load(ROOT / "params.yaml").teachers["clip"], STUDENT)}
    return {name: set(plan["code"]) for name, plan in plans.items() if "code" in plan}


STUDENT = {"fraction": 0.5, "objectives": {"ed": {}}}
TRAINED = ("teacher-clip", "embed-clip", "student", "tune-clip-half-ed")


@pytest.mark.parametrize(
    ("file", "plans"),
    [
        ("pipeline/work/score.py", {"evaluation"}),
        ("pipeline/work/teach.py", {"teacher-clip"}),
        ("pipeline/work/distil.py", {"student"}),
        ("pipeline/embed.py", {"embed-clip"}),
        ("pipeline/tune.py", {"tune-clip-half-ed"}),
        ("pipeline/work/run_files.py", {"teacher-clip", "student"}),
        ("pipeline/work/inputs.py", {*TRAINED, "evaluation"}),
        ("study/eval/retrieval.py", {"evaluation", "tune-clip-half-ed"}),
        ("study/models/shrink.py", {"teacher-clip", "student", "tune-clip-half-ed"}),
        ("study/eval/fragmentation.py", {"teacher-clip", "student"}),
        ("study/objectives/ed.py", {"student", "tune-clip-half-ed"}),
        ("study/objectives/sd.py", set()),
        ("study/models/open_clip/clip.py", {*TRAINED}),
        ("study/models/open_clip/model.py", {*TRAINED}),
        ("study/models/siglip/siglip2.py", set()),
        ("study/models/checkpoint.py", {*TRAINED, "evaluation"}),
        ("study/config/params.py", set()),
    ],
)
def test_a_file_is_hashed_by_the_plans_that_it_carries_out(
    file: str, plans: set[str], files: dict[str, set[str]]
) -> None:
    assert (ROOT / file).is_file()
    looked_at = {*TRAINED, "evaluation"}
    assert {name for name in looked_at if file in files[name]} == plans
