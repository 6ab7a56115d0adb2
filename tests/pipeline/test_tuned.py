"""Tuned values: applied where they belong, refused where they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import stage
from pipeline.tuned import apply, check, completed, values_of

DECLARED: dict[str, Any] = {
    "objectives": {"mcl": {"weight": 1.0, "tau": 0.07}},
    "fraction": 0.5,
    "spec": {"training": {"steps": 10, "learning_rate": 0.003}},
}


def test_values_reach_the_schedule_and_the_objective_and_leave_the_plan_alone() -> None:
    applied = apply(DECLARED, {"learning_rate": 0.01, "mcl.tau": 0.2})
    assert applied["spec"]["training"] == {"steps": 10, "learning_rate": 0.01}
    assert applied["objectives"] == {"mcl": {"weight": 1.0, "tau": 0.2}}
    assert DECLARED["objectives"]["mcl"]["tau"] == 0.07
    assert DECLARED["spec"]["training"]["learning_rate"] == 0.003


@pytest.mark.parametrize("key", ["dr.tau", "steps", "mcl."])
def test_a_value_that_fits_nothing_is_refused_by_name(key: str) -> None:
    with pytest.raises(stage.StageError, match=key):
        apply(DECLARED, {key: 1.0})


@pytest.mark.parametrize(
    ("found", "said"),
    [({"learning_rate": "fast"}, "training.learning_rate is 'fast'"), ({"mcl.tau": -1.0}, "tau is -1.0")],
)
def test_a_value_that_nothing_can_be_trained_by_is_refused_by_its_files_name(found: dict[str, Any], said: str) -> None:
    training = {"steps": 10, "batch": 8, "learning_rate": 0.003}
    applied = apply({**DECLARED, "spec": {"training": training}}, found)
    with pytest.raises(stage.StageError) as raised:
        check(applied, Path("tuning/clip-half-mcl.json"))
    assert str(raised.value).startswith("tuning/clip-half-mcl.json, ")
    assert said in str(raised.value)


def test_an_option_added_since_does_not_put_tuned_values_aside(tmp_path: Path) -> None:
    file = tmp_path / "clip-half-fd.json"
    training = {"steps": 10, "batch": 8, "learning_rate": 0.003}
    teacher = {"family": "clip", "model": "m", "vocabulary": 300, "context": 20, "training": training}
    then = {"fraction": 0.5, "spec": {"training": training}, "teacher": teacher}
    stage.write_json(file, {"declared": then, "best": {"learning_rate": 0.01}})
    now = completed(then)
    assert now["spec"]["language_alpha"] == 0.0
    assert values_of(file, now) == {"learning_rate": 0.01}
    assert values_of(file, {**now, "spec": {**now["spec"], "language_alpha": 0.5}}) == {}


def test_values_found_for_another_declaration_are_not_used_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "clip-half-mcl.json"
    assert values_of(file, DECLARED) == {}
    stage.write_json(file, {"declared": DECLARED, "best": {"learning_rate": 0.01}})
    assert values_of(file, DECLARED) == {"learning_rate": 0.01}
    assert capsys.readouterr().out == ""
    assert values_of(file, {**DECLARED, "fraction": 0.25}) == {}
    assert "fraction differ" in capsys.readouterr().out
