"""`make declare`, and what the stage `analyse` makes of the file."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from analysis import declaration
from pipeline import analyse, declare, paths, resolve, stage
from pipeline.sources import ROOT
from study.config.check import load
from tests.pipeline import studies


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study's folder with what `resolve` writes, the card of its corpus, and a score."""
    for file in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    _resolve()
    stage.write_json(paths.CORPUS / "corpus.json", {"captions": {"distil": {"en": 3, "de": 1}}})
    (paths.SCORES / "clip-teacher").mkdir(parents=True)
    (paths.SCORES / "clip-teacher" / "vqa.parquet").write_bytes(b"")
    return tmp_path


def _resolve() -> None:
    stage.write_json(paths.RESOLVED, resolve.resolved(load(Path("params.yaml"))))


def test_a_declared_study_is_told_so(study: Path) -> None:
    assert "No dated declaration" in analyse.chosen().declaration
    score = paths.SCORES / "clip-teacher" / "vqa.parquet"
    os.utime(score, (10, 10))
    made = declaration.declare(declare.choices(load(Path("params.yaml"))), paths.DECLARATION)
    late = analyse.chosen()
    assert not late.declared("retrieval", "fd")
    assert "The results are older, as the times of files tell" in late.declaration
    os.utime(score, (made.declared_at.timestamp() + 60,) * 2)
    assert analyse.chosen().declared("retrieval", "fd")
    assert set(json.loads(paths.DECLARATION.read_text())["settings"]["planned"]) == set(analyse.told()["planned"])


def test_seeds_that_were_added_later_are_no_longer_declared(study: Path) -> None:
    declaration.declare(declare.choices(load(Path("params.yaml"))), paths.DECLARATION)
    studies.edit(Path("params.yaml"), {"grid.seeds": [0, 1, 2, 3, 4, 5]})
    _resolve()
    text = analyse.chosen().declaration
    assert "not the declared ones (planned changed)" in text
