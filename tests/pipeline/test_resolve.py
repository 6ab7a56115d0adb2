"""A stage's code hash covers what carries it out, and nothing that does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import resolve
from pipeline.sources import ROOT, closure
from study.config.check import load


@pytest.fixture(scope="module")
def files() -> dict[str, set[str]]:
    """Of each stage with a code hash: the files that are hashed."""

    def listed(modules: Any, data: Any = (), without: Any = ()) -> list[str]:
        return [path.relative_to(ROOT).as_posix() for path in (*closure(modules, without), *map(Path, data))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolve, "code_hash", listed)
        params = load(ROOT / "params.yaml")
        code = resolve.resolved(params)["code"]
        found = {
            "evaluate": code["evaluate"],
            "teacher": code["teacher"]["clip"],
            "embed": code["embed"]["clip"],
            "student": code["student"]["clip"]["half"]["ed"],
            "tune": resolve.tuning_code(params, "clip", "half", "ed"),
        }
    return {name: set(hashed) for name, hashed in found.items()}


TRAINED = ("teacher", "embed", "student", "tune")


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("pipeline/work/score.py", {"evaluate"}),
        ("pipeline/work/teach.py", {"teacher"}),
        ("pipeline/work/distil.py", {"student"}),
        ("pipeline/embed.py", {"embed"}),
        ("pipeline/tune.py", {"tune"}),
        ("pipeline/work/run_files.py", {"teacher", "student"}),
        ("pipeline/work/inputs.py", {*TRAINED, "evaluate"}),
        ("study/eval/retrieval.py", {"evaluate", "tune"}),
        ("study/models/shrink.py", {"teacher", "student", "tune"}),
        ("study/eval/fragmentation.py", {"teacher", "student"}),
        ("study/objectives/ed.py", {"student", "tune"}),
        ("study/objectives/sd.py", set()),
        ("study/models/open_clip/clip.py", {*TRAINED}),
        ("study/models/open_clip/model.py", {*TRAINED}),
        ("study/models/siglip/siglip2.py", set()),
        ("study/models/checkpoint.py", {*TRAINED, "evaluate"}),
        ("study/config/params.py", set()),
    ],
)
def test_a_file_is_hashed_for_the_stages_that_it_carries_out(
    file: str, stages: set[str], files: dict[str, set[str]]
) -> None:
    assert (ROOT / file).is_file()
    looked_at = {*TRAINED, "evaluate"}
    assert {name for name in looked_at if file in files[name]} == stages
