"""Every search is a job of the engine, on the device that the engine gives it."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from pipeline import stage, tune, tuning
from pipeline.engines.base import carry_out
from tests.pipeline import studies


def test_every_search_of_the_grid_runs_where_it_is_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    grid = {"archs": ["clip", "siglip2"], "sizes": ["half"], "methods": ["none", "dr"], "seeds": [0]}
    studies.declare(tmp_path, {"study": {"name": "tiny"}, "grid": grid})
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(tune, "run", lambda *names: ran.append(names))
    searches = tuning.jobs()
    assert [job[0].name for job in tuning.jobs("clip", method="dr")] == ["clip-half-dr"]
    assert len({job[0].name for job in searches}) == 4
    for number, job in enumerate(searches):
        assert carry_out(job, f"cuda:{number}") is None
    assert ran == [
        ("clip", "half", "none", "cuda:0"),
        ("clip", "half", "dr", "cuda:1"),
        ("siglip2", "half", "none", "cuda:2"),
        ("siglip2", "half", "dr", "cuda:3"),
    ]
    assert carry_out(searches[0], "cpu") is None, "a search that was stopped goes on"
    assert len(ran) == 5


def test_a_search_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def fails(*names: str) -> None:
        raise stage.StageError("no teacher is there")

    monkeypatch.setattr(tune, "run", fails)
    job = (tuning.SearchTask("clip", "half", "none"),)
    said = carry_out(job, "cpu")
    assert said is not None
    assert said.endswith("no teacher is there")


def test_a_trial_that_was_killed_leaves_no_gap_in_the_numbers() -> None:
    search = optuna.create_study(direction="maximize")
    search.ask()  # killed: nobody will tell of it
    for value in (0.25, 0.5):
        trial = search.ask()
        trial.suggest_float("learning_rate", 0.001, 0.01)
        search.tell(trial, value)
    plan = {"arch": "clip", "size": "half", "method": "fd", "seeds": [1000], "declared": {}}
    found = tune.outcome(search, plan)
    assert [trial["number"] for trial in found["trials"]] == [0, 1]
    assert found["best"]["learning_rate"] == pytest.approx(search.best_params["learning_rate"], rel=1e-5)
