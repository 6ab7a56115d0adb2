"""What a kill of DVC leaves behind: a cut dvc.lock keeps its whole entries, an empty rwlock goes."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline import mend
from pipeline.sources import ROOT
from pipeline.stage import StageError
from tests.pipeline.studies import call, git, run

LOCK = (ROOT / "studies" / "smoke" / "dvc.lock").read_text(encoding="utf-8")
ENTRIES = YAML(typ="safe").load(LOCK)["stages"]


def repository(folder: Path) -> Path:
    """`folder` as DVC's own."""
    (folder / ".dvc").mkdir(exist_ok=True)
    return folder


@settings(deadline=None, max_examples=60)
@given(cut=st.integers(0, len(LOCK)), zeros=st.integers(0, 9))
def test_a_lock_cut_anywhere_keeps_its_whole_entries(
    tmp_path_factory: pytest.TempPathFactory, cut: int, zeros: int
) -> None:
    folder = repository(tmp_path_factory.mktemp("cut"))
    lock = folder / "dvc.lock"
    lock.write_bytes(LOCK.encode()[:cut] + b"\0" * zeros)
    mend.mend(folder)
    left = YAML(typ="safe").load(lock)["stages"] if lock.exists() else {}
    assert all(ENTRIES[name]["cmd"] == entry["cmd"] for name, entry in left.items())
    *before, last = left or [None]
    assert all(left[name] == ENTRIES[name] for name in before)
    # Of the entry in which it was cut the end may be missing: DVC then takes the stage for changed.
    if last is not None:
        deps = left[last].get("deps", [])
        assert deps[:-1] == ENTRIES[last].get("deps", [])[: len(deps)][:-1]
    assert mend.mend(folder) == []


def test_what_is_whole_stays_as_it_is(tmp_path: Path) -> None:
    (repository(tmp_path) / "dvc.lock").write_text(LOCK)
    assert mend.mend(tmp_path) == []
    assert (tmp_path / "dvc.lock").read_text() == LOCK
    (tmp_path / "dvc.lock").write_text(LOCK[: len(LOCK) // 2])
    (line,) = mend.mend(tmp_path)
    assert line.startswith(f"{tmp_path / 'dvc.lock'} was cut short by a kill: its ")


def test_a_stage_without_dependencies_or_outputs_is_whole(tmp_path: Path) -> None:
    own = "schema: '2.0'\nstages:\n  a:\n    cmd: a\n  b:\n    cmd: b\n    deps:\n    - path: s3://x\n      etag: '1'\n"
    (repository(tmp_path) / "dvc.lock").write_text(own)
    assert mend.mend(tmp_path) == []
    assert (tmp_path / "dvc.lock").read_text() == own


def test_nothing_is_touched_while_dvc_is_at_work(tmp_path: Path) -> None:
    lock = repository(tmp_path) / "dvc.lock"
    lock.write_text(LOCK[:500])
    (tmp_path / ".dvc" / "tmp").mkdir()
    with (tmp_path / ".dvc" / "tmp" / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert mend.mend(tmp_path) == []
    assert lock.read_text() == LOCK[:500]
    assert len(mend.mend(tmp_path)) == 1


def test_both_sides_of_a_merge_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (repository(tmp_path) / "dvc.lock").write_text(f"<<<<<<< HEAD\n{LOCK}=======\n{LOCK}>>>>>>> theirs\n")
    with pytest.raises(StageError, match="git checkout --ours"):
        mend.mend(tmp_path)


@pytest.mark.parametrize(("content", "stays"), [("", False), ('{"a', False), ("[]", False), ("{}", True)])
def test_an_rwlock_that_is_no_json_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, stays: bool
) -> None:
    monkeypatch.setattr(mend, "WRITING_SECONDS", 0)
    rwlock = tmp_path / ".dvc" / "tmp" / "rwlock"
    rwlock.parent.mkdir(parents=True)
    rwlock.write_text(content)
    study = tmp_path / "studies" / "one"
    study.mkdir(parents=True)
    told = mend.mend(study)
    assert rwlock.exists() == stays
    assert told == ([] if stays else [".dvc/tmp/rwlock was cut short by a kill: removed"])


@pytest.mark.parametrize("left", [None, ".a.tmp"])
def test_an_entry_of_earlier_runs_that_was_not_written_goes(tmp_path: Path, left: str | None) -> None:
    """DVC itself is run: without `mend` such an entry stops it each time."""
    git(tmp_path, "init", "-q")
    run(tmp_path, tmp_path, "dvc", "init", "-q")
    (tmp_path / "dvc.yaml").write_text("stages:\n  one:\n    cmd: cp a b\n    deps: [a]\n    outs: [b]\n")
    (tmp_path / "a").write_text("a")
    run(tmp_path, tmp_path, "dvc", "repro", "-q")
    (entry,) = (tmp_path / ".dvc" / "cache" / "runs").glob("*/*/*")
    entry.unlink()
    if left is not None:
        (entry.parent / left).write_text("cmd: cp")
    for made in ("b", "dvc.lock"):
        (tmp_path / made).unlink()
    if left is None:
        assert call(tmp_path, tmp_path, "dvc", "repro", "-q").returncode
    assert mend.mend(tmp_path) == [".dvc/cache/runs had 1 entries that a kill had left empty: removed"]
    run(tmp_path, tmp_path, "dvc", "repro", "-q")
    assert (tmp_path / "b").read_text() == "a"
