"""A small study that may be published, beside an MLflow store of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pipeline.tracking.destination import Destination, Store
from pipeline.tracking.tracker import Tracker
from tests.pipeline.tracking.written import STUDENTS, write_study

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's file, made once: making one takes seconds."""
    folder = tmp_path_factory.mktemp("empty")
    Tracker(Destination.of(folder, "none", {}))
    return Store.of(folder).database


@pytest.fixture
def study(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a study"
    write_study(folder, STUDENTS)
    shutil.copy(empty_store, folder / "mlflow.db")
    monkeypatch.chdir(folder)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return folder
