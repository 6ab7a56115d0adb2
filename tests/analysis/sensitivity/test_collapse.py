"""Indicators of collapse: against which runs, from which limit, in which words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.data.load import StudyData, load
from analysis.sensitivity import collapse
from analysis.settings import AnalysisSettings


@pytest.fixture(scope="module")
def study(medium: Path) -> StudyData:
    return load(medium, AnalysisSettings())


def with_indicators(study: StudyData, changed: dict[str, dict[str, float]]) -> StudyData:
    """Every run with the same indicators in two languages, but for `changed`: run -> indicator -> value."""
    same = {"effective_rank": 20.0, "hubness": 1.0, "top_answer": 0.3}
    rows = [
        (cell, language, indicator, changed.get(cell, {}).get(indicator, value))
        for cell in study.cells["cell"] for language in ("en", "de") for indicator, value in same.items()
    ]  # fmt: skip
    return replace(study, collapse=pd.DataFrame(rows, columns=["cell", "language", "indicator", "score"]))


def tripped(study: StudyData, changed: dict[str, dict[str, float]]) -> set[tuple[str, str]]:
    table = collapse.analyse(with_indicators(study, changed), "none")
    return set(table.loc[table["tripped"], ["cell", "indicator"]].itertuples(index=False, name=None))


def test_runs_that_are_alike_trip_nothing(study: StudyData) -> None:
    table = collapse.analyse(with_indicators(study, {}), "none")
    assert not table["tripped"].any()
    assert collapse.sentence(table) == ""
    assert len(table) == 3 * (study.cells["role"] == "student").sum()


@pytest.mark.parametrize(
    ("indicator", "inside", "outside"),
    [("effective_rank", 15.1, 14.9), ("hubness", 2.4, 2.6), ("top_answer", 0.39, 0.41)],
)
def test_a_run_trips_beyond_the_limit_from_its_control(
    study: StudyData, indicator: str, inside: float, outside: float
) -> None:
    cell = "clip-half-fd-s1"
    assert tripped(study, {cell: {indicator: inside}}) == set()
    assert tripped(study, {cell: {indicator: outside}}) == {(cell, indicator)}


def test_the_control_is_held_against_its_teacher(study: StudyData) -> None:
    control = {f"clip-half-none-s{seed}": {"effective_rank": 9.0} for seed in range(4)}
    assert tripped(study, control) == {(cell, "effective_rank") for cell in control}
    assert tripped(study, {cell: {"effective_rank": 11.0} for cell in control}) == set()


def test_the_sentence_names_method_place_and_runs(study: StudyData) -> None:
    changed = {f"clip-half-sd-s{seed}": {"effective_rank": 4.0, "top_answer": 0.7} for seed in range(3)}
    said = collapse.sentence(collapse.analyse(with_indicators(study, changed), "none"))
    assert said == (
        "Signs of collapse, so that sameness is no gain there: SD in clip half (effective rank 4.0, reference 20.0, in "
        "3 of 4 runs and share of the most frequent answer 0.70, reference 0.30, in 3 of 4 runs)."
    )


def test_a_folder_without_indicators_has_none(study: StudyData) -> None:
    assert collapse.analyse(replace(study, collapse=pd.DataFrame()), "none").empty
