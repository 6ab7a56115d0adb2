"""A whole study on checkpoints and data sets in the published formats, through the real `dvc repro`, offline."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from pipeline import stage
from tests import miniature
from tests.pipeline.studies import call, copy_tree, edit, run

STUDY = "studies/miniature"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone")
    copy_tree(folder)
    miniature.write(folder / STUDY)
    edit(
        folder / STUDY / "params.yaml",
        {"grid.seeds": [0], "grid.methods": ["none", "dr"], "students.training.steps": 4},
    )
    return folder


@pytest.mark.timeout(600)
def test_published_teachers_and_data_go_the_whole_way(copy: Path) -> None:
    study = copy / STUDY
    told = run(copy, study, "pipeline", "check")
    for place in ("checkpoints/open_clip_xlm_roberta", "checkpoints/small_encoder", "data/xm3600", "data/cvqa"):
        assert any(line.startswith("  there") and place in line for line in told.splitlines()), place
    for arch in ("clip", "siglip2"):
        assert any(f"students of {arch}: " in line and "FLOP" in line for line in told.splitlines()), told
        assert f"Assumed of {arch}, whose files do not say: texts" in told

    printed = run(copy, copy, "dvc", "repro", f"{STUDY}/dvc.yaml")
    assert "publish: 11 runs in mlflow.db: " in printed
    cells = pd.read_parquet(study / "results" / "cells.parquet").set_index("cell")
    students = {f"{a}-{s}-{m}-s0" for a in ("clip", "siglip2") for s in ("half", "small") for m in ("none", "dr")}
    assert set(cells.index) == students | {"clip-teacher", "siglip2-teacher"}
    assert (cells.loc[["clip-teacher", "siglip2-teacher"], "towers"] == "none").all()
    assert cells.loc["clip-half-dr-s0", "text_fraction"] == pytest.approx(0.75, abs=0.01)

    retrieval = pd.read_parquet(study / "results" / "retrieval.parquet")
    assert set(retrieval["language"]) == {"de", "en", "ja", "sw"}
    assert set(retrieval["protocol"]) == {"first-caption"}
    card = stage.read_json(study / "corpus" / "corpus.json")
    assert "sw" not in card["captions"]["distil"]
    answers = pd.read_parquet(study / "results" / "vqa.parquet")
    assert set(answers["language"]) == {"en", "es", "ja", "sw"}

    # Questions whose answers are held back are asked and not scored.
    submitted = pd.read_csv(study / "scores" / "clip-half-dr-s0" / "submission-cvqa-english.csv")
    assert list(submitted) == ["ID", "Prediction"]
    assert len(submitted) == 4
    assert not answers["question"].str.contains("|".join(submitted["ID"])).any()

    run_json = stage.read_json(study / "teachers" / "siglip2" / "run.json")
    assert run_json["settings"]["licence"] == "none, random weights"
    assert run_json["checkpoint"]["compared"].startswith("transformers ")
    lower = "texts are put into lower case as by Siglip2Tokenizer (its files name GemmaTokenizer)"
    assert run_json["checkpoint"]["assumed"] == [lower]
    assert stage.read_json(study / "runs" / "clip-small-dr-s0" / "run.json")["checkpoint"]["compared"]
    page = (study / "report" / "report.html").read_text(encoding="utf-8")
    assert f"assumed, since its files do not say: {lower}" in page
    assert "small: checkpoints/small_encoder; compared with transformers" in page
    split = pd.read_csv(study / "runs" / "siglip2-half-dr-s0" / "fragmentation.csv")
    assert set(split["language"]) == {"de", "en", "ja"}  # of validation
    assert (study / "report" / "report.html").stat().st_size > 50_000

    again = run(copy, copy, "dvc", "repro", f"{STUDY}/dvc.yaml")
    assert again.count("Running stage") == again.count("resolve':") == 1


def test_what_is_missing_is_said_before_anything_is_done(copy: Path, tmp_path: Path) -> None:
    study = copy / "studies" / "paper"
    done = call(copy, study, "pipeline", "check")
    assert done.returncode == 1
    assert "nothing was downloaded or trained" in done.stderr
    lines = done.stdout.splitlines()
    missing = [line for line in lines if line.startswith("  MISSING")]
    assert len(missing) == 7
    assert any("data/siglip2-base-patch16-256, 1.5 GB, Apache-2.0" in line for line in missing)
    assert any("data/coco" in line and "GB" in line for line in missing)
    assert any(line.startswith("30 students of clip") and "FLOP" in line for line in lines)

    # As soon as a teacher lies there it is counted as there.
    shutil.copytree(copy / STUDY / "checkpoints" / "transformers_siglip2", study / "data" / "siglip2-base-patch16-256")
    again = call(copy, study, "pipeline", "check").stdout
    assert "  there   teacher siglip2: data/siglip2-base-patch16-256" in again
    assert not (study / "resolved.json").exists()
