"""The pool: everything that can be made is made, what failed is named, what is there is left alone."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from pipeline import pool, stage
from pipeline.engines.local import LocalEngine, devices
from pipeline.progress import Board, duration
from pipeline.work.task import Progress, Task
from study.config.params import ExecutionSpec
from study.names import UnknownNameError


@dataclass(frozen=True)
class Fake(Task):
    """Writes a file, fails, or dies."""

    label: str
    behaviour: str = "works"
    kind = "fake"

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.label

    @property
    def out(self) -> Path:
        return Path("out") / self.label

    @cached_property
    def fingerprint(self) -> str:
        return f"f-{self.label}"

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        progress(1, 2, {"step": 1, "loss": 0.5})
        if self.behaviour == "fails":
            raise ValueError("no such thing")
        if self.behaviour == "misnames":
            raise UnknownNameError("model", "tinny", ["tiny"])
        if self.behaviour == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        (folder / "who").write_text(f"{os.getpid()} {device}")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_fails_is_named_after_the_rest_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    jobs: list[pool.Job] = [(Fake("a"),), (Fake("b", "fails"),), (Fake("c"), Fake("d"))]
    with pytest.raises(stage.StageError, match=r"1 of 3 failed.*\n.*b: ValueError: no such thing"):
        pool.run_jobs("fakes", jobs, LocalEngine(["cpu", "cpu"], 1))
    assert [stage.is_done(Fake(name).folder) for name in "abcd"] == [True, False, True, True]
    assert "3 of 3 done" in capsys.readouterr().out
    assert not list(stage.SCRATCH.rglob("*.tmp"))


def test_our_own_errors_travel_to_the_pool() -> None:
    with pytest.raises(stage.StageError, match="did you mean 'tiny'"):
        pool.run_jobs("fakes", [(Fake("a", "misnames"),)], LocalEngine(["cpu"], 1))


def test_a_killed_worker_is_told_and_what_is_finished_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    stage.make(Fake("a").folder, lambda where: Fake("a").make(where, "before", lambda done, total, row: None))
    jobs: list[pool.Job] = [(Fake("a"), Fake("b", "dies")), (Fake("c"),)]
    with pytest.raises(stage.StageError, match=r"1 of 2 failed.*\n  a: a worker was killed while it made a \(SIGKILL"):
        pool.run_jobs("fakes", jobs, LocalEngine(["cpu"], 1))
    assert "a is begun again: a worker was killed" in capsys.readouterr().out
    assert stage.is_done(Fake("c").folder), "another worker goes on with the others"
    assert (Fake("a").folder / "who").read_text().endswith("before")


def test_what_is_in_place_or_done_is_not_missing() -> None:
    task = Fake("a")
    assert pool.missing((task,))
    task.run("cpu", lambda done, total, row: None)
    assert not pool.missing((task,))
    stage.adopt(task.folder, task.out)
    assert not pool.missing((task,))
    (task.out / "fingerprint").write_text("another\n")
    assert pool.missing((task,))


def test_devices_are_one_a_worker() -> None:
    assert devices("cpu", "3") == ["cpu"] * 3
    assert set(devices("auto", "2")) <= {"cpu", "cuda:0", "cuda:1"}


def test_several_workers_share_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert devices("auto", "auto", 3) == ["cuda:0", "cuda:1"] * 3
    assert devices("cuda:1", "auto", 3) == ["cuda:1"] * 3
    assert devices("cuda", 3, 2) == ["cuda:0", "cuda:1", "cuda:0"]


def test_durations_read_like_durations() -> None:
    assert [duration(s) for s in (4.4, 59.6, 61, 3599, 3700)] == [
        "4 s",
        "1 min 00 s",
        "1 min 01 s",
        "59 min 59 s",
        "1 h 01 min",
    ]


def test_time_left_follows_the_work_done(monkeypatch: pytest.MonkeyPatch) -> None:
    from multiprocessing import get_context

    clock = 100.0
    monkeypatch.setattr("pipeline.progress.time.perf_counter", lambda: clock)
    board = Board("cells", 10, 2, get_context("spawn").SimpleQueue())
    assert board.left() == "estimating"
    board.done.update({"a", "b"})
    clock = 120.0
    assert board.left() == "about 1 min 20 s left"
    board.fractions["c"] = 0.5
    assert board.left() == "about 1 min 00 s left"


def test_the_stage_makes_what_is_missing_by_the_declared_engine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Corpus:
        def verify(self) -> None:
            pass

    declared: list[pool.Job] = [(Fake("a"),), (Fake("b"), Fake("c"))]
    monkeypatch.setattr(pool, "jobs", lambda what: declared)
    monkeypatch.setattr(pool, "open_corpus", Corpus)
    monkeypatch.setattr(pool, "execution", lambda: ExecutionSpec(device="cpu", workers=1).model_dump(mode="json"))
    Fake("a").run("cpu", lambda done, total, row: None)
    assert pool.run("students", Path("pool.stamp"), 2, 2) == [declared[1]]
    assert [stage.is_done(Fake(name).folder) for name in "abc"] == [True] * 3
    assert "pool: 1 students in" in capsys.readouterr().out
    first = Path("pool.stamp").read_bytes()
    assert pool.run("students", Path("pool.stamp")) == declared
    assert "pool:" not in capsys.readouterr().out, "nothing is missing"
    assert Path("pool.stamp").read_bytes() == first
