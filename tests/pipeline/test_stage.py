"""Folders are whole or not there; plans follow the code; errors are one line."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import sources, stage
from study import files


def test_a_folder_is_made_once_and_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder, calls = stage.scratch("kind", "key"), []

    def maker(where: Path) -> None:
        calls.append(where)
        (where / "a.txt").write_text("a")

    stage.make(folder, maker)
    stage.make(folder, maker)
    assert len(calls) == 1
    stage.adopt(folder, Path("out"))
    assert [p.name for p in Path("out").iterdir()] == ["a.txt"]
    assert not folder.exists()


def test_what_is_delivered_is_kept_until_the_scratch_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, out = stage.scratch("kind", "key"), Path("outs") / "one"

    def maker(where: Path) -> None:
        (where / "a.txt").write_text("a")

    stage.make(folder, maker)
    stage.deliver(folder, out)
    (out / "stale.txt").touch()
    stage.deliver(folder, out)
    assert [p.name for p in out.iterdir()] == ["a.txt"]
    assert [p.name for p in out.parent.iterdir()] == ["one"]
    assert (out / "a.txt").samefile(folder / "a.txt")
    assert stage.is_done(folder)
    stage.clear_scratch("kind", ["another"])
    assert folder.exists()
    stage.clear_scratch("kind", ["another", "key"])
    assert not folder.exists()
    with pytest.raises(stage.StageError, match="not finished"):
        stage.deliver(folder, out)


def test_an_orphan_ends_before_it_works(tmp_path: Path) -> None:
    script = tmp_path / "stage.py"
    script.write_text(
        "import sys, time\nfrom pathlib import Path\nfrom pipeline import stage\nPath('started').touch()\n"
        "sys.stdin.read()\ntime.sleep(0.5)\nwith stage.main('orphan'):\n    Path('worked').touch()\n"
    )
    # The parent ends once the child has begun; the child goes on a moment after the pipe closes with that end.
    parent = (
        "import subprocess, sys, time\nfrom pathlib import Path\n"
        "child = subprocess.Popen([sys.executable, 'stage.py'], stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "while not Path('started').exists(): time.sleep(0.01)"
    )
    env = os.environ | {"PYTHONPATH": str(sources.ROOT), "MAKELEVEL": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", parent], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    for _ in range(600):
        if not Path(f"/proc/{ran.stdout.strip()}").exists():
            break
        time.sleep(0.05)
    assert (tmp_path / "started").exists()
    assert not (tmp_path / "worked").exists()
    assert "the process that started this one has ended" in ran.stderr


def test_a_maker_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    (Path("out") / "old").touch()

    def maker(where: Path) -> None:
        (where / "half").touch()
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        stage.write_folder(Path("out"), maker)
    assert [p.name for p in Path("out").iterdir()] == ["old"]
    assert [p for p in stage.SCRATCH.rglob("*") if p.is_file()] == []
    with pytest.raises(stage.StageError, match="not finished"):
        stage.adopt(stage.scratch("out", "never"), Path("out"))


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "die_with_parent", lambda: None)
    with pytest.raises(SystemExit, match="no space left"), stage.main("prepare"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(SystemExit, match="prepare: what was wrong"), stage.main("prepare"):
        raise stage.StageError("what was wrong")
    with pytest.raises(KeyError), stage.main("prepare"):
        raise KeyError("a fault of ours keeps its traceback")


def test_a_full_disk_is_told_whoever_meets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(".")._replace(free=100)
    error = RuntimeError("PytorchStreamWriter failed writing file")
    assert not stage.out_of_space(error)
    monkeypatch.setattr("pipeline.stage.shutil.disk_usage", lambda path: full)
    assert stage.out_of_space(error)


def test_what_a_dead_process_left_half_made_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here, gone = files.host(), 2**22 + 1
    dead, alive, elsewhere = (
        stage.SCRATCH / "kind" / f"key.{owner}.tmp"
        for owner in (f"{here}.{gone}", f"{here}.{os.getpid()}", f"{here}-2.{gone}")
    )
    beside, theirs = (tmp_path / "runs" / f".cell.{host}.{gone}.tmp" for host in (here, "another"))
    for folder in (dead, alive, elsewhere, beside, theirs):
        folder.mkdir(parents=True)
    stage.sweep(Path("runs"), Path("scores"))
    assert not dead.exists()
    assert not beside.exists()
    assert alive.exists()
    assert elsewhere.exists()
    assert theirs.exists()


def test_names_of_what_is_being_written_say_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "node7.cluster.example")
    name = files.beside(Path("a") / "b.json", hidden=True)
    assert name == Path("a") / f".b.json.node7-cluster-example.{os.getpid()}.tmp"
    assert files.owner(name) == ("node7-cluster-example", os.getpid())
    assert [files.owner(Path(other)) for other in ("a.tmp", "7.tmp", "a.7.tmp", "a.b.c.tmp", "a.b.7.temp")] == [
        None
    ] * 5


def test_the_same_folder_made_twice_at_once_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = stage.scratch("kind", "key")

    def maker(where: Path) -> None:
        (where / "a.txt").write_text("second")
        folder.mkdir()
        (folder / "a.txt").write_text("first")
        (folder / stage.DONE).touch()

    stage.make(folder, maker)
    assert (folder / "a.txt").read_text() == "first"
    assert [path.name for path in folder.parent.iterdir()] == ["key"]


def test_json_that_is_not_whole_is_named(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"a": ')
    with pytest.raises(stage.StageError, match="no whole JSON"):
        stage.read_json(tmp_path / "half.json")
    with pytest.raises(stage.StageError, match="is not there"):
        stage.read_json(tmp_path / "none.json")


def test_the_closure_follows_imports_and_stops_at_registries() -> None:
    files = {path.relative_to(sources.ROOT).as_posix() for path in sources.closure(["study.objectives.sd"])}
    assert {"study/objectives/sd.py", "study/objectives/ed.py", "study/objectives/base.py"} <= files
    assert "study/objectives/dr.py" not in files
    through = {path.name for path in sources.closure(["study.objectives.weighted_loss"])}
    assert {"dr.py", "base.py"} <= through
    stopped = {path.name for path in sources.closure(["study.objectives.weighted_loss"], without=["study.objectives"])}
    assert "base.py" in stopped
    assert "dr.py" not in stopped


def test_the_code_hash_changes_with_the_code_it_covers_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "study"
    package.mkdir()
    (package / "a.py").write_text("from study.b import x\n")
    (package / "b.py").write_text("x = 1\n")
    (package / "c.py").write_text("y = 1\n")
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    first = sources.code_hash(["study.a"])
    (package / "c.py").write_text("y = 2\n")
    assert sources.code_hash(["study.a"]) == first
    (package / "b.py").write_text('"""What it is."""\n\nx = (\n    1  # why\n)\n"""Of x."""\n')
    assert sources.code_hash(["study.a"]) == first
    (package / "b.py").write_text('x = Field(1, description="a")\n')
    described = sources.code_hash(["study.a"])
    (package / "b.py").write_text('x = Field(1, description="b")\n')
    assert sources.code_hash(["study.a"]) == described
    (package / "b.py").write_text('x = Field(2, description="b")\n')
    assert sources.code_hash(["study.a"]) != described
    (package / "b.py").write_text("x = 2\n")
    assert sources.code_hash(["study.a"]) != first


def test_threads_are_limited_in_linear_algebra_too() -> None:
    code = (
        "from pipeline import stage; stage.limit_threads(1); import torch; from threadpoolctl import threadpool_info;"
        "print(torch.get_num_threads(), {pool['num_threads'] for pool in threadpool_info()})"
    )
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], env=free, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 {1}"


def test_what_a_terminal_cannot_show_is_escaped_and_long_errors_are_cut() -> None:
    assert stage.told("image i\x00.png,\x1b[31m row 3\nsays \u05d0\u05ea \u202e") == (
        "image i\\x00.png,\\x1b[31m row 3\nsays \u05d0\u05ea \\u202e"
    )
    assert len(stage.told("x" * 5000)) == stage.LETTERS
    assert stage.told("a\n" * 5000).splitlines()[-1] == "... and 4900 lines more"


def test_a_file_of_another_stage_that_lacks_a_key_is_named(tmp_path: Path) -> None:
    stage.write_json(tmp_path / "grid.json", {"cells": "all"})
    with pytest.raises(stage.StageError, match=r"grid\.json: cells, teachers missing, or no value that a stage writes"):
        stage.read_json(tmp_path / "grid.json", cells=list, teachers=list)
