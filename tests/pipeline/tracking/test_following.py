"""Runs appear in MLflow while they are made, end as their work ended, and survive kills and servers that are away."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline.tracking import follow, journal, watcher
from pipeline.tracking.destination import Destination
from pipeline.tracking.follow import Follower
from pipeline.tracking.sync import sync
from pipeline.tracking.tracker import Tracker, TrackingError
from tests.pipeline.tracking.written import records

TAGS = {"cell": "a", "fingerprint": "f-a", "method": "fd"}
START: dict[str, Any] = {
    "cell": "a",
    "commit": "c0ffee",
    "tags": TAGS,
    "params": {"method": "fd", "settings.training.steps": "40"},
    "dataset": {"name": "emoji", "digest": "d" * 64, "source": "npm"},
}

WRITER = """
import sys, time
from pipeline.tracking import journal
with journal.writing("f-a") as told:
    told.write(journal.START, **{start})
    told.row({{"step": 20, "loss": 2.0}})
    print("told", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "SEND_SECONDS", 0.0)


def tracker(folder: Path) -> Tracker:
    return Tracker(Destination.of(folder, "tiny"))


def only(found: Tracker) -> Any:
    """The one run that the store holds, whoever made it."""
    (run,) = found._client.search_runs([found.place])
    return run


def curve(found: Tracker, name: str = "training/loss") -> list[tuple[int, float]]:
    history = found._client.get_metric_history(only(found).info.run_id, name)
    return [(point.step, point.value) for point in history]


def tell(told: journal.Journal, *steps: int) -> None:
    for step in steps:
        told.row({"step": step, "loss": 1.0 / step, "nothing": float("nan")})


@contextmanager
def written_by_another() -> Iterator[subprocess.Popen[str]]:
    """A worker that has told of its start and of one row, and still writes."""
    code = WRITER.format(start=START)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "told\n"
        try:
            yield writer
        finally:
            with suppress(ProcessLookupError):
                writer.kill()


def test_a_run_appears_grows_and_ends_with_its_scores(study: Path) -> None:
    found = tracker(study)
    follower = Follower(found)
    with journal.writing("f-a") as told:
        told.write(journal.START, **START)
        assert not follower.turn()
        run = only(found)
        assert run.info.status == "RUNNING"
        assert run.data.params == START["params"]
        assert {**TAGS, "mlflow.source.git.commit": "c0ffee"}.items() <= run.data.tags.items()
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("emoji", "d" * 36)
        assert abs(run.info.start_time - time.time() * 1000) < 60_000

        tell(told, 20, 40)
        follower.turn()
        assert curve(found) == [(20, 1 / 20), (40, 1 / 40)]
        told.write(journal.SCORES, metrics={"retrieval/map_at_10": 0.5}, params={"parameters": "9"})
    assert follower.turn()
    run = only(found)
    assert (run.info.status, run.data.metrics["retrieval/map_at_10"]) == ("FINISHED", 0.5)
    assert run.data.params["parameters"] == "9"

    # Scored anew: the same run.
    with journal.writing("f-a") as told:
        told.write(journal.START, **START)
        told.write(journal.SCORES, metrics={"retrieval/map_at_10": 0.6}, params={})
    assert Follower(found).turn()
    assert only(found).data.metrics["retrieval/map_at_10"] == 0.6
    assert len(curve(found)) == 2


def test_a_failure_is_told_with_its_reason_and_forgotten_when_it_is_mended(study: Path) -> None:
    found = tracker(study)
    follower = Follower(found)
    with suppress(ArithmeticError), journal.writing("f-a") as told:
        told.write(journal.START, **START)
        tell(told, 20)
        raise ArithmeticError("loss is nan at step 40")
    assert follower.turn()
    run = only(found)
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == "ArithmeticError: loss is nan at step 40"
    assert "loss is nan" in run.data.tags["mlflow.note.content"]
    with journal.writing("f-a") as told:
        told.write(journal.START, **START)
        tell(told, 20, 40)
    assert follower.turn()
    assert (only(found).info.status, only(found).data.tags["failure"]) == ("FINISHED", "")
    assert curve(found) == [(20, 1 / 20), (40, 1 / 40)]


def test_a_killed_worker_leaves_no_running_run_and_goes_on_in_the_same(study: Path) -> None:
    found = tracker(study)
    follower = Follower(found)
    with written_by_another() as writer:
        assert not follower.turn()
        assert only(found).info.status == "RUNNING"
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    assert Follower(tracker(study)).turn()  # by whoever comes next
    assert only(found).info.status == "KILLED"
    with journal.writing("f-a") as told:
        told.write(journal.START, **START)
        tell(told, 20, 40)
        follower = Follower(found)
        follower.turn()
        assert only(found).info.status == "RUNNING"
    assert follower.turn()
    assert curve(found) == [(20, 2.0), (40, 1 / 40)], "a step is told once"


@pytest.mark.parametrize("call", ["create_run", "log_inputs", "log_batch", "set_terminated"])
def test_a_publisher_that_was_killed_sends_nothing_twice(
    study: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
) -> None:
    from mlflow import MlflowClient

    true_call = getattr(MlflowClient, call)

    def killed_after(*args: Any, **options: Any) -> Any:
        true_call(*args, **options)
        raise KeyboardInterrupt

    with journal.writing("f-a") as told:
        told.write(journal.START, **START)
        tell(told, 20, 40)
    found = tracker(study)
    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, call, killed_after)
        with pytest.raises(KeyboardInterrupt):
            Follower(found).turn()
    assert Follower(found).turn()
    assert only(found).info.status == "FINISHED"
    assert curve(found) == [(20, 1 / 20), (40, 1 / 40)]


def test_the_watcher_notes_the_end_of_a_study_that_was_killed(study: Path) -> None:
    with suppress(KeyboardInterrupt), written_by_another() as writer, watcher.watched():
        found = tracker(study)
        until = time.monotonic() + 60
        while not found.runs() and time.monotonic() < until:
            time.sleep(0.2)
        assert only(found).info.status == "RUNNING"
        writer.kill()
        raise KeyboardInterrupt
    while only(found).info.status == "RUNNING" and time.monotonic() < until:
        time.sleep(0.2)
    assert only(found).info.status == "KILLED"
    with watcher.publishing(30.0) as alone:
        assert alone, "it has ended by itself"


def test_what_cannot_be_written_stops_no_work(study: Path) -> None:
    (study / ".scratch" / "live").mkdir(parents=True)
    (study / ".scratch" / "live" / "f-a.jsonl").mkdir()
    with journal.writing("f-a") as told:
        told.write(journal.START, **START)
    with journal.writing("f-b"), journal.writing("f-b") as second:
        second.write(journal.START, **START)
    assert "start" not in journal.place("f-b").read_text()


def test_a_torn_journal_is_read_as_far_as_it_goes(study: Path) -> None:
    with journal.writing("f-a") as told:
        told.write(journal.START, **START)
    path = journal.place("f-a")
    with path.open("ab") as file:
        file.write(b'{"event": "row", "ti\n[]\n{"event": "row", "time": 1, "row": {"step": 20, "loss": 1')
    found, offset = journal.events(path)
    assert [event["event"] for event in found] == ["start", "end"]
    assert path.read_bytes()[offset:].startswith(b'{"event": "row", "time": 1')


@contextmanager
def server(folder: Path, port: int) -> Iterator[str]:
    """A real tracking server on the loopback."""
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--artifacts-destination",
               str(folder / "server-files"), "--uvicorn-opts", "--log-level error"]  # fmt: skip
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
    log = (folder / "server.log").open("w")
    with log, subprocess.Popen(command, env=os.environ | quiet, stdout=log, stderr=log, start_new_session=True) as it:
        try:
            until = time.monotonic() + 200
            while time.monotonic() < until:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.2)
            yield uri
        finally:
            os.killpg(it.pid, signal.SIGTERM)


def test_a_teams_server_that_is_away_for_a_while_loses_nothing(
    study: Path,
    tmp_path: Path,
    empty_store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow import MlflowClient

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "the team's")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with journal.writing("f-a") as told:
        told.write(journal.START, **START)
        tell(told, 20)
    with pytest.raises(TrackingError, match=f"127.0.0.1:{port}"):
        Follower(tracker(study))
    (tmp_path / "server.db").write_bytes(empty_store.read_bytes())
    with server(tmp_path, port) as uri:
        found = tracker(study)
        follower = Follower(found)
        assert follower.turn()
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name("the team's")
        assert experiment is not None
        assert only(found).info.status == "FINISHED"
        of_a_colleague = client.create_run(experiment.experiment_id, run_name="x", tags={"origin": "another"})

        changes, _ = sync(records(study), found)
        assert len(changes.created) == 3
        assert sync(records(study), found)[0].kept == changes.created
        names = [run.info.run_name for run in client.search_runs([experiment.experiment_id])]
        assert sorted(names) == sorted([*changes.created, "x"])
        assert client.get_run(of_a_colleague.info.run_id).info.status == "RUNNING"
        whole = next(run for run in found.runs() if run.name == changes.created[1])
        assert "run.json" in {file.path for file in client.list_artifacts(whole.run)}
    assert not (study / "mlartifacts").exists()


def test_an_origin_is_kept_and_not_copied(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    first.mkdir()
    one = Destination.of(first, "s", {"MLFLOW_TRACKING_URI": "https://me:secret@server/x"})
    assert one == Destination.of(first, "s", {"MLFLOW_TRACKING_URI": "https://me:secret@server/x"})
    assert one.shown == "https://server/x"
    (second / ".scratch").mkdir(parents=True)
    (second / ".scratch" / "origin.json").write_bytes((first / ".scratch" / "origin.json").read_bytes())
    assert Destination.of(second, "s", {}).origin != one.origin
    known = json.loads((first / ".scratch" / "origin.json").read_text())
    assert known["origin"] == Destination.of(first, "s", {}).origin
