"""`status`: what is done, runs, failed and why, is stale or is to do, at a glance and at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline import params, paths, stage, status
from pipeline.sources import ROOT
from pipeline.tracking import journal
from pipeline.work import inputs
from pipeline.work.distil import DistilTask
from pipeline.work.score import EvaluateTask
from pipeline.work.teach import TeacherTask
from study.config.grid import Cell
from tests.pipeline.grids import ARCH, cell_names, write_grid, write_resolved
from tests.pipeline.studies import edit

SEEDS = range(4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose teacher is there and scored."""
    monkeypatch.chdir(tmp_path)
    write_grid(tmp_path, seeds=SEEDS)
    place(EvaluateTask(TeacherTask(ARCH), ARCH))
    return tmp_path


def task(name: str) -> DistilTask:
    arch, size, method, seed = name.split("-")
    return DistilTask(Cell(arch, size, method, int(seed[1:])))


def place(made: Any, run: dict[str, Any] | None = None) -> None:
    """A result that is there."""
    made.out.mkdir(parents=True)
    (made.out / "fingerprint").write_text(made.fingerprint + "\n")
    if run is not None:
        stage.write_json(made.out / "run.json", run)


def done(name: str, run: dict[str, Any] | None = None) -> None:
    place(task(name), run or {})
    place(EvaluateTask(task(name), ARCH))


def start(told: journal.Journal, name: str, step: int) -> None:
    told.write(journal.START, cell=name, device="cuda:1", host="elsewhere")
    told.row({"step": step, "loss": 1.0}, 60)


def states() -> dict[str, tuple[str, str]]:
    return {one.name: (one.state, one.why) for one in status.standings()}


def test_every_state_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    none0, fd0, none1, fd1, none2, fd2, none3, fd3 = cell_names(seeds=SEEDS)
    done(none0)
    (paths.RUNS / fd0).mkdir()  # of another declaration
    diverged = {"status": "diverged", "row": {"reason": "the loss is nan"}}
    done(fd1, diverged)
    with journal.writing(task(none2).fingerprint) as told:
        start(told, none2, 20)
        told.fail("ValueError: no such thing")
    with journal.writing(task(fd2).fingerprint) as told:
        start(told, fd2, 20)
        told._file = None  # killed: nothing tells of an end
    with journal.writing(task(none3).fingerprint) as told:
        start(told, none3, 40)
        found = states()
        status.run()
    assert found["clip-teacher"][0] == "done"
    assert found[none0] == ("done", "")
    assert found[fd0] == ("stale", "")
    assert found[none1] == ("to do", "")
    assert found[fd1] == ("diverged", "the loss is nan")
    assert found[none2] == ("failed", f"ValueError: no such thing; log: logs/{none2}.log")
    assert found[fd2] == ("to do", "stopped (step 20 of 60)")
    assert found[none3][0] == "running"
    assert found[none3][1].startswith("step 40 of 60 on cuda:1 of elsewhere, for ")
    assert found[fd3] == ("to do", "")
    out = capsys.readouterr().out
    assert out.startswith("grid: 2 done, 1 diverged, 1 running, 1 failed, 1 stale, 3 to do of 9 models\n")
    for said in (f"running: {none3}: step 40 of 60", f"failed: {none2}: ValueError: no such thing; log: logs/{none2}"):
        assert said in out
    assert f"to do: {none1}, {fd2} (stopped (step 20 of 60)), {fd3}\n" in out


def test_what_params_or_the_code_make_stale_is_stale(folder: Path) -> None:
    names = cell_names(seeds=SEEDS)
    for name in names:
        done(name)
    assert {state for state, _ in states().values()} == {"done"}
    write_resolved(("none", "fd"), tuned={"fd": {"learning_rate": 0.5}})
    found = states()
    assert [found[name][0] for name in names] == ["done", "stale"] * len(SEEDS)
    edit(folder / "params.yaml", {"teachers.clip.training.steps": 7})
    found = states()
    assert found["clip-teacher"][0] == "stale"
    assert found[names[0]] == ("stale", "its teacher is stale")


def test_code_that_changed_since_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths.RESOLVED.touch()
    assert status.changed_since_resolved() == ""
    time.sleep(0.01)
    (Path(params.block("tuning")["values"]) / "clip-half-fd.json").write_text("{}")
    assert "tuning/clip-half-fd.json changed since the last `make repro`" in status.changed_since_resolved()
    paths.RESOLVED.unlink()
    assert "is not there yet: run `make repro`" in status.changed_since_resolved()


def test_nothing_is_made_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for made in (paths.CORPUS, paths.TEACHERS, paths.SCORES, paths.RESOLVED):
        made.rename(f"{made}-away")
    assert {state for state, _ in states().values()} == {"to do"}


def test_it_is_quick_and_loads_no_heavy_library(folder: Path) -> None:
    script = (
        "import sys; from pipeline import status; status.run(); "
        "print([m for m in ('torch', 'transformers', 'mlflow', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": str(ROOT), "PATH": ""}, cwd=folder)  # fmt: skip
    assert done.stdout.endswith("[]\n")


def test_a_teacher_is_read_once_and_again_when_it_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    tree_hash = stage.tree_hash

    def counted(folders: Any) -> str:
        folders = list(folders)
        read.extend(path for path in folders if path.parent == paths.TEACHERS)
        return tree_hash(folders)

    monkeypatch.setattr(stage, "tree_hash", counted)
    done(cell_names()[0])
    read.clear()
    for times in (1, 1, 2):
        inputs._teacher_content.cache_clear()  # as another process
        if times == 2:
            (paths.TEACHERS / ARCH / "model.safetensors").touch()
        assert states()[cell_names()[0]] == ("done", "")
        assert len(read) == times
    assert inputs.NOTED == {}


def test_a_terminal_shows_methods_by_place(folder: Path) -> None:
    from rich.console import Console

    done(cell_names()[0])
    console = Console(width=80, record=True)
    console.print(status.table(status.standings()))
    shown = console.export_text()
    assert "clip half" in shown
    assert "1 done, 3 to do" in shown
