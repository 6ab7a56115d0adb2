"""The pool: everything that can be made is made, what failed is named, what is there is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from pipeline import pool, stage
from pipeline.engines.local import LocalEngine, devices
from pipeline.tracking import telling
from pipeline.work.task import Progress, Task
from study.config.params import ExecutionSpec
from study.names import UnknownNameError
from tests.pipeline import studies


class TwoPartsError(RuntimeError):
    """Is made of more than it tells, so that it cannot be unpickled."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


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
        if self.behaviour == "raises what cannot travel":
            raise TwoPartsError("one", "two")
        if self.behaviour == "diverges":
            stage.write_json(folder / "run.json", {"status": "diverged", "row": {"reason": "nan"}})
        if self.behaviour == "talks":
            print("of Python")
            warnings.warn("of a warning", stacklevel=1)
            subprocess.run(["echo", "of the system"], check=True)
        if self.behaviour == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        (folder / "who").write_text(f"{os.getpid()} {device}")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_fails_is_told_at_once_and_named_at_the_end_and_all_else_is_made(
    capfd: pytest.CaptureFixture[str],
) -> None:
    behaviours = {"b": "fails", "c": "raises what cannot travel", "e": "diverges", "g": "talks", "h": "misnames"}
    jobs: list[pool.Job] = [(Fake(name, behaviour),) for name, behaviour in behaviours.items()]
    with pytest.raises(stage.StageError) as caught:
        pool.run_jobs(
            "fakes", [*jobs, (Fake("a"), Fake("d")), (Fake("i", "talks"),)], LocalEngine(["cpu"], 1), "record"
        )
    assert [stage.is_done(Fake(name).folder) for name in "bchadegi"] == [*[False] * 3, *[True] * 5]
    assert not list(stage.SCRATCH.rglob("*.tmp"))
    text = str(caught.value)
    assert text.startswith(
        "3 of 7 failed, 4 done and kept:\n  b: ValueError: no such thing\n    log: logs/b.log\n  c: Two"
    )
    assert "TwoPartsError: one and two" in text
    assert "did you mean 'tiny'" in text

    out, err = capfd.readouterr()
    told = "b failed: ValueError: no such thing\n  its log, with the traceback: logs/b.log\n"
    said = [line for line in out.removeprefix(told).splitlines() if "running: " not in line]
    assert out.startswith(told)
    assert said == ["e diverged, which is recorded as its outcome: nan", "fakes: 4 of 7 done; 3 failed"]
    assert err == ""
    log = Path("logs/b.log").read_text()
    assert "Traceback" in log
    assert 'raise ValueError("no such thing")' in log
    for name in "gi":
        log = Path(f"logs/{name}.log").read_text()
        for words in ("step 1 of 2: loss 0.5", "of Python", "of the system", "UserWarning: of a warning"):
            assert log.count(words) == 1, words


def test_no_model_is_begun_after_a_failure() -> None:
    jobs: list[pool.Job] = [(Fake("a"),), (Fake("b", "fails"),), *((Fake(name),) for name in "cdef")]
    with pytest.raises(stage.StageError, match=r"1 of 6 failed, 1 done and kept, 4 not begun \(execution.on_failure"):
        pool.run_jobs("fakes", jobs, LocalEngine(["cpu"], 1))
    assert [stage.is_done(Fake(name).folder) for name in "abcdef"] == [True, *[False] * 5]


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    Path("logs").write_text("a file in the way")
    telling.carry_out([Fake("a")], "cpu", lambda done, total, row: None)
    assert stage.is_done(Fake("a").folder)


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


def test_the_stage_makes_what_is_missing_by_the_declared_engine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Corpus:
        def verify(self) -> None:
            pass

    grid = {"archs": ["clip"], "sizes": ["half"], "methods": ["none"], "seeds": [0]}
    studies.declare(Path(), {"study": {"name": "tiny"}, "grid": grid})
    declared: list[pool.Job] = [(Fake("a"),), (Fake("b"), Fake("c"))]
    monkeypatch.setattr(pool, "jobs", lambda what: declared)
    monkeypatch.setattr(pool, "open_corpus", Corpus)
    monkeypatch.setattr(pool, "execution", lambda: ExecutionSpec(device="cpu", workers=1))
    Fake("a").run("cpu", lambda done, total, row: None)
    assert pool.run("students", Path("pool.stamp"), 2, 2) == [declared[1]]
    assert [stage.is_done(Fake(name).folder) for name in "abc"] == [True] * 3
    assert "pool: 1 students in" in capsys.readouterr().out
    first = Path("pool.stamp").read_bytes()
    assert pool.run("students", Path("pool.stamp")) == declared
    assert "pool:" not in capsys.readouterr().out, "nothing is missing"
    assert Path("pool.stamp").read_bytes() == first
