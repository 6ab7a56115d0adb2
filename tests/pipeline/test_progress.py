"""Progress: what is done, failed and running, where and how far; and the time left, from the first minute."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from pipeline import progress
from pipeline.progress import Board, duration, seconds_left
from pipeline.tracking import journal
from pipeline.tracking.live import KILLED, Live, Reader


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def live(name: str, started: float, *told: tuple[float, int], steps: int = 100, ended: float | None = None) -> Live:
    state = "RUNNING" if ended is None else "FINISHED"
    last = told[-1] if told else None
    return Live(name, name, state, started, ended, "cpu", step=last[1] if last else 0, steps=steps if told else 0,
                first=told[0] if told else None, last=last)  # fmt: skip


def test_durations_read_like_durations() -> None:
    assert [duration(s) for s in (4.4, 59.6, 61, 3599, 3700)] == [
        "4 s",
        "1 min 00 s",
        "1 min 01 s",
        "59 min 59 s",
        "1 h 01 min",
    ]


def test_the_time_left_is_known_from_the_first_steps() -> None:
    assert seconds_left([live("a", 0.0)], [], 9, 1, 5.0) is None
    # After 10 s of reading, a step takes 1 s: 20 of 100 are done after 30 s, and scoring takes a tenth.
    first = live("a", 0.0, (11.0, 1), (30.0, 20))
    assert seconds_left([first], [], 0, 1, 30.0) == pytest.approx(80 + 10)
    assert seconds_left([first], [], 9, 1, 30.0) == pytest.approx(90 + 9 * 120)
    assert seconds_left([first, live("b", 20.0)], [], 8, 2, 30.0) == pytest.approx((90 + 110 + 8 * 120) / 2)


def test_what_has_ended_says_how_long_the_others_take() -> None:
    ended = live("a", 0.0, (10.0, 50), (20.0, 100), ended=50.0)
    running = live("b", 50.0, (60.0, 50), (65.0, 75))
    # 5 s of training, then 30 s of scoring as the first had.
    assert seconds_left([running], [ended], 0, 1, 65.0) == pytest.approx(35.0)
    assert seconds_left([running], [ended], 2, 1, 65.0) == pytest.approx(35.0 + 2 * 50.0)
    # One that takes longer than the others is at least not said to have ended.
    assert seconds_left([live("c", 0.0)], [ended], 0, 1, 400.0) == 0.0


def test_a_reader_follows_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    assert reader.read() == {}
    with journal.writing("f-a") as told:
        told.write(journal.START, cell="a", device="cuda:0", host="node")
        told.row({"step": 20, "loss": 1.0}, 60)
        found = reader.read()["f-a"]
        assert (found.state, found.where, found.step, found.steps) == ("RUNNING", "cuda:0 of node", 20, 60)
        told.step(33, 60)
        assert reader.read()["f-a"].step == 33
        told.row({"step": 60, "loss": 0.5}, 60)
        assert reader.read()["f-a"].trained
    assert reader.read()["f-a"].state == "FINISHED"
    with journal.writing("f-a") as told:
        told.write(journal.START, cell="a", trained=True)
        assert progress.stand(reader.read()["f-a"]) == "scoring"
        told.fail("ValueError: no such thing")
    found = reader.read()["f-a"]
    assert (found.state, found.reason) == ("FAILED", "ValueError: no such thing")
    with journal.writing("f-a") as told:
        told.write(journal.START, cell="a")
        assert reader.read()["f-a"].state == "RUNNING"
        told._file = None
    assert reader.read()["f-a"].state == KILLED == Reader().read()["f-a"].state


@pytest.mark.parametrize("terminal", [False, True])
def test_a_board_says_what_runs_where_without_being_told(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.2)
    monkeypatch.setattr(progress, "DRAW_SECONDS", 0.1)
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TTY_COMPATIBLE", "1")
        monkeypatch.setenv("COLUMNS", "120")
    with Board("students", 4, 2) as board:
        board.finished()
        board.has_failed()
        with journal.writing("f-a") as told:
            told.write(journal.START, cell="a", device="cpu", host=progress.platform.node())
            told.row({"step": 20, "loss": 1.0}, 60)
            time.sleep(0.5)
            board.say("[red] is no colour")
    out = capsys.readouterr().out
    said: dict[bool, Any] = {
        False: ["students: 1 of 4 done; 1 failed; running: a step 20 of 60 on cpu; about "],
        True: ["1 of 4 done", "1 failed", "step 20 of 60", "cpu"],
    }
    for text in said[terminal]:
        assert text in out
    assert out.count("[red]") == out.count("[red] is no colour") == 1
    assert out.endswith("students: 1 of 4 done; 1 failed\n")
