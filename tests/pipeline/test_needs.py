"""What a study of published models is said to cost before it runs."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import needs
from pipeline.sources import ROOT
from study.config.params import Params, read
from study.models.known_checkpoints import KNOWN

PAPER = ROOT / "studies" / "paper" / "params.yaml"


def declaring(objectives: dict[str, dict[str, Any]]) -> Params:
    """The paper study with one method, made of these objectives."""
    params = read(PAPER)
    grid = params.grid.model_copy(update={"methods": ["m"], "seeds": [0]})
    return params.model_copy(update={"methods": {"m": objectives}, "grid": grid})


@pytest.mark.parametrize(
    ("objectives", "captions"),
    [
        ({"fd": {}}, 1),
        ({"fd": {"view": "english"}}, 1),
        ({"fd": {"view": "english"}, "task": {}}, 2),
        ({"fd": {"view": "english", "layers": True}}, 2),
        ({"ed": {}}, 2),
        ({"dr": {"alpha": 1.0}}, 1),
    ],
)
def test_flop_follow_the_captions_that_the_options_ask_for(
    objectives: dict[str, dict[str, Any]], captions: int
) -> None:
    about = KNOWN["siglip2-base-patch16-256"]
    params = declaring(objectives)
    schedule = params.students.training
    tokens = schedule.steps * schedule.batch * captions * about.context
    assert needs.cost(params, about).flops == pytest.approx(6 * 0.5 * (about.text - about.table) * tokens)


@pytest.mark.parametrize("objectives", [{"ffd": {}}, {"dr": {"alpha": 1.5}}])
def test_objectives_that_the_check_will_refuse_are_counted_at_most(objectives: dict[str, dict[str, Any]]) -> None:
    assert needs.captions(declaring(objectives), "m") == 2
    assert needs.captions(declaring(objectives), "n") == 2
