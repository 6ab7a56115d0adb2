"""Without a shared folder: what one machine made is found by another that has fetched it from DVC's remote."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pipeline import part, stage
from pipeline.recall import cache, dvc, fetched, recalled
from pipeline.sources import ROOT
from study.config.grid import Cell
from tests.pipeline import studies
from tests.pipeline.trainings import STEPS, Training, carry, result, steps

STAGES = """
stages:
  training:
    matrix: {label: [a, b]}
    cmd: python -m tests.pipeline.trainings stage ${item.label} 0
    deps: [corpus]
    outs: ["out/${item.label}"]
"""


def git(folder: Path, *command: str) -> None:
    author = ("-c", "user.name=Tests", "-c", "user.email=tests@example.org")
    subprocess.run(["git", *author, *command], cwd=folder, check=True, capture_output=True)


def at(folder: Path, *command: str) -> str:
    """What a command of DVC printed in a folder, where this tree's code is found."""
    return studies.run(ROOT, folder, "dvc", *command)


def test_a_machine_takes_what_another_has_pushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, remote = tmp_path / "one", tmp_path / "two", tmp_path / "remote"
    (one / "corpus").mkdir(parents=True)
    (one / "corpus" / "captions.txt").write_text("two clones share nothing but a remote")
    (one / ".dvc").mkdir()
    (one / ".dvc" / "config").write_text(
        f"[core]\n    analytics = false\n    remote = folder\n['remote \"folder\"']\n    url = {remote}\n"
    )
    (one / "dvc.yaml").write_text(STAGES)
    (one / ".gitignore").write_text(".scratch\n*.steps\n")
    git(one, "init", "-q")
    at(one, "add", "corpus")
    git(one, "add", "--all")
    git(one, "commit", "-q", "-m", "Declared")
    at(one, "push")
    git(tmp_path, "clone", "-q", str(one), str(two))

    at(two, "pull", "--run-cache", "--allow-missing")
    assert (two / "corpus" / "captions.txt").is_file()
    monkeypatch.chdir(two)
    assert part.stage_of(Training("a", 0), ("training",), dvc("stage", "list", "--name-only").split()) == "training@a"
    carry("a", "0")
    made = result("a")
    at(two, "repro", "--single-item", "training@a")
    at(two, "push", "--run-cache")

    monkeypatch.chdir(one)
    tasks = [Training("a", 0), Training("a", 1), Training("b", 0)]
    assert recalled(tasks) == []
    assert fetched(tasks) == ["a"]
    assert [stage.is_done(task.folder) for task in tasks] == [True, False, False]
    assert result("a") == made
    assert "is cached - skipping run" in at(one, "repro", "training@a")
    assert not Path("a.steps").exists(), "nothing was trained here"
    assert (one / "out" / "a" / "model.safetensors").read_bytes() == made["model.safetensors"]
    assert steps_at(two)[-1] == STEPS

    found = cache()
    assert found is not None
    (weights,) = [path for path in found.glob("files/md5/*/*") if path.read_bytes() == made["model.safetensors"]]
    weights.unlink()
    subprocess.run(["rm", "-rf", ".scratch"], check=True)
    assert recalled(tasks, found) == [], "a record without all of its files is nothing"


def steps_at(folder: Path) -> list[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return steps("a")


def test_parts_and_stages_are_found() -> None:
    assert part.parsed("2/3") == (2, 3)
    for wrong in ("0/3", "4/3", "2", "a/b", "1/0"):
        with pytest.raises(stage.StageError, match="is no part: write 2/3"):
            part.parsed(wrong)

    names = ["validate", "teacher@clip", "evaluate@clip", "student@0-clip-half-none", "student@10-clip-half-none"]
    training = Training(Cell("clip", "half", "none", 10).name, 0)
    assert part.stage_of(training, ("student", "evaluate"), names) == "student@10-clip-half-none"
    assert part.stage_of(Training("clip-teacher", 0), ("student", "evaluate"), names) == "evaluate@clip"
    assert part.stage_of(Training("clip-teacher", 0), ("teacher",), names) == "teacher@clip"
    assert part.stage_of(Training("siglip2-teacher", 0), ("teacher",), names) is None
