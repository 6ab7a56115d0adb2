"""The MLflow view of a study equals its files: exactly one finished run of ours a cell; what others did stays."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline import __main__ as command
from pipeline import summary
from pipeline.tracking import experiment
from pipeline.tracking.destination import Destination, Store
from pipeline.tracking.journal import PENDING
from pipeline.tracking.run_record import RunRecord, flatten, metric_name
from pipeline.tracking.sync import Changes
from pipeline.tracking.sync import sync as sync_with
from pipeline.tracking.tracker import Tracker
from tests.pipeline.tracking.written import STUDENTS, TEACHER, records, write_study


def runs(store: Store) -> dict[str, Any]:
    """Name to run, of all runs outside MLflow's bin; a name that is duplicated fails."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store.uri())
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    named = {str(run.info.run_name): run for run in found}
    assert len(named) == len(found)
    assert all(run.info.status == "FINISHED" for run in found)
    return named


def sync(folder: Path) -> Changes:
    tracker = Tracker(Destination.of(folder, "tiny", {}), "A note.", {"mark": "of ours"})
    return sync_with(records(folder), tracker)[0]


def test_one_finished_run_a_cell_with_everything_in_it(study: Path) -> None:
    changes = sync(study)
    assert changes == Changes(created=[TEACHER, *STUDENTS], completed=[], replaced=[], kept=[], removed=[])
    found = runs(Store.of(study))
    assert set(found) == {TEACHER, *STUDENTS}

    run = found[STUDENTS[0]]
    tags = {"cell": STUDENTS[0], "arch": "clip", "size": "half", "method": "fd", "seed": "0", "role": "student"}
    tags |= {"fingerprint": f"f-{STUDENTS[0]}", "study": "tiny", "weights": f"runs/{STUDENTS[0]}/model.safetensors"}
    assert tags.items() <= run.data.tags.items()
    assert run.data.params["settings.training.steps"] == "20"
    assert run.data.params["settings.layers"] == "[0, 2]"
    assert run.data.params["versions.torch"] == "2.13.0"
    assert run.data.params["text_parameters"] == "1"
    assert {"arch": "clip", "size": "half", "method": "fd", "seed": "0"}.items() <= run.data.params.items()
    expected = {
        "retrieval/map_at_10": 0.15,
        "retrieval/map_at_10.text_to_image": 0.15,
        "retrieval/languages/map_at_10.de": 0.1,
        "retrieval/languages/map_at_10.th": 0.2,
        "retrieval/recall_at_1": 0.15,
        "consistency/rbo_gold_deleted": 0.15,
        "consistency/languages/rbo_gold_deleted.th": 0.2,
        "consistency/rankc": 0.15,
        "vqa/accuracy": 0.25,
        "vqa/languages/accuracy.de": 0.25,
        "stability/alpha": 0.25,
        "training/loss": 1 / 19,
    }
    assert {name: run.data.metrics[name] for name in expected} == pytest.approx(expected)
    assert "stability/churn" not in run.data.metrics, "an empty value must not look like a zero"
    assert "retrieval/languages/recall_at_1.de" not in run.data.metrics
    assert found[TEACHER].data.tags["role"] == "teacher"

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=Store.of(study).uri())
    curve = client.get_metric_history(run.info.run_id, "training/loss")
    assert [(point.step, point.value) for point in curve] == [(s, pytest.approx(1 / (s + 1))) for s in range(0, 20, 2)]
    assert len(client.get_metric_history(run.info.run_id, "training/fd")) == 9, "the empty point is left out"
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"run.json", "history.csv", "fragmentation.csv", "config.json"}
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    assert experiment.tags["mlflow.note.content"].endswith("A note.")
    assert experiment.tags["mark"] == "of ours"


def test_publishing_follows_every_change(study: Path) -> None:
    sync(study)
    before = {name: run.info.run_id for name, run in runs(Store.of(study)).items()}
    assert sync(study) == Changes(created=[], completed=[], replaced=[], kept=[TEACHER, *STUDENTS], removed=[])
    assert {name: run.info.run_id for name, run in runs(Store.of(study)).items()} == before

    # Another fingerprint, another score, a cell less, a new one.
    path = study / "runs" / STUDENTS[0] / "run.json"
    path.write_text(path.read_text().replace(f"f-{STUDENTS[0]}", "f-new"))
    assert sync(study).replaced == [STUDENTS[0]]
    found = runs(Store.of(study))
    assert found[STUDENTS[0]].data.tags["fingerprint"] == "f-new"
    assert found[STUDENTS[1]].info.run_id == before[STUDENTS[1]]

    vqa = pd.read_parquet(study / "results" / "vqa.parquet")
    vqa.loc[vqa["cell"] == STUDENTS[1], "correct"] = True
    vqa.to_parquet(study / "results" / "vqa.parquet")
    assert sync(study).replaced == [STUDENTS[1]]
    assert runs(Store.of(study))[STUDENTS[1]].data.metrics["vqa/accuracy"] == 1.0

    write_study(study, [STUDENTS[1], "clip-half-none-s1"])
    changes = sync(study)
    assert (changes.removed, changes.created) == ([STUDENTS[0]], ["clip-half-none-s1"])
    assert set(runs(Store.of(study))) == {TEACHER, STUDENTS[1], "clip-half-none-s1"}


@pytest.mark.parametrize("call", ["log_batch", "log_artifact", "set_terminated"])
def test_an_interrupted_publish_heals_at_the_next(study: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    from mlflow import MlflowClient

    calls = 0
    true_call = getattr(MlflowClient, call)

    def interrupted(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5 or (call == "set_terminated" and calls == 2):
            raise KeyboardInterrupt
        return true_call(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, call, interrupted)
        with pytest.raises(KeyboardInterrupt):
            sync(study)
    changes = sync(study)
    assert changes.kept == [TEACHER]
    assert sorted(changes.created + changes.completed) == STUDENTS
    assert set(runs(Store.of(study))) == {TEACHER, *STUDENTS}


def test_runs_files_and_words_of_others_stay(study: Path) -> None:
    from mlflow import MlflowClient

    sync(study)
    client = MlflowClient(tracking_uri=Store.of(study).uri())
    found = runs(Store.of(study))
    place = found[TEACHER].info.experiment_id
    by_hand = client.create_run(place, run_name="by hand").info.run_id
    client.log_text(by_hand, "mine", "notes.txt")
    client.log_text(found[STUDENTS[0]].info.run_id, "mine", "notes.txt")
    client.set_experiment_tag(place, "mlflow.note.content", "My own words.")
    client.delete_run(found[TEACHER].info.run_id)
    path = study / "runs" / STUDENTS[0] / "run.json"
    path.write_text(path.read_text().replace(f"f-{STUDENTS[0]}", "f-new"))

    changes = sync(study)
    assert (changes.created, changes.replaced, changes.kept) == ([TEACHER], [STUDENTS[0]], [STUDENTS[1]])
    assert client.get_run(by_hand).info.status == "RUNNING", "whose it is, nobody here knows"
    assert len(list((study / "mlartifacts").rglob("notes.txt"))) == 2
    assert client.get_experiment(place).tags["mlflow.note.content"] == "My own words."
    client.restore_run(found[STUDENTS[0]].info.run_id)  # what was replaced lies in the bin
    client.set_terminated(by_hand)
    client.delete_run(by_hand)
    assert sync(study).removed == []
    assert set(runs(Store.of(study))) == {TEACHER, *STUDENTS}

    client.delete_experiment(place)
    sync(study)
    assert set(runs(Store.of(study))) == {TEACHER, *STUDENTS, "by hand"}, "MLflow restores all of them"


@pytest.mark.parametrize(
    ("content", "named"), [(b"no database at all", "not a database"), (b"", "no such table"), (None, "is locked")]
)
def test_a_store_that_cannot_be_used_is_named_and_left_alone(
    study: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, named: str
) -> None:
    store = Store.of(study)
    command.publish()
    if content is not None:
        store.database.write_bytes(content)
    before = {path: path.read_bytes() for path in (store.database, *store.artifacts.rglob("*")) if path.is_file()}
    with contextlib.closing(sqlite3.connect(store.database, isolation_level=None)) as held:
        if content is None:
            held.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SystemExit, match=rf"^publish: .*mlflow.db: .*{named}"):
            command.publish()
        (study / "published.json").unlink()
        command.publish(or_later=True)  # the study goes on
    assert (study / "published.json").is_file()
    assert "results are whole" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in before} == before
    assert not list(study.glob("mlflow.db.*old*"))
    if content is None:
        assert PENDING.exists()
        summary.catch_up()
        assert "3 kept" in capsys.readouterr().out
        assert not PENDING.exists()


def test_a_copied_folder_gets_a_store_of_its_own(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync(study)
    files = sorted((study / "mlartifacts").rglob("*"))
    copy = tmp_path / "copy"
    shutil.copytree(study, copy)
    monkeypatch.chdir(copy)
    write_study(copy, STUDENTS[:1])
    assert sync(copy).created == [TEACHER, STUDENTS[0]]
    assert sorted((study / "mlartifacts").rglob("*")) == files
    run = runs(Store.of(copy))[TEACHER]
    assert run.info.artifact_uri.startswith(copy.as_uri())


def test_the_report_is_a_run_of_its_own(study: Path) -> None:
    from mlflow import MlflowClient

    for name in ("report.html", "tables/scores.csv"):
        (study / "report" / name).parent.mkdir(parents=True, exist_ok=True)
        (study / "report" / name).write_text("x")
    assert "report" in sync(study).created
    assert "report" in sync(study).kept
    run = runs(Store.of(study))["report"]
    client = MlflowClient(tracking_uri=Store.of(study).uri())
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"report.html", "tables"}
    assert [file.path for file in client.list_artifacts(run.info.run_id, "tables")] == ["tables/scores.csv"]
    (study / "report" / "report.html").write_text("y")
    assert sync(study).replaced == ["report"]


def test_two_records_of_one_name_are_refused(study: Path) -> None:
    tracker = experiment.open_tracker()
    with pytest.raises(ValueError, match="same name"):
        sync_with([RunRecord("a", "f", {}, {}, {})] * 2, tracker)


def test_the_stage_writes_what_was_published(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.publish()
    assert capsys.readouterr().out == "publish: 3 runs in mlflow.db: 3 created\n"
    first = (study / "published.json").read_bytes()
    told = json.loads(first)
    assert told == {"study": "tiny", "runs": 3, "cells": {name: f"f-{name}" for name in (TEACHER, *STUDENTS)}}
    command.publish()
    assert capsys.readouterr().out == "publish: 3 runs in mlflow.db: 3 kept\n"
    assert (study / "published.json").read_bytes() == first


@pytest.mark.parametrize(
    ("remove", "named"),
    [
        (f"runs/{STUDENTS[0]}", STUDENTS[0]),
        (f"runs/{STUDENTS[1]}/history.csv", STUDENTS[1]),
        ("teachers/clip", TEACHER),
        ("results/vqa.parquet", "results/vqa.parquet"),
        ("params.yaml", "params.yaml"),
    ],
)
def test_what_is_missing_is_named(study: Path, remove: str, named: str) -> None:
    path = study / remove
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(SystemExit, match=rf"^publish: .*{named}.* is not there") as stopped:
        command.publish()
    assert "\n" not in str(stopped.value)
    assert not (study / "published.json").exists()


def test_a_cell_without_rows_is_named(study: Path) -> None:
    path = study / "results" / "consistency.parquet"
    frame = pd.read_parquet(path)
    frame[frame["cell"] != STUDENTS[1]].to_parquet(path)
    with pytest.raises(SystemExit, match=f"^publish: cell {STUDENTS[1]} has no rows"):
        command.publish()


def test_names_and_values_that_mlflow_allows() -> None:
    assert metric_name("retrieval", "map@10", "de") == "retrieval/map_at_10.de"
    assert metric_name("a(b)", "c") == "a_b_/c"
    assert flatten({"a": {"b": None, "c": "x"}, "d": {}}) == {"a.b": "null", "a.c": "x", "d": "{}"}
    assert len(flatten({"a": "x" * 9000})["a"]) < 6000
