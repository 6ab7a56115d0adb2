"""A short campaign of kills; benchmarks/kills.py has the long one."""

from __future__ import annotations

import pytest

from tests.kills.ground import Ground
from tests.kills.judge import Kill, judged

KILLS = [
    Kill(0, "prepare", "group", "INT", moment=0.5),
    Kill(1, "student", "dvc", "KILL", written="dvc.lock", moment=0.0),
]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """A study of two students that was run undisturbed."""
    made = Ground(tmp_path_factory.mktemp("ground"), {"grid.seeds": [0]}, "collect")
    made.make()
    return made


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: f"{kill.stage}: {kill.kind}")
def test_a_study_that_was_killed_ends_as_an_undisturbed_one(ground: Ground, kill: Kill) -> None:
    verdict = judged(ground, kill)
    assert verdict.hit
    # A machine that does more than it can takes longer over an end than a user would wait.
    assert [wrong for wrong in verdict.wrong if "s to end" not in wrong] == [], verdict.lines
