"""What DVC restores without looking into it is compared with what it recorded."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from pipeline import paths, pool, recorded, stage
from pipeline.carry import carry_out
from tests.pipeline import studies
from tests.pipeline.grids import write_grid
from tests.pipeline.studies import git, run
from tests.pipeline.test_command_line import call
from tests.pipeline.test_pool import Fake

DVC_YAML = """
stages:
  train:
    cmd: mkdir -p runs/a/b && echo '{}' > runs/a/run.json && echo weights > runs/a/b/model && echo one > stamp
    deps: [declared]
    outs: [runs/a, stamp]
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which DVC has run a stage."""
    git(tmp_path, "init", "-q")
    run(tmp_path, tmp_path, "dvc", "init", "-q")
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "declared").write_text("this")
    run(tmp_path, tmp_path, "dvc", "repro", "-q")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spoil(file: Path) -> None:
    """Other bytes, of the same length; time and mode stay, as a disk that decays leaves them."""
    before, content = file.stat(), file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(content[:-2] + b"?" + content[-1:])
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def object_of(content: bytes) -> Path:
    (found,) = (file for file in Path(".dvc/cache/files/md5").glob("??/*") if file.read_bytes() == content)
    return found


def test_a_changed_object_that_dvc_restored_is_named_and_made_anew_without_it(study: Path) -> None:
    recorded.verify(Path("runs"), Path("stamp"))
    spoil(object_of(b"weights\n"))
    shutil.rmtree("runs")
    run(study, study, "dvc", "repro", "-q")
    assert Path("runs/a/b/model").read_bytes() != b"weights\n", "DVC does not look into what it restores"
    recorded.verify(Path("stamp"), Path("else"))
    recorded.verify(Path("runs"), files=["*.json"])
    with pytest.raises(stage.StageError, match=r"runs/a/b/model: not the bytes that dvc\.lock records") as error:
        recorded.verify(Path("runs"))
    named = re.search(r"Remove (.*) and run", str(error.value))
    assert named is not None
    for path in map(Path, named[1].split()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    run(study, study, "dvc", "repro", "-q")
    assert Path("runs/a/b/model").read_bytes() == b"weights\n"
    recorded.verify(Path("runs"))


def test_changed_files_are_seen_without_a_cache_and_where_one_is_lost(study: Path) -> None:
    shutil.rmtree(".dvc/cache")
    recorded.verify(Path("runs/a"), Path("stamp"))
    spoil(Path("stamp"))
    with pytest.raises(stage.StageError, match=r"^stamp: not the bytes"):
        recorded.verify(Path("stamp"))
    Path("runs/a/run.json").unlink()
    with pytest.raises(stage.StageError, match=r"^runs/a: not the bytes"):
        recorded.verify(Path("runs"))


def test_what_is_not_recorded_or_not_there_is_for_others_to_name(study: Path) -> None:
    shutil.rmtree("runs")
    recorded.verify(Path("runs"))
    for content in ("", "stages:\n", "stages: {a: [}", "schema: '2.0'\n"):
        Path("dvc.lock").write_text(content)
        recorded.verify(Path("stamp"))
    Path("dvc.lock").unlink()
    recorded.verify(Path("stamp"))


def test_what_dvc_recorded_of_a_stage_that_is_gone_is_no_change(study: Path) -> None:
    lock = (study / "dvc.lock").read_text(encoding="utf-8")
    entry = lock.partition("stages:\n")[2]
    former = re.sub(r"md5: \w+\.dir", f"md5: {'0' * 32}.dir", entry.replace("train:", "former:"))
    (study / "dvc.lock").write_text(lock + former, encoding="utf-8")
    recorded.verify(Path("runs"))
    spoil(Path("runs/a/run.json"))
    with pytest.raises(stage.StageError, match="not the bytes that"):
        recorded.verify(Path("runs"))


def record_other_bytes(*outs: Path) -> None:
    """A dvc.lock by which these folders held something else."""
    entries = "".join(f"    - path: {out}\n      hash: md5\n      md5: {'0' * 32}.dir\n" for out in outs)
    Path("dvc.lock").write_text(f"schema: '2.0'\nstages:\n  one:\n    cmd: one\n    outs:\n{entries}")


@pytest.mark.parametrize(
    ("command", "read"),
    [
        (("embed", "clip"), paths.TEACHERS / "clip"),
        (("embed", "clip"), paths.CORPUS),
        (("collect",), paths.RUNS / "clip-half-none-s0"),
        (("collect",), paths.SCORES / "clip-teacher"),
        (("analyse",), paths.RESULTS),
        (("publish",), paths.REPORT),
        (("publish",), paths.TEACHERS / "clip"),
    ],
)
def test_stages_refuse_what_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], read: Path
) -> None:
    grid = {"archs": ["clip"], "sizes": ["half"], "methods": ["none"], "seeds": [0]}
    studies.declare(tmp_path, {"study": {"name": "tiny"}, "grid": grid})
    monkeypatch.chdir(tmp_path)
    read.mkdir(parents=True)
    record_other_bytes(read)
    code, told = call(*command)
    assert code == 1
    assert f"{command[0]}: {read}: not the bytes that dvc.lock records" in told


def test_no_student_is_made_from_what_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_grid(tmp_path)
    for read in (paths.TEACHERS / "clip", paths.EMBEDDINGS / "clip"):
        record_other_bytes(read)
        with pytest.raises(stage.StageError, match=f"{read}: not the bytes"):
            pool.run("students", Path("stamp"))
        with pytest.raises(stage.StageError, match=f"{read}: not the bytes"):
            carry_out(Fake("a"), reads=(read,))
    assert not Path("stamp").exists()
