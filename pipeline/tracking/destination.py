"""Which MLflow a study's runs go to: a file in its folder, or what MLflow's own variables name."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline import stage

URI, EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"


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


@dataclass(frozen=True)
class Destination:
    """An experiment of a store of ours, or of a tracking server that others use, too."""

    uri: str
    experiment: str
    store: Store | None
    """None where the store is not the study's own."""
    origin: str
    """Whose runs are ours: those that this folder has made."""

    @classmethod
    def of(cls, folder: Path, study: str, environment: Mapping[str, str] = os.environ) -> Destination:
        """Where the runs of that study, in that folder, go."""
        experiment = environment.get(EXPERIMENT, "").strip() or study
        uri = environment.get(URI, "").strip()
        origin = _origin(folder)
        if not uri or uri == Store.of(folder).uri():
            store = Store.of(folder)
            return cls(store.uri(), experiment, store, origin)
        return cls(uri, experiment, None, origin)

    @property
    def shown(self) -> str:
        """For messages: without the password that an address may hold."""
        if self.store is not None:
            return self.store.database.name
        scheme, separator, rest = self.uri.partition("://")
        return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _origin(folder: Path) -> str:
    """A random name of that folder, kept in it. A copy of the folder gets another one."""
    here, path = str(folder.resolve()), folder / stage.SCRATCH / "origin.json"
    if path.is_file():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            if known["folder"] == here:
                return str(known["origin"])
        except (ValueError, KeyError, TypeError):
            pass
    made = uuid.uuid4().hex[:16]
    stage.write_json(path, {"folder": here, "origin": made})
    return made
