"""`make check`: quick, one line for each fault, nothing of params.yaml in a shell, and a summary at the end."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline import __main__ as command
from pipeline import needs, validate
from pipeline.sources import ROOT
from pipeline.tuned import sentence, untuned
from study.config.check import load
from study.config.params import read
from tests.pipeline.studies import call, edit

SMOKE = ROOT / "studies" / "smoke" / "params.yaml"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The smoke study in a folder of its own, carried out by this tree."""
    (tmp_path / "params.yaml").write_text(SMOKE.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "tuning").mkdir()
    edit(tmp_path / "params.yaml", {"root": str(ROOT)})
    return tmp_path


def check(folder: Path) -> tuple[int, list[str]]:
    done = call(ROOT, folder, "pipeline", "check")
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_it_ends_with_what_the_study_is_and_takes(study: Path) -> None:
    status, lines = check(study)
    assert status == 0
    assert lines[0] == (
        "smoke: 12 students (2 architectures x 1 size x 3 methods x 2 seeds) of 2 teachers, 2 of them trained here"
    )
    assert all(unit in lines[1] for unit in (" min of training", "MB of disk", "GB of memory"))


def test_it_needs_neither_torch_nor_a_second_of_a_core(study: Path) -> None:
    script = (
        "import sys\nfrom pipeline.__main__ import check\ncheck()\n"
        "print([m for m in ('torch', 'transformers', 'open_clip', 'mlflow') if m in sys.modules])"
    )
    check(study)  # a first run compiles the modules
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", script], cwd=study, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.splitlines()[-1] == "[]"
    # 0.8 s where it was measured; a machine may be three times as slow.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.5


FAULTS: Mapping[str, Mapping[str, Any]] = {
    "an objective that there is not": {"methods.x": {"nothing": {}}},
    "a method that is not declared": {"grid.methods": ["none", "fd", "nine"]},
    "a corpus that there is not": {"corpus.name": "emojis"},
    "a corpus that is no mapping": {"corpus": 3},
    "no fitting block": {"corpus.settings.kinds": {"what": 0.0, "pair": 0.0, "order": 0.0, "count": 0.0}},
    "a root elsewhere": {"root": "../nowhere"},
    "a folder that is not there": {"tuning.values": "other"},
    "a folder of the study's own": {"tuning.values": "plan"},
}


@pytest.mark.parametrize("changes", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_in_lines_and_nothing_is_said_to_be_well(study: Path, changes: Mapping[str, Any]) -> None:
    edit(study / "params.yaml", changes)
    status, lines = check(study)
    assert status == 1
    assert lines
    assert all("params.yaml: " in line for line in lines), lines


def test_faults_of_several_kinds_are_named_at_once(study: Path) -> None:
    edit(study / "params.yaml", {"methods.x": {"nothing": {}}, "corpus.name": "emojis", "tuning.values": "other"})
    status, lines = check(study)
    assert status == 1
    assert len(lines) == 3


def test_an_undeclared_method_of_a_study_of_published_teachers_is_one_line(study: Path) -> None:
    (study / "params.yaml").write_text((ROOT / "studies/paper/params.yaml").read_text("utf-8"), "utf-8")
    methods = list(read(study / "params.yaml").grid.methods)
    edit(study / "params.yaml", {"root": str(ROOT), "grid.methods": [*methods, "nine"]})
    status, lines = check(study)
    assert status == 1
    assert any("unknown method 'nine'" in line for line in lines)


def test_a_fault_of_the_program_is_one_line_as_well(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(params: object) -> None:
        raise KeyError("something")

    monkeypatch.chdir(study)
    monkeypatch.setattr(validate, "told", broken)
    with pytest.raises(SystemExit) as ended:
        command.check()
    assert "KeyError: 'something' (in test_check.py, line" in str(ended.value)
    assert len(str(ended.value).splitlines()) == 1


def test_a_folder_in_place_of_params_yaml_and_a_file_that_cannot_be_decoded(study: Path) -> None:
    (study / "params.yaml").write_bytes(b"a: \xff\xfe")
    assert check(study) == (1, ["check: params.yaml: is not UTF-8 (line 1, byte 0xff): save it as UTF-8"])
    (study / "params.yaml").unlink()
    (study / "params.yaml").mkdir()
    status, lines = check(study)
    assert status == 1
    assert len(lines) == 1


def test_no_command_of_dvc_holds_a_value_that_is_free_text() -> None:
    """Into commands go names and seeds of the grid only, whose pattern has no character that a shell knows."""
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    for name, stage in stages.items():
        inserted = [part.split("}")[0] for part in stage["cmd"].split("${")[1:]]
        assert all(part.startswith("item.") for part in inserted), name
        assert set(stage.get("matrix", {}).values()) <= {
            "${grid.archs}", "${grid.sizes}", "${grid.methods}", "${grid.seeds}",
        }  # fmt: skip


def test_dvc_reads_a_study_with_every_default_left_out(study: Path) -> None:
    from dvc.parsing import DataResolver
    from dvc.repo import Repo

    raw = YAML(typ="safe", pure=True).load(study / "params.yaml")
    for block in ("execution", "evaluation", "embedding"):
        raw.pop(block, None)
    with (study / "params.yaml").open("w") as file:
        YAML().dump(raw, file)
    load(study / "params.yaml")
    declared = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")
    with Repo.init(str(study), no_scm=True) as repo:
        resolved = DataResolver(repo, str(study), declared).resolve()["stages"]
    assert "student@0-clip-half-none" in resolved


def tuned(methods: Mapping[str, bool], sizes: tuple[str, ...] = ("half", "quarter")) -> dict[str, bool]:
    return {f"clip-{size}-{method}": done for size in sizes for method, done in methods.items()}


def test_what_is_untuned_is_named_by_its_level() -> None:
    assert untuned(tuned({"none": True, "fd": True})) == []
    assert untuned(tuned({"none": False, "fd": False})) == []
    assert untuned(tuned({"none": True, "fd": True, "new": False})) == [("method", "new")]
    assert untuned(tuned({"none": True, "fd": True}) | tuned({"none": False, "fd": False}, ("eighth",))) == [
        ("size", "eighth")
    ]
    assert untuned(tuned({"none": True, "fd": True}) | {"clip-half-fd": False}) == [("cell", "clip-half-fd")]


def test_a_method_without_tuned_values_beside_tuned_ones_is_named_by_the_check(study: Path) -> None:
    params = read(study / "params.yaml")
    for arch in params.grid.archs:
        for method in ("none", "fd"):
            declared = validate.tuned_for(params, arch, "half", method)
            found = {"declared": declared, "best": {"learning_rate": 0.01}}
            (study / "tuning" / f"{arch}-half-{method}.json").write_text(json.dumps(found))
    other = next(method for method in params.grid.methods if method not in ("none", "fd"))
    status, lines = check(study)
    assert status == 0
    assert lines[-1].startswith(f"not tuned, and compared with cells that are: method {other};")


def test_a_broken_file_of_tuned_values_is_named(study: Path) -> None:
    (study / "tuning" / "clip-half-none.json").write_text("[1, 2]")
    status, lines = check(study)
    assert status == 1
    assert lines == ["check: tuning/clip-half-none.json is not what `make tune` writes: remove it, or tune again"]


def test_nothing_is_said_where_nothing_is_tuned() -> None:
    assert sentence({}) == ""
    assert sentence({"a-b-c": False}) == ""


def test_the_time_told_is_that_of_the_default_study() -> None:
    """docs/performance.md: 608 s of teachers and 1,280 s of students, on two cores."""
    params = load(ROOT / "params.yaml")
    flops = 0.0
    for arch in params.grid.archs:
        spec = params.teachers[arch]
        about = needs.about(spec)
        assert about is not None
        assert not isinstance(spec, validate.PretrainedSpec)
        flops += needs.cost(params, about).flops + needs.teaching(spec, about).flops
    assert flops / needs.CORE / 2 == pytest.approx(608 + 1280, rel=0.5)
