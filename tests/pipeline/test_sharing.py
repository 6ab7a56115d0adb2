"""A study of one's own, its data under DVC, pushed to a remote folder, pulled and continued by a colleague's clone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipeline.sources import ROOT
from tests import documented, miniature
from tests.pipeline.studies import call, copy_tree, edit, git, run

STUDY = Path("studies/mine")
TARGETS = (f"{STUDY}/dvc.yaml", f"{STUDY}/data.dvc")


def students(output: str) -> list[str]:
    """Students that were run, as `seed-arch-size-method`."""
    started = f"Running stage '{STUDY}/dvc.yaml:student@"
    return [line.removeprefix(started).rstrip("':") for line in output.splitlines() if line.startswith(started)]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with the tutorial's study, its images and its teacher under DVC, as far as it goes without running."""
    clone = tmp_path_factory.mktemp("mine")
    copy_tree(clone)
    shutil.copy(ROOT / ".gitignore", clone)
    run(clone, clone, "pipeline", "new", str(STUDY))
    documented.apply("tutorials/own.md", clone)
    (declared,) = (block.text for block in documented.blocks("tutorials/own.md") if block.language == "yaml")
    (clone / STUDY / "params.yaml").write_text(declared, encoding="utf-8")
    subprocess.run((sys.executable, "draw.py"), cwd=clone / STUDY, check=True)
    miniature.checkpoint("open_clip_xlm_roberta", clone / STUDY / "data" / "teacher")
    changes = {"grid.methods": ["none", "fd"], "grid.seeds": [0, 1], "students.training.steps": 4}
    edit(clone / STUDY / "params.yaml", {**changes, "teachers.clip.checkpoint": "data/teacher"})
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "a study of my own")
    return clone


@pytest.mark.timeout(600)
def test_a_colleague_pulls_the_study_and_goes_on(mine: Path, tmp_path: Path) -> None:
    remote, theirs = tmp_path / "remote", tmp_path / "theirs"
    run(mine, mine, "dvc", "remote", "add", "-d", "shared", str(remote))
    run(mine, mine, "dvc", "add", f"{STUDY}/data")
    first = run(mine, mine, "dvc", "repro", TARGETS[0])
    assert len(students(first)) == 4
    git(mine, "add", "-A")
    git(mine, "add", "-f", f"{STUDY}/data.dvc")
    git(mine, "commit", "-qm", "results")
    run(mine, mine, "dvc", "push", *TARGETS)

    subprocess.run(("git", "clone", "-q", str(mine), str(theirs)), check=True)
    run(theirs, theirs, "dvc", "pull", *TARGETS)
    assert (theirs / STUDY / "report" / "report.html").read_bytes() == (
        mine / STUDY / "report" / "report.html"
    ).read_bytes()
    assert not (theirs / "corpus").exists(), "other studies stay where they are"

    assert students(run(theirs, theirs, "dvc", "repro", TARGETS[0])) == []
    git(theirs, "diff", "--exit-code", "HEAD")
    edit(theirs / STUDY / "params.yaml", {"grid.seeds": [0, 1, 2]})
    further = run(theirs, theirs, "dvc", "repro", TARGETS[0])
    assert sorted(students(further)) == ["2-clip-most-fd", "2-clip-most-none"]
    before, after = (pd.read_parquet(clone / STUDY / "results" / "retrieval.parquet") for clone in (mine, theirs))
    kept = after[after["cell"].isin(before["cell"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)


def test_the_same_computation_writes_the_same_lock_anywhere(mine: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    subprocess.run(("git", "clone", "-q", str(mine), str(elsewhere)), check=True)
    shutil.copytree(mine / STUDY / "data", elsewhere / STUDY / "data")
    assert len(students(run(elsewhere, elsewhere, "dvc", "repro", TARGETS[0]))) == 4
    git(elsewhere, "diff", "--exit-code", "HEAD")


def test_a_study_may_be_a_repository_of_its_own(tmp_path: Path) -> None:
    refused = call(ROOT, tmp_path, "pipeline", "new", "mine")
    assert refused.returncode == 1
    assert "run `git init` and `dvc init` there first" in refused.stderr
    git(tmp_path, "init", "-q")
    run(ROOT, tmp_path, "dvc", "init", "-q")
    assert run(ROOT, tmp_path, "pipeline", "new", "mine").strip() == "cd mine && dvc repro"
    study = tmp_path / "mine"
    assert "12 students" in run(ROOT, study, "pipeline", "check")
    edit(study / "params.yaml", {"corpus.settings.scenes": {"teacher": 30, "distil": 30, "validation": 12, "test": 12}})
    edit(study / "params.yaml", {"corpus.settings.questions": {"validation": 8, "test": 12}})
    made = run(ROOT, study, "dvc", "repro", "prepare")
    assert "Running stage 'prepare'" in made
    assert (study / "corpus" / "corpus.json").is_file()
    assert (tmp_path / ".dvc" / "plots" / "tradeoff.json").is_file()
    again = call(ROOT, tmp_path, "pipeline", "new", "mine")
    assert again.returncode == 1
    assert "params.yaml is there already: choose another folder" in again.stderr
    for name in ("My-Study", "a.b"):
        wrong = call(ROOT, tmp_path, "pipeline", "new", name)
        assert wrong.returncode == 1
        assert f"{name!r} cannot be the name of a study" in wrong.stderr


def test_the_templates_are_those_of_the_studies_here() -> None:
    template = ROOT / "pipeline" / "template"
    assert (template / "stages.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()
    plots = sorted((ROOT / ".dvc" / "plots").glob("*.json"))
    assert [plot.name for plot in plots] == [plot.name for plot in sorted((template / "plots").glob("*.json"))]
    assert all(plot.read_bytes() == (template / "plots" / plot.name).read_bytes() for plot in plots)
