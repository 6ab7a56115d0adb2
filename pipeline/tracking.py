"""The one module that knows MLflow: a study's runs, shown in its UI.

The results on disk are the truth and the MLflow store is a view of them that can be rebuilt at any
time: `sync` makes the view equal to what it is given, whatever an earlier or interrupted one left.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import math
import os
import shutil
import sqlite3
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.run_record import RunRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

T = TypeVar("T")

CONTENT_TAG = "content"
"""A hash of all that a run shows; written last, so a run that has it is whole."""

NOTE_TAG = "mlflow.note.content"
"""The experiment's description in MLflow's UI."""

METRICS_A_CALL, PARAMS_A_CALL, RUNS_A_CALL = 1000, 100, 200
"""MLflow's limits of a batch; and run ids on one command line."""


class TrackingError(RuntimeError):
    """The MLflow store cannot be used; the message says which and what to do."""


@dataclass(frozen=True)
class Changes:
    """Names of runs, by what a sync did to them."""

    created: list[str]
    replaced: list[str]
    kept: list[str]
    removed: list[str]

    def __str__(self) -> str:
        counts = {what: len(names) for what, names in vars(self).items() if names}
        return ", ".join(f"{count} {what}" for what, count in counts.items()) or "no runs"


@dataclass(frozen=True)
class Store:
    """An SQLite file, and the folder of the runs' files."""

    database: Path
    artifacts: Path

    @classmethod
    def of(cls, folder: Path) -> Store:
        """The store of a study's folder."""
        folder = folder.resolve()
        return cls(folder / "mlflow.db", folder / "mlartifacts")

    def uri(self) -> str:
        return f"sqlite:///{self.database}"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Held by one process at a time; the kernel lets go of it when that process ends."""
        with self.database.with_name(f"{self.database.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def sync(records: Sequence[RunRecord], store: Store, experiment: str, note: str = "") -> Changes:
    """Make `experiment` hold exactly one finished run for each record, and nothing else.

    A run that shows what its record says is kept; any other run of the experiment, be it outdated,
    unfinished, deleted or of another hand, is removed for good.

    Args:
        records: one a cell; names are unique.
        store: opened, or made if it is not there.
        experiment: the study's name.
        note: the experiment's description, in Markdown.

    Raises:
        TrackingError: the store was written by another version of MLflow, or cannot be written.
    """
    wanted = {record.name: record for record in records}
    if len(wanted) < len(records):
        raise ValueError("two records have the same name")
    _quiet()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    with store.locked():
        try:
            client = _open(store, experiment)
            return _sync(client, wanted, store, experiment, note)
        except (MlflowException, SQLAlchemyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise TrackingError(f"{store.database}: {reason}. It can be removed: publishing rebuilds it") from error


def _quiet() -> None:
    """Before MLflow is imported: it reports to nobody, and says only what went wrong."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")


def _open(store: Store, experiment: str) -> MlflowClient:
    """A client of the store, which is there and whole."""
    if not _usable(store, experiment):
        # Kept aside: somebody may have put runs of their own there.
        store.database.replace(store.database.with_name(f"{store.database.name}.old"))
        shutil.rmtree(store.artifacts, ignore_errors=True)
    if not store.database.exists():
        # Filling a fresh file takes seconds; one that was left halfway could not be repaired.
        fresh = store.database.with_name(f"{store.database.name}.new")
        fresh.unlink(missing_ok=True)
        _client(f"sqlite:///{fresh}").search_experiments(max_results=1)
        fresh.replace(store.database)
    return _client(store.uri())


def _usable(store: Store, experiment: str) -> bool:
    """False for a file that is no MLflow store, and for one that came with a copied or moved folder.

    MLflow keeps absolute paths of artifacts: such a copy would show, and delete, the files of the
    folder it came from.
    """
    if not store.database.exists():
        return True
    try:
        with contextlib.closing(sqlite3.connect(store.database)) as connection:
            query = "SELECT artifact_location FROM experiments WHERE name = ?"
            places = [place for (place,) in connection.execute(query, [experiment])]
    except sqlite3.DatabaseError:
        return False
    return places in ([], [store.artifacts.as_uri()])


def _client(uri: str) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _sync(client: MlflowClient, wanted: Mapping[str, RunRecord], store: Store, experiment: str, note: str) -> Changes:
    place = _experiment(client, experiment, store.artifacts.as_uri(), note)
    contents = {name: record.content() for name, record in wanted.items()}
    kept: set[str] = set()
    old: set[str] = set()
    outdated: list[Run] = []
    for run in _runs(client, place):
        name = run.info.run_name
        finished = run.info.lifecycle_stage == "active" and run.info.status == "FINISHED"
        if finished and name not in kept and run.data.tags.get(CONTENT_TAG) == contents.get(name, ""):
            kept.add(name)
            continue
        outdated.append(run)
        if finished:
            old.add(name)
    _remove(client, store, outdated)
    for name, record in wanted.items():
        if name not in kept:
            _write(client, place, record, contents[name])
    return Changes(
        created=[name for name in wanted if name not in kept | old],
        replaced=[name for name in wanted if name in old - kept],
        kept=[name for name in wanted if name in kept],
        removed=sorted(old - set(wanted)),
    )


def _experiment(client: MlflowClient, name: str, location: str, note: str) -> str:
    """The experiment's id; made, or brought back, if it is not there."""
    found = client.get_experiment_by_name(name)
    if found is None:
        place = client.create_experiment(name, artifact_location=location)
    else:
        place = found.experiment_id
        if found.lifecycle_stage != "active":
            client.restore_experiment(place)
    if found is None or found.tags.get(NOTE_TAG) != note:
        client.set_experiment_tag(place, NOTE_TAG, note)
    return str(place)


def _runs(client: MlflowClient, place: str) -> Iterator[Run]:
    """All runs, the deleted ones too."""
    from mlflow.entities import ViewType

    token = None
    while True:
        page = client.search_runs([place], run_view_type=ViewType.ALL, max_results=RUNS_A_CALL, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _remove(client: MlflowClient, store: Store, runs: Iterable[Run]) -> None:
    """Delete for good: `delete_run` alone hides a run and keeps its rows and files."""
    ids = []
    for run in runs:
        ids.append(run.info.run_id)
        if run.info.lifecycle_stage == "active":
            client.delete_run(run.info.run_id)
    if not ids:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of type hints of its own
        from mlflow.cli import gc

    for some in _chunks(ids, RUNS_A_CALL):
        options = ["--backend-store-uri", store.uri(), "--tracking-uri", store.uri(), "--run-ids", ",".join(some)]
        with contextlib.redirect_stdout(io.StringIO()):  # it says a line a run
            gc.main(options, standalone_mode=False)
        for run_id in some:  # gc leaves an empty folder
            shutil.rmtree(store.artifacts / run_id, ignore_errors=True)


def _write(client: MlflowClient, place: str, record: RunRecord, content: str) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    run = client.create_run(
        place, start_time=now - round(record.seconds * 1000), tags=dict(record.tags), run_name=record.name
    )
    key = run.info.run_id
    points = [(name, step, value) for name, curve in record.curves.items() for step, value in curve]
    points += [(name, 0, value) for name, value in record.metrics.items()]
    metrics = [Metric(name, value, now, step) for name, step, value in points if math.isfinite(value)]
    params = [Param(name, value) for name, value in record.params.items()]
    for batch in _chunks(metrics, METRICS_A_CALL):
        client.log_batch(key, metrics=batch)
    for part in _chunks(params, PARAMS_A_CALL):
        client.log_batch(key, params=part)
    for path in record.artifacts:
        client.log_artifact(key, str(path))
    client.log_batch(key, tags=[RunTag(CONTENT_TAG, content)])
    client.set_terminated(key, "FINISHED", end_time=now)


def _chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
