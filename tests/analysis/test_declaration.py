"""What counts as declared, and what a declaration on file can and cannot say."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from analysis import __main__ as command
from analysis import declaration, settings
from analysis.settings import AnalysisError, Settings

CHOICES = {"primary": ["retrieval", "stability"], "smallest_effect": {"retrieval": 1.5}, "contrasts": ["fd"]}


def test_a_declaration_is_read_back_and_knows_its_settings(tmp_path: Path) -> None:
    made = declaration.declare(CHOICES, tmp_path / "d.json")
    found = declaration.read(tmp_path / "d.json")
    assert found == made
    assert found.matches(dict(reversed(list(CHOICES.items()))))
    assert found.matches({**CHOICES, "planned": ["a"], "language_resources": {"en": 1.0}})
    assert not found.matches({**CHOICES, "alpha": 0.1})


def test_a_declaration_is_made_once_and_cannot_be_edited(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    declaration.declare(CHOICES, path)
    with pytest.raises(AnalysisError, match="made once"):
        declaration.declare(CHOICES, path)
    values = json.loads(path.read_text())
    values["settings"]["contrasts"] = ["ed"]
    path.write_text(json.dumps(values))
    with pytest.raises(AnalysisError, match="changed after it was written"):
        declaration.read(path)
    path.write_text("[]")
    with pytest.raises(AnalysisError, match="not a declaration"):
        declaration.read(path)


def test_only_matching_settings_from_before_the_results_are_declared(tmp_path: Path) -> None:
    found = declaration.declare(CHOICES, tmp_path / "d.json")
    chosen = settings.parse(CHOICES)
    later, earlier = (found.declared_at + timedelta(hours=h) for h in (1, -1))
    before = declaration.judged(chosen, CHOICES, found, later)
    assert before.declared("retrieval", "fd")
    assert ", before the result tables were written" in before.declaration
    after = declaration.judged(chosen, CHOICES, found, earlier)
    assert not after.declared("retrieval", "fd")
    assert "AFTER" in after.declaration
    other = {**CHOICES, "alpha": 0.01}
    changed = declaration.judged(settings.parse(other), other, found, later)
    assert not changed.declared("retrieval", "fd")
    assert "NOT the declared ones" in changed.declaration


def test_without_settings_nothing_is_declared(tmp_path: Path) -> None:
    chosen = settings.read(None)
    assert not chosen.declared("retrieval", "fd")
    assert "nothing here was declared" in declaration.judged(chosen, {}, None, None).declaration
    undated = declaration.judged(Settings(), {}, None, None)
    assert undated.declared("retrieval", "fd")
    assert "No dated declaration" in undated.declaration


def test_the_command_declares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.json").write_text(json.dumps(CHOICES))
    arguments = ["declare", "--settings", str(tmp_path / "s.json"), "--out", str(tmp_path / "d.json")]
    assert command.main(arguments) == 0
    assert command.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out.startswith("declared ")
    assert "made once" in said.err


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"smallest_effect": {"retreival": 0.1}}, "'retreival'; did you mean 'retrieval'"),
        ({"smallest_effect": {"retrieval": True}}, "above 0"),
        ({"smallest_effect": {"retrieval": float("nan")}}, "above 0"),
        ({"language_resources": {"en": "much"}}, "language -> share"),
        ({"control": 1}, "'control' must be text"),
        ({"primary": 3}, "'primary' must be a list"),
        ({"covariates": "seed"}, "'covariates' must be a list"),
        ({"is_declared": True}, "unknown key 'is_declared'"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(values: dict[str, object], match: str) -> None:
    with pytest.raises(AnalysisError, match=match):
        settings.parse(values)
