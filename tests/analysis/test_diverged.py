"""Runs that diverged are outcomes: named with their reason, in no estimate, and what rests on the others is said."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.data import load
from analysis.report import page as report
from analysis.settings import AnalysisError, AnalysisSettings
from study import records
from tests.analysis import simulate

LOST = "clip-half-fd-s1"
WHY = "the loss is nan at step 27 of 60"


def without(folder: Path, *cells: str, scored: bool = False) -> Path:
    """A small study in which those runs, or LOST, diverged."""
    tables, lost = simulate.tables(simulate.smoke()), cells or (LOST,)
    rows = []
    for cell in lost:
        arch, size, method, seed = cell.split("-")
        row = {"cell": cell, "arch": arch, "size": size, "method": method, "seed": int(seed[1:]), "step": 27}
        rows.append(row | {"reason": WHY, "learning_rate": 0.03, "device": "cpu", "fingerprint": "f"})
    tables["diverged"] = records.check(pd.DataFrame(rows), records.DIVERGED)
    folder.mkdir()
    for name, frame in tables.items():
        kept = frame if scored or name == "diverged" or "cell" not in frame else frame[~frame["cell"].isin(lost)]
        kept.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def test_the_report_names_it_and_what_the_estimates_rest_on(tmp_path: Path) -> None:
    settings = AnalysisSettings(planned=tuple(c for c in simulate.tables(simulate.smoke())["cells"]["cell"]))
    study = load.load(without(tmp_path / "results"), settings)
    assert study.diverged == {LOST: WHY}
    assert LOST not in study.missing
    assert all(LOST not in set(outcome.frame["cell"]) for outcome in study.headlines.values())

    report.build(tmp_path / "results", tmp_path / "report", settings)
    runs = pd.read_csv(tmp_path / "report" / "tables" / "runs.csv").set_index("cell")
    assert tuple(runs.loc[LOST, ["arch", "method", "seed", "status", "why"]]) == ("clip", "fd", 1, "diverged", WHY)
    said = f"1 run diverged in training and is in no estimate: {LOST} (why: tables/runs.csv)."
    findings = (tmp_path / "report" / "findings.txt").read_text(encoding="utf-8")
    assert said in findings
    assert "of seeds, clip-half-fd on 1 of 2." in findings
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert LOST in page


def test_a_run_that_diverged_and_has_scores_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match=rf"diverged.parquet: cell '{LOST}' is in cells too"):
        load.load(without(tmp_path / "results", scored=True), AnalysisSettings())


def test_without_a_control_the_runs_that_diverged_are_named(tmp_path: Path) -> None:
    controls = ("clip-half-none-s0", "clip-half-none-s1")
    with pytest.raises(
        AnalysisError, match="no run of the control 'none'; diverged in training: " + ", ".join(controls)
    ):
        load.load(without(tmp_path / "all", *controls), AnalysisSettings())
    with pytest.raises(AnalysisError, match=r"so nothing is paired: .*; diverged in training: clip-half-none-s0"):
        load.load(without(tmp_path / "one", controls[0], "clip-half-fd-s1"), AnalysisSettings())
