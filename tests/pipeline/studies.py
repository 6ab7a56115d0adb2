"""Copies of this tree in which a test may run studies of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline import stage
from pipeline.prepare import CACHE
from pipeline.sources import ROOT

PARTS = (
    "study",
    "pipeline",
    "analysis",
    "studies",
    "tuning",
    "dvc.yaml",
    "params.yaml",
    "pyproject.toml",
    ".dvcignore",
)
MADE = ("corpus", "teachers", "embeddings", "runs", "scores", "results", "report", "logs", "mlartifacts")
PUT = ("checkpoints", "data", "exported")
"""What people, or `tests.miniature`, put beside a params.yaml."""


def declare(folder: Path, params: Mapping[str, Any], resolved: Mapping[str, Any] | None = None) -> None:
    """Blocks of params.yaml, and what the stage `resolve` writes, as far as a test reads them."""
    shutil.copy(ROOT / "dvc.yaml", folder)
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(dict(params), file)
    stage.write_json(folder / "resolved.json", dict(resolved or {}))


def copy_tree(folder: Path) -> None:
    """This tree in a git repository of its own, without anything that was made in it."""
    kept_out = shutil.ignore_patterns(
        "__pycache__", ".scratch", "mlflow.db*", "*.stamp", "dvc.lock", "published.json", "resolved.json"
    )
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, symlinks=True, ignore=kept_out)
        else:
            shutil.copy(source, folder / part)
    for study in (folder / "studies").iterdir():
        for name in (*MADE, *PUT):
            shutil.rmtree(study / name, ignore_errors=True)
    (folder / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)


def git(folder: Path, *arguments: str) -> None:
    """Run git there; an error is one of the test."""
    author = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    done = subprocess.run(("git", *author, *arguments), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def edit(params: Path, changes: Mapping[str, Any]) -> None:
    """Set values of a params.yaml, by dotted key."""
    yaml = YAML()
    raw = yaml.load(params)
    for key, value in changes.items():
        *parents, last = key.split(".")
        block = raw
        for parent in parents:
            block = block[parent]
        block[last] = value
    with params.open("w") as file:
        yaml.dump(raw, file)


def call(copy: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m command` in `folder` with the copy's code and no network."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {
        "PATH": path,
        "PYTHONPATH": str(copy),
        "POLYGLOTS_CACHE": str(CACHE),
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled files must not make a second run differ from the first
    return subprocess.run(
        (sys.executable, "-m", *command), cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def run(copy: Path, folder: Path, *command: str) -> str:
    """As `call`, of a command that succeeds; returns what it printed."""
    done = call(copy, folder, *command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return done.stdout
