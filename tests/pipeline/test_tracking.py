"""The MLflow view of a study equals its files: exactly one finished run a cell, whatever was there."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline import __main__ as command
from pipeline import publish, tracking
from pipeline.run_record import RunRecord, flatten, metric_name
from pipeline.tracking import Changes, Store
from study.records import CELLS, CONSISTENCY, DIRECTIONS, RETRIEVAL, STABILITY, VQA, check

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

STUDENTS = ["clip-half-fd-s0", "clip-half-none-s0"]
TEACHER = "clip-teacher"
LANGUAGES = ["de", "th"]


def write_study(folder: Path, students: list[str], languages: Iterable[str] = LANGUAGES) -> None:
    """A study's folder as the stages before `publish` leave it, with made-up scores."""
    names = [TEACHER, *students]
    rows = [cell_row(name) for name in names]
    grid = {
        "study": "tiny",
        "description": "A tiny study.",
        "archs": ["clip"],
        "sizes": ["half"],
        "methods": ["fd", "none"],
        "seeds": [0],
        "cells": students,
        "teachers": [TEACHER],
    }
    (folder / "plan").mkdir(parents=True, exist_ok=True)
    (folder / "plan" / "grid.json").write_text(json.dumps(grid))
    for row in rows:
        name = row["cell"]
        run = folder / ("teachers/clip" if name == TEACHER else f"runs/{name}")
        run.mkdir(parents=True, exist_ok=True)
        settings = {"training": {"steps": 20, "learning_rate": 0.001}, "layers": [0, 2]}
        record = {"cell": name, "row": row, "settings": settings, "versions": {"torch": "2.13.0"}}
        (run / "run.json").write_text(json.dumps(record))
        (run / "config.json").write_text("{}")
        (run / "fragmentation.csv").write_text("language,tokens\nde,4.5\n")
        steps = range(0, 20, 2)
        history = pd.DataFrame({"step": steps, "learning_rate": 0.001, "loss": [1 / (s + 1) for s in steps]})
        history.assign(fd=[math.nan, *[0.5] * 9]).to_csv(run / "history.csv", index=False)
    write_results(folder / "results", rows, list(languages))


def cell_row(name: str) -> dict[str, Any]:
    _, size, method, seed = (*name.split("-"), "", "")[:4]
    teacher = name == TEACHER
    numbers = {column.name: 1 for column in CELLS.columns if column.dtype in ("int64", "float64")}
    return {
        **numbers,
        "cell": name,
        "role": "teacher" if teacher else "student",
        "arch": "clip",
        "size": "full" if teacher else size,
        "method": "teacher" if teacher else method,
        "seed": 0 if teacher else int(seed[1:]),
        "towers": "both" if teacher else "text",
        "device": "cpu",
        "fingerprint": f"f-{name}",
    }


def write_results(folder: Path, rows: list[dict[str, Any]], languages: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    keys = [{"cell": row["cell"], "language": language} for row, language in product(rows, languages)]
    scores = {language: 0.1 * (i + 1) for i, language in enumerate(languages)}
    retrieval = [
        {**k, "direction": d, "metric": m, "protocol": "p", "score": scores[k["language"]], "queries": 9, "gallery": 9}
        for k, d, m in product(keys, DIRECTIONS, ("map@10", "recall@1"))
    ]
    consistency = [
        {**k, "construct": c, "score": scores[k["language"]], "queries": 9, "partners": 1}
        for k, c in product(keys, ("rbo_gold_deleted", "rankc"))
    ]
    vqa = [
        {**k, "question": f"q{i}", "type": "colour", "chosen": i, "answer": 0, "correct": i == 0}
        for k, i in product(keys, range(4))
    ]
    factors = ("cell", "arch", "size", "method", "seed")
    stability = [
        {"level": "run", **{f: row[f] for f in factors}, "language": "all", "construct": c, "score": score, "n": 4}
        for row, (c, score) in product(rows, (("alpha", 0.25), ("churn", None)))
    ]
    for table, found in ((CELLS, rows), (RETRIEVAL, retrieval), (CONSISTENCY, consistency), (VQA, vqa)):
        check(pd.DataFrame(found), table).to_parquet(folder / f"{table.name}.parquet")
    check(pd.DataFrame(stability), STABILITY).to_parquet(folder / "stability.parquet")


def records(folder: Path) -> list[RunRecord]:
    return publish.run_records(json.loads((folder / "plan" / "grid.json").read_text()))


def runs(store: Store) -> dict[str, Any]:
    """Name to run, of all runs that MLflow still has; a name that is there twice fails."""
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    client = MlflowClient(tracking_uri=store.uri())
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
    named = {str(run.info.run_name): run for run in found}
    assert len(named) == len(found)
    assert all(run.info.status == "FINISHED" and run.info.lifecycle_stage == "active" for run in found)
    return named


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's file, made once: making one takes seconds."""
    store = Store.of(tmp_path_factory.mktemp("empty"))
    tracking.sync([], store, "none")
    return store.database


@pytest.fixture
def study(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a study"
    write_study(folder, STUDENTS)
    shutil.copy(empty_store, folder / "mlflow.db")
    monkeypatch.chdir(folder)
    return folder


def sync(folder: Path) -> Changes:
    return tracking.sync(records(folder), Store.of(folder), "tiny", "A note.")


def test_one_finished_run_a_cell_with_everything_in_it(study: Path) -> None:
    changes = sync(study)
    assert changes == Changes(created=[TEACHER, *STUDENTS], replaced=[], kept=[], removed=[])
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
    expected = {
        "retrieval.map_at_10.mean": 0.15,
        "retrieval.map_at_10.text_to_image": 0.15,
        "retrieval.map_at_10.de": 0.1,
        "retrieval.map_at_10.th": 0.2,
        "retrieval.recall_at_1.mean": 0.15,
        "consistency.rbo_gold_deleted.mean": 0.15,
        "consistency.rbo_gold_deleted.th": 0.2,
        "consistency.rankc.mean": 0.15,
        "vqa.accuracy.mean": 0.25,
        "vqa.accuracy.de": 0.25,
        "stability.alpha": 0.25,
        "training.loss": 1 / 19,
        "cost.seconds": 1.0,
    }
    assert {name: run.data.metrics[name] for name in expected} == pytest.approx(expected)
    assert "stability.churn" not in run.data.metrics, "an empty value must not look like a zero"
    assert "retrieval.recall_at_1.de" not in run.data.metrics
    assert found[TEACHER].data.tags["role"] == "teacher"
    assert run.info.end_time - run.info.start_time == 1000

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=Store.of(study).uri())
    curve = client.get_metric_history(run.info.run_id, "training.loss")
    assert [(point.step, point.value) for point in curve] == [(s, pytest.approx(1 / (s + 1))) for s in range(0, 20, 2)]
    assert len(client.get_metric_history(run.info.run_id, "training.fd")) == 9, "the empty point is left out"
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"run.json", "history.csv", "fragmentation.csv", "config.json"}
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    assert experiment.tags["mlflow.note.content"] == "A note."


def test_publishing_follows_every_change(study: Path) -> None:
    sync(study)
    before = {name: run.info.run_id for name, run in runs(Store.of(study)).items()}
    assert sync(study) == Changes(created=[], replaced=[], kept=[TEACHER, *STUDENTS], removed=[])
    assert {name: run.info.run_id for name, run in runs(Store.of(study)).items()} == before

    # Another fingerprint, another score, a cell less, a new one.
    path = study / "runs" / STUDENTS[0] / "run.json"
    path.write_text(path.read_text().replace(f"f-{STUDENTS[0]}", "f-new"))
    assert sync(study).replaced == [STUDENTS[0]]
    found = runs(Store.of(study))
    assert found[STUDENTS[0]].data.tags["fingerprint"] == "f-new"
    assert found[STUDENTS[1]].info.run_id == before[STUDENTS[1]]
    artifacts = study / "mlartifacts"
    assert {folder.name for folder in artifacts.iterdir()} == {run.info.run_id for run in found.values()}

    vqa = pd.read_parquet(study / "results" / "vqa.parquet")
    vqa.loc[vqa["cell"] == STUDENTS[1], "correct"] = True
    vqa.to_parquet(study / "results" / "vqa.parquet")
    assert sync(study).replaced == [STUDENTS[1]]
    assert runs(Store.of(study))[STUDENTS[1]].data.metrics["vqa.accuracy.mean"] == 1.0

    write_study(study, [STUDENTS[1], "clip-half-fd-s1"])
    changes = sync(study)
    assert (changes.removed, changes.created) == ([STUDENTS[0]], ["clip-half-fd-s1"])
    assert set(runs(Store.of(study))) == {TEACHER, STUDENTS[1], "clip-half-fd-s1"}


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
    assert (changes.kept, changes.created) == ([TEACHER], STUDENTS)
    assert set(runs(Store.of(study))) == {TEACHER, *STUDENTS}


def test_what_others_did_to_the_experiment_is_undone(study: Path) -> None:
    from mlflow import MlflowClient

    sync(study)
    client = MlflowClient(tracking_uri=Store.of(study).uri())
    found = runs(Store.of(study))
    client.delete_run(found[TEACHER].info.run_id)
    place = found[TEACHER].info.experiment_id
    twin = client.create_run(place, run_name=STUDENTS[0], tags=found[STUDENTS[0]].data.tags)
    client.set_terminated(twin.info.run_id)
    client.create_run(place, run_name="by hand")
    assert sync(study).created == [TEACHER]
    assert set(runs(Store.of(study))) == {TEACHER, *STUDENTS}

    client.delete_experiment(place)
    sync(study)
    assert set(runs(Store.of(study))) == {TEACHER, *STUDENTS}


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


def test_a_broken_store_is_put_aside(study: Path) -> None:
    (study / "mlflow.db").write_text("no database at all")
    assert len(sync(study).created) == 3
    assert (study / "mlflow.db.old").read_text() == "no database at all"


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
        ("plan/grid.json", "plan/grid.json"),
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
    assert metric_name("retrieval", "map@10", "de") == "retrieval.map_at_10.de"
    assert metric_name("a(b)") == "a_b_"
    assert flatten({"a": {"b": None, "c": "x"}, "d": {}}) == {"a.b": "null", "a.c": "x", "d": "{}"}
    assert len(flatten({"a": "x" * 9000})["a"]) < 6000
    with pytest.raises(ValueError, match="same name"):
        tracking.sync([RunRecord("a", {}, {}, {})] * 2, Store(Path("x.db"), Path("x")), "e")
