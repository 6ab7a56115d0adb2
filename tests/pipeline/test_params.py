"""What a stage may read: the keys that dvc.yaml names for it, and those alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline import params, stage
from pipeline.sources import ROOT
from study.config.params import Params
from tests.pipeline import studies

GRID = {"archs": ["clip"], "sizes": ["half"], "methods": ["none", "fd"], "seeds": [0]}
BLOCKS = {
    "study": {"name": "tiny"},
    "grid": GRID,
    "students": {"training": {"steps": 4}},
    "sizes": {"half": 0.5},
    "methods": {"fd": {"fd": {"weight": 1.0}}, "none": {"task": {}}},
    "evaluation": {},
}
RESOLVED = {
    "contents": {"sizes": {"half": None}},
    "tuned": {"clip": {"half": {"fd": {"fd.weight": 2.0}, "none": {}}}},
    "code": {"student": {"clip": {"half": {"fd": "a", "none": "b"}}}, "evaluate": "c"},
}
FD = {"arch": "clip", "size": "half", "method": "fd", "seed": 0}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    studies.declare(tmp_path, BLOCKS, RESOLVED)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_stage_is_given_the_keys_of_its_place_in_the_matrix(study: Path) -> None:
    values = params.of_stage("student", **FD)
    assert values["methods.fd"] == {"fd": {"weight": 1.0}}
    assert values["tuned.clip.half.fd"] == {"fd.weight": 2.0}
    assert values["contents.sizes.half"] is None
    assert "methods.none" not in values
    with pytest.raises(stage.StageError, match=r"stage student reads methods.none, which is not among its params; did"):
        values["methods.none"]


def test_every_key_of_dvc_yaml_is_one_of_params_yaml_or_resolved_json() -> None:
    sections = {"readers", "layers", "contents", "tuned", "code"}
    for name, declared in YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"].items():
        for entry in declared["params"]:
            file, keys = next(iter(entry.items())) if isinstance(entry, dict) else ("params.yaml", [entry])
            known = set(Params.model_fields) if file == "params.yaml" else sections
            assert all(key.split(".")[0] in known for key in keys or ()), name


def test_a_key_that_is_missing_is_named_with_its_file(study: Path) -> None:
    studies.declare(study, {name: block for name, block in BLOCKS.items() if name != "students"}, RESOLVED)
    with pytest.raises(stage.StageError, match=r"params\.yaml has no students: `small-polyglots check` says"):
        params.of_stage("student", **FD)
    studies.declare(study, BLOCKS, {**RESOLVED, "tuned": {"clip": {"half": {}}}})
    with pytest.raises(stage.StageError, match=r"resolved\.json has no tuned\.clip\.half\.none: run `dvc repro`"):
        params.of_stage("student", **{**FD, "method": "none"})
    with pytest.raises(stage.StageError, match="has no stage students"):
        params.of_stage("students")


def test_values_that_change_while_a_stage_runs_fail_it(study: Path) -> None:
    with params.unchanged():
        params.of_stage("student", **FD)
        studies.edit(study / "params.yaml", {"methods.none": {"task": {"weight": 2.0}}})  # of no concern to it

    def run() -> None:
        with params.unchanged():
            params.of_stage("student", **FD)
            studies.edit(study / "params.yaml", {"methods.fd": {"fd": {"weight": 3.0}}})

    with pytest.raises(stage.StageError, match=r"^methods\.fd changed while the stage student ran"):
        run()


def test_a_block_with_defaults_may_be_left_out(study: Path) -> None:
    assert params.block("execution") == {}
    assert params.grid().cells == ["clip-half-none-s0", "clip-half-fd-s0"]
    assert params.grid().teachers == ["clip-teacher"]


def test_a_folder_without_a_dvc_yaml_has_the_stages_of_this_version(study: Path) -> None:
    (study / "dvc.yaml").unlink()
    assert params.of_stage("student", **FD)["sizes.half"] == 0.5
