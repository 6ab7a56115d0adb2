"""A miniature of the real `dvc repro`: a copy of this tree, a study of its own, every stage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.sources import ROOT
from tests.pipeline import studies
from tests.pipeline.studies import copy_tree, git, run

STUDY = "studies/mini"


def edit(copy: Path, changes: Mapping[str, Any]) -> None:
    """Set values of the study's params.yaml, by dotted key."""
    studies.edit(copy / STUDY / "params.yaml", changes)


def repro(copy: Path) -> str:
    """Run `dvc repro` on the study; returns what it printed."""
    return run(copy, copy, "dvc", "repro", f"{STUDY}/dvc.yaml")


def ran(output: str, stage: str) -> list[str]:
    """Names after `stage@` of the stages that were executed."""
    names = tuple(f"Running stage '{place}{stage}@" for place in ("", f"{STUDY}/dvc.yaml:"))
    lines = [line for line in output.splitlines() if line.startswith(names)]
    return sorted(line.split("@", 1)[1].rstrip("':") for line in lines)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree in a git repository of its own, with the smoke study made smaller still."""
    folder = tmp_path_factory.mktemp("clone")
    copy_tree(folder)
    shutil.copytree(folder / "studies" / "smoke", folder / STUDY, symlinks=True)
    edit(
        folder,
        {
            "study.name": "mini",
            "grid.seeds": [0],
            "corpus.languages": ["de", "en", "zh"],
            "corpus.vqa_languages": ["de", "en"],
            "corpus.settings.concepts": 16,
            "corpus.settings.share": {"en": 60.0, "de": 30.0, "zh": 10.0},
            "corpus.settings.scenes": {"teacher": 300, "distil": 120, "validation": 20, "test": 20},
            "corpus.settings.questions": {"validation": 8, "test": 16},
            "corpus.settings.captions_per_scene": 3,
            "teachers.clip.vocabulary": 1000,
            "teachers.siglip2.vocabulary": 1000,
            "teachers.clip.training.steps": 12,
            "teachers.siglip2.training.steps": 12,
            "students.training.steps": 6,
            "students.training.batch": 20,
            "sizes.half": 0.75,
        },
    )
    shutil.copy(ROOT / ".gitignore", folder)
    shutil.copytree(ROOT / ".dvc" / "plots", folder / ".dvc" / "plots")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a study")
    return folder


@pytest.mark.timeout(600)
def test_the_study_runs_is_cached_and_follows_its_declaration(copy: Path) -> None:
    first = repro(copy)
    study = copy / STUDY
    cells = {f"{arch}-half-{method}-s0" for arch in ("clip", "siglip2") for method in ("none", "fd", "dr")}
    teachers = {"clip-teacher", "siglip2-teacher"}
    assert set(pd.read_parquet(study / "results" / "cells.parquet")["cell"]) == cells | teachers
    assert "6 of 6" in first or "8 of 8" in first  # the pool's progress
    for table in ("retrieval", "consistency", "vqa"):
        assert set(pd.read_parquet(study / "results" / f"{table}.parquet")["cell"]) == cells | teachers
    assert (study / "report" / "report.html").stat().st_size > 50_000
    assert "1 created, 8 completed" in first, "runs were there before they were published; the report was not"

    locked = (study / "dvc.lock").read_bytes()
    again = repro(copy)
    assert [line for line in again.splitlines() if line.startswith("Running stage")] == [
        f"Running stage '{STUDY}/dvc.yaml:resolve':"
    ]
    assert (study / "dvc.lock").read_bytes() == locked
    git(copy, "add", "-A")
    git(copy, "commit", "-qm", "as it was run first")

    tuned = run(copy, study, "pipeline", "tune", "clip", "half", "none")
    assert "trial 2 of 2" in tuned
    found = json.loads((study / "tuning" / "clip-half-none.json").read_text())
    assert [trial["number"] for trial in found["trials"]] == [0, 1]
    edit(copy, {"grid.seeds": [0, 1]})
    more = repro(copy)
    assert {name for name in ran(more, "student") if not name.startswith("1-")} == {"0-clip-half-none"}
    assert len(ran(more, "student")) == 7
    trained = json.loads((study / "runs" / "clip-half-none-s0" / "run.json").read_text())
    assert trained["row"]["learning_rate"] == found["best"]["learning_rate"]
    assert ran(more, "teacher") == ran(more, "embed") == ran(more, "evaluate") == []
    assert "6 completed" in more

    edit(copy, {"grid.methods": ["none", "fd"]})
    before = json.loads((study / "results" / "metrics.json").read_text())
    fewer = run(copy, study, "dvc", "exp", "run", "-S", "methods.fd.fd.weight=2.0", "dvc.yaml")
    assert {name.rsplit("-", 1)[1] for name in ran(fewer, "student")} == {"fd"}
    methods = set(pd.read_parquet(study / "results" / "cells.parquet")["method"])
    assert methods == {"teacher", "none", "fd"}

    edit(copy, {"evaluation.protocol": "first-caption"})
    status = run(copy, study, "dvc", "status", "dvc.yaml")
    assert "modified:           evaluation" in status
    assert "methods" not in status.partition("student@")[2]
    changed = run(copy, study, "dvc", "params", "diff")
    assert any(line.split()[1:] == ["methods.fd.fd.weight", "1.0", "2.0"] for line in changed.splitlines())
    dry = run(copy, study, "dvc", "repro", "--dry", "dvc.yaml")
    assert "pipeline student clip half fd 0" in dry
    shown = json.loads(run(copy, study, "dvc", "metrics", "show", "--json", "results/metrics.json"))
    assert set(next(iter(shown[""]["data"].values()))["data"]["clip"]["half"]) == {"none", "fd"}
    moved = run(copy, study, "dvc", "metrics", "diff", "--json")
    assert (
        before["clip"]["half"]["fd"]
        != json.loads((study / "results" / "metrics.json").read_text())["clip"]["half"]["fd"]
    )
    assert "clip.half.fd.retrieval/map_at_10" in moved
    plots = json.loads(run(copy, study, "dvc", "plots", "diff", "--json", "HEAD"))["data"]
    for plot in ("trade-off", "languages", "training"):
        (drawn,) = plots[f"dvc.yaml::{plot}"]
        before_too = plot != "languages"  # which need two seeds, and there was one
        assert set(drawn["revisions"]) == ({"HEAD", "workspace"} if before_too else {"workspace"})
        assert "vega-lite" in drawn["content"]["$schema"]
    experiments = run(copy, study, "dvc", "exp", "show", "--csv")
    assert "methods.fd.fd.weight" in experiments

    trained = {path: path.read_bytes() for path in (study / "runs").glob("*/run.json")}
    scored = repro(copy)
    assert len(ran(scored, "student")) == 8
    assert {path: path.read_bytes() for path in trained} == trained

    shutil.rmtree(study / "runs")
    restored = repro(copy)
    assert ran(restored, "student") == ran(restored, "evaluate") == []
    assert (study / "runs" / "clip-half-fd-s1" / "model.safetensors").is_file()
