"""The one module that knows MLflow: runs of one experiment, written and read.

Results on disk are the truth, and what MLflow holds is a view of them. Of what it holds only runs that carry this
folder's mark are ever changed, and none is removed for good: what is outdated goes to MLflow's bin.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.tracking.destination import Destination, Store
from pipeline.tracking.run_record import Dataset

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

ORIGIN_TAG = "origin"
"""The folder that a run was made in: only its own runs are a study's to change."""
FINGERPRINT_TAG = "fingerprint"
NOTE_TAG = "mlflow.note.content"
"""A description in MLflow's UI, of an experiment or a run."""
NOTE_MARK = "<!-- small-polyglots -->"
"""Begins descriptions that are ours to change."""

METRICS_A_CALL, PARAMS_A_CALL, TAGS_A_CALL, RUNS_A_CALL = 1000, 100, 100, 200
"""MLflow's limits of a batch; and runs on a page."""

OF_THE_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "BAD_REQUEST")
"""MLflow's errors that are about one run; any other is about the store, and may pass."""

Point = tuple[str, float, int, int]
"""Name, value, milliseconds since 1970, step."""


class TrackingError(RuntimeError):
    """MLflow cannot be used; the message says which store, why, and what to do."""

    def __init__(self, message: str, of_the_run: bool = False) -> None:
        super().__init__(message)
        self.of_the_run = of_the_run
        """Whether other runs of the same store may go well."""


@dataclass(frozen=True)
class Shown:
    """A run as MLflow has it."""

    run: str
    name: str
    status: str
    started: int | None
    ended: int | None
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: frozenset[str]


class Tracker:
    """An experiment, opened or made."""

    def __init__(self, destination: Destination, note: str = "", tags: Mapping[str, str] | None = None) -> None:
        """Open the experiment, and describe it by `note`, in Markdown, unless somebody else has described it.

        Raises:
            TrackingError: the store is no store, is locked, or does not answer.
        """
        _quiet()
        self.destination = destination
        with self._named():
            if destination.store is not None:
                self._client = _open(destination.store, destination.experiment)
            else:
                self._client = _client(destination.uri)
            self.place = self._experiment(note, tags or {})

    def runs(self) -> list[Shown]:
        """Our runs that are not in the bin, the oldest first."""
        found, token = [], None
        with self._named():
            while True:
                page = self._client.search_runs(
                    [self.place], max_results=RUNS_A_CALL, order_by=["attributes.start_time ASC"], page_token=token
                )
                found += [_shown(run) for run in page]
                token = page.token
                if not token:
                    break
        return [run for run in found if self._ours(run.tags)]

    def create(self, name: str, started: int, tags: Mapping[str, str], dataset: Dataset | None) -> str:
        """Make a run, RUNNING since `started` (milliseconds since 1970); returns its id."""
        own = {ORIGIN_TAG: self.destination.origin, "mlflow.user": _user(), "mlflow.source.name": "make repro"}
        with self._named():
            info = self._client.create_run(self.place, started, {**own, **tags}, name).info
            if dataset is not None:
                self._client.log_inputs(info.run_id, [_dataset_input(dataset)])
            return str(info.run_id)

    def log(
        self,
        run: str,
        points: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add points of metrics, parameters and tags; what is there already stays once."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = list(_chunks([Metric(*point) for point in points], METRICS_A_CALL))
        named = list(_chunks([Param(*item) for item in (params or {}).items()], PARAMS_A_CALL))
        marks = list(_chunks([RunTag(*item) for item in (tags or {}).items()], TAGS_A_CALL))
        calls = max(len(metrics), len(named), len(marks))
        # Tags come last: one may say that the rest is there.
        padded: list[list[list[Any]]] = [[[]] * (calls - len(part)) + part for part in (metrics, named, marks)]
        with self._named():
            for some, more, most in zip(*padded, strict=True):
                self._client.log_batch(run, metrics=some, params=more, tags=most)

    def upload(self, run: str, files: Mapping[str, Path]) -> None:
        """Make the files artifacts, each in its place, under its own name."""
        with self._named():
            for place, path in files.items():
                self._client.log_artifact(run, str(path), place.rpartition("/")[0] or None)

    def end(self, run: str, status: str, ended: int | None) -> None:
        """FINISHED, FAILED or KILLED, at that time in milliseconds since 1970; now if there is none."""
        with self._named():
            self._client.set_terminated(run, status, end_time=ended)

    def reopen(self, run: str) -> None:
        """RUNNING again."""
        with self._named():
            self._client.update_run(run, status="RUNNING")

    def discard(self, run: str) -> None:
        """Put one of our runs into MLflow's bin, from which it can be restored."""
        with self._named():
            self._client.delete_run(run)

    def _ours(self, tags: Mapping[str, str]) -> bool:
        # A store in the study's folder is that folder's: its mark may be lost, the runs are ours still.
        local = self.destination.store is not None and {ORIGIN_TAG, "fingerprint"} <= tags.keys()
        return local or tags.get(ORIGIN_TAG) == self.destination.origin

    def _experiment(self, note: str, tags: Mapping[str, str]) -> str:
        """The experiment's id."""
        client, name, store = self._client, self.destination.experiment, self.destination.store
        found = client.get_experiment_by_name(name)
        if found is None:
            place = client.create_experiment(name, store.artifacts.as_uri() if store else None)
        elif found.lifecycle_stage == "active":
            place = found.experiment_id
        elif store is not None:
            place = found.experiment_id
            client.restore_experiment(place)
        else:
            raise TrackingError(
                f"experiment {name!r} of {self.destination.shown} was deleted: restore it there, or name another by "
                "MLFLOW_EXPERIMENT_NAME"
            )
        known = found.tags if found is not None else {}
        said = known.get(NOTE_TAG, "")
        wanted = dict(tags)
        if note and (not said or said.startswith(NOTE_MARK)):
            wanted[NOTE_TAG] = f"{NOTE_MARK}\n{note}"
        for key, value in wanted.items():
            if known.get(key) != value:
                client.set_experiment_tag(place, key, value)
        return str(place)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """What goes wrong within is a TrackingError that names the store."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except TrackingError:
            raise
        except Exception as error:  # stores and their drivers have classes of their own
            reason = next((line for line in str(error).strip().splitlines() if line), type(error).__name__)[:300]
            of_the_run = isinstance(error, MlflowException) and error.error_code in OF_THE_RUN
            raise TrackingError(f"{self.destination.shown}: {reason}", of_the_run) from error


def _shown(run: Any) -> Shown:
    info, data = run.info, run.data
    return Shown(
        info.run_id, info.run_name, info.status, info.start_time, info.end_time, data.tags, data.params,
        frozenset(data.metrics),
    )  # fmt: skip


def _dataset_input(dataset: Dataset) -> Any:
    from mlflow.entities import Dataset as Named
    from mlflow.entities import DatasetInput, InputTag

    source = json.dumps({"uri": dataset.source})
    named = Named(dataset.name, dataset.digest[:36], "external", source)
    return DatasetInput(named, [InputTag("mlflow.data.context", "training")])


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container without a name for its user
        return "unknown"


def _quiet() -> None:
    """Before MLflow is imported: it reports to nobody, says only what went wrong, and waits for no server for long."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")


def _open(store: Store, experiment: str) -> MlflowClient:
    """A client of the store, which is there and whole.

    Raises:
        TrackingError: the file is no store of MLflow's, or somebody holds it; it is left as it is.
    """
    if not _usable(store, experiment):
        # Kept aside, with its files where they are: somebody may have put runs of their own there.
        aside = _free(store.database.with_name(f"{store.database.name}.old"))
        store.database.replace(aside)
        print(f"MLflow: {store.database.name} came with a copied or moved folder; it is {aside.name} now", flush=True)
    if not store.database.exists():
        # Filling a fresh file takes seconds; one that was left halfway could not be repaired.
        fresh = store.database.with_name(f"{store.database.name}.new")
        fresh.unlink(missing_ok=True)
        _client(f"sqlite:///{fresh}").search_experiments(max_results=1)
        fresh.replace(store.database)
    return _client(store.uri())


def _usable(store: Store, experiment: str) -> bool:
    """False for a store that came with a copied or moved folder.

    MLflow keeps absolute paths of artifacts: such a copy would show, and change, the files of the folder it came from.

    Raises:
        TrackingError: the file is no store of MLflow's, or somebody holds it.
    """
    if not store.database.exists():
        return True
    try:
        with contextlib.closing(sqlite3.connect(store.database)) as connection:
            query = "SELECT artifact_location FROM experiments WHERE name = ?"
            places = [place for (place,) in connection.execute(query, [experiment])]
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            remedy = "another process holds it; it is left as it is, try again when that one has ended"
        else:
            remedy = "it is no store of MLflow's that can be read, and is left as it is; `make clean-mlflow` removes it"
        raise TrackingError(f"{store.database}: {error}: {remedy}") from error
    return places in ([], [store.artifacts.as_uri()])


def _free(path: Path) -> Path:
    """That path, or the next one with a number that is not taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}{number}")
    return free


def _client(uri: str) -> MlflowClient:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of type hints of its own
        from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
