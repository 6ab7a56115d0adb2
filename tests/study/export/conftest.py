"""Studies with a teacher and a student, one of each family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.study.export.exported import Study


@pytest.fixture(scope="session", params=["clip", "siglip2"])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    from tests.study.export.exported import write_study  # takes seconds, which only exports need

    return write_study(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def inside(study: Study, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(study.folder)
    return study
