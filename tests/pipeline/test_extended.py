"""Who adds a corpus, an objective or a measure has it followed by the hashes of code, and a measure by the report."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import resolve, sources
from pipeline.sources import ROOT
from study import data as corpora
from study import objectives
from study.config.check import load
from study.data.emoji import CORPUS as EMOJI


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose packages a test may add to."""
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    monkeypatch.setattr(resolve, "ROOT", tmp_path)
    (tmp_path / "study" / "data" / "inner").mkdir(parents=True)
    return tmp_path


def test_relative_imports_are_followed(tree: Path) -> None:
    package = tree / "study" / "data" / "inner"
    (package / "__init__.py").write_text("from . import near\nfrom ..far import x\n")
    (package / "near.py").write_text("from .nearer import y\n")
    (package / "nearer.py").write_text("y = 1\n")
    (tree / "study" / "data" / "far.py").write_text("x = 1\n")
    found = {path.name for path in sources.closure(["study.data.inner"])}
    assert found == {"__init__.py", "near.py", "nearer.py", "far.py"}


def test_code_without_a_file_is_refused_by_name(tree: Path) -> None:
    with pytest.raises(sources.SourceError, match=r"study\.data\.nowhere"):
        sources.code_hash(["study.data.nowhere"])


@pytest.mark.parametrize("layout", ["file", "package"])
def test_a_corpus_is_hashed_whatever_it_is_called(layout: str, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "study.data.weather" if layout == "file" else "study.data.inner.weather"
    file = tree.joinpath(*module.split(".")).with_suffix(".py")
    file.write_text("x = 1\n")
    if layout == "package":
        (file.parent / "__init__.py").write_text("from .weather import x\n")

    def build(*_: object) -> None: ...

    build.__module__ = module if layout == "file" else "study.data.inner"
    Settings = type("Settings", (EMOJI.Settings,), {"__module__": module})
    changed: dict[str, Any] = {"build": build, "check": build, "Settings": Settings}
    mine = replace(EMOJI, record=replace(EMOJI.record, name="rain"), **changed)
    monkeypatch.setitem(corpora.CORPORA, "rain", mine)
    first = resolve.corpus_code("rain")
    file.write_text("x = 2\n")
    second = resolve.corpus_code("rain")
    assert second != first
    (file.parent / "weather.csv").write_text("sun\n")
    assert resolve.corpus_code("rain") != second


def test_an_objective_is_hashed_by_the_module_that_it_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives, "OBJECTIVES", {**objectives.OBJECTIVES, "rkd": "study.objectives.nowhere:Rkd"})
    with pytest.raises(sources.SourceError, match=r"study\.objectives\.nowhere"):
        resolve.model_code([], [], load(ROOT / "params.yaml").teachers["clip"], ["rkd"])


REPORT = """
from pathlib import Path
from typing import Any
import pandas as pd
from analysis import __main__ as command
from study.config import params
from study import records
from pipeline.tracking.score_metrics import score_metrics
from tests.analysis import simulate
folder = simulate.write(Path("made"), simulate.smoke())
table = pd.read_parquet(folder / "consistency.parquet")
rows = table[table["construct"] == "rankc"].assign(construct="added")
pd.concat([table, rows]).to_parquet(folder / "consistency.parquet")
assert command.main(["--results", str(folder), "--out", "report"]) == 0
measures = pd.read_csv("report/tables/measures.csv").set_index("measure")
assert measures.loc["added", "detail"] == "worked out so", measures.loc["added"]
assert measures.loc["added", "source"] == "ours"
contrasts = pd.read_csv("report/tables/contrasts.csv")
metrics = score_metrics({name: pd.read_parquet(folder / f"{name}.parquet") for name in records.TABLES})
assert all("consistency/added" in found for found in metrics.values()), metrics
HEADLINE
"""


@pytest.mark.parametrize("headline", [False, True])
def test_a_measure_that_is_declared_in_one_place_is_in_the_report(headline: bool, tmp_path: Path) -> None:
    for package in ("study", "analysis", "pipeline", "tests"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    measures = tmp_path / "study" / "measures.py"
    text = measures.read_text(encoding="utf-8")
    declared = 'CONSISTENCY_CONSTRUCTS = (\n    Measure("added", "new", True, detail="worked out so", source="ours"),\n'
    text = text.replace("CONSISTENCY_CONSTRUCTS = (\n", declared)
    if headline:
        text = text.replace('"consistency": ("rbo_excess"', '"consistency": ("added", "rbo_excess"')
    measures.write_text(text, encoding="utf-8")
    expected = "consistency:rbo_excess" if headline else "consistency:added"
    script = REPORT.replace("HEADLINE", f"assert {expected!r} in set(contrasts['outcome'])")
    env = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
