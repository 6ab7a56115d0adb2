"""Simulated studies shared by the tests of the analysis."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.analysis import simulate


@pytest.fixture(scope="session")
def medium_plan() -> simulate.Plan:
    """Two architectures, one size, four methods, four seeds, twelve languages."""
    return simulate.Plan(
        sizes=("half",), methods=("none", "fd", "sd", "dr"), seeds=4, languages=list(simulate.LANGUAGES[:12]),
        vqa_languages=10, questions=80,
    )  # fmt: skip


@pytest.fixture(scope="session")
def medium(tmp_path_factory: pytest.TempPathFactory, medium_plan: simulate.Plan) -> Path:
    return simulate.write(tmp_path_factory.mktemp("medium"), medium_plan)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate.write(tmp_path_factory.mktemp("smoke"), simulate.smoke())
