"""What counts as declared, and what a declaration on file can and cannot say."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import pytest

from analysis import __main__ as command
from analysis import declaration, settings
from analysis.settings import AnalysisError, AnalysisSettings

CHOICES = {"primary": ["retrieval", "stability"], "smallest_effect": {"retrieval": 1.5}, "contrasts": ["fd"]}


def test_a_declaration_is_read_back_and_knows_its_settings(tmp_path: Path) -> None:
    made = declaration.declare(CHOICES, tmp_path / "d.json")
    found = declaration.read(tmp_path / "d.json")
    assert found == made
    assert (found.version, found.recorded) == (metadata.version("small-polyglots"), None)
    same = {**CHOICES, "alpha": 0.05, "primary": ["stability", "retrieval"], "contrasts": ["fd"]}
    assert found.changed(settings.parse({**same, "smallest_effect": {"retrieval": 1.5, "default": 2}})) == []
    assert found.changed(settings.parse({**CHOICES, "planned": ["a"], "language_resources": {"en": 1.0}})) == []
    other = {**CHOICES, "alpha": 0.1, "smallest_effect": {"retrieval": 1.0}, "hypotheses": ["FD costs nothing."]}
    assert found.changed(settings.parse(other)) == ["hypotheses", "alpha", "smallest_effect"]


def test_declared_runs_bind(tmp_path: Path) -> None:
    found = declaration.declare({**CHOICES, "planned": ["b", "a"]}, tmp_path / "d.json")
    assert found.changed(settings.parse({**CHOICES, "planned": ["a", "b"]})) == []
    assert found.changed(settings.parse({**CHOICES, "planned": ["a", "b", "c"]})) == ["planned"]


def test_a_declaration_is_made_once_and_cannot_be_edited(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    declaration.declare(CHOICES, path)
    with pytest.raises(AnalysisError, match="made once"):
        declaration.declare(CHOICES, path)
    values = json.loads(path.read_text())
    for change, match in (
        ({"settings": {**values["settings"], "contrasts": ["ed"]}}, "changed after it was written"),
        ({"declared_at": "yesterday"}, "'declared_at' is not a time"),
        ({"declared_at": "2026-01-01T00:00:00"}, "no time zone"),
        ({"comit": ""}, "unknown key 'comit'; did you mean 'commit'"),
    ):
        path.write_text(json.dumps({**values, **change}))
        with pytest.raises(AnalysisError, match=match):
            declaration.read(path)
    path.write_text(json.dumps({"settings": {}}))
    with pytest.raises(AnalysisError, match="'sha256' is missing"):
        declaration.read(path)


def test_only_matching_settings_from_before_the_results_are_declared(tmp_path: Path) -> None:
    found = declaration.declare(CHOICES, tmp_path / "d.json")
    chosen = settings.parse(CHOICES)
    later, earlier = (found.declared_at + timedelta(hours=h) for h in (1, -1))
    before = declaration.judged(chosen, found, later)
    assert before.declared("retrieval", "fd")
    assert "The results are younger" in before.declaration
    after = declaration.judged(chosen, found, earlier)
    assert not after.declared("retrieval", "fd")
    assert "The results are older" in after.declaration
    changed = declaration.judged(replace(chosen, alpha=0.01), found, later)
    assert not changed.declared("retrieval", "fd")
    assert "not the declared ones (alpha changed)" in changed.declaration


def test_without_settings_nothing_is_declared() -> None:
    chosen = settings.read(None)
    assert not chosen.declared("retrieval", "fd")
    assert "nothing here was declared" in declaration.judged(chosen, None, None).declaration
    undated = declaration.judged(AnalysisSettings(), None, None)
    assert undated.declared("retrieval", "fd")
    assert "No dated declaration" in undated.declaration


def test_the_commit_that_holds_the_declaration_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "a")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "d.json"
    made = declaration.declare(CHOICES, path)
    assert (made.commit, made.uncommitted_changes) == (git("rev-parse", "HEAD"), False)
    assert declaration.read(path).recorded is None
    assert "is not in git" in declaration.standing(declaration.read(path), settings.parse(CHOICES), None).text
    git("add", "d.json")
    git("commit", "-qm", "d")
    recorded = declaration.read(path).recorded
    assert recorded is not None
    assert recorded[0] == git("rev-parse", "HEAD")
    assert recorded[1] == datetime.fromisoformat(git("log", "-1", "--format=%cI"))
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "declared_at": "2020-01-01T00:00:00+00:00"}))
    assert declaration.read(path).recorded is None
    assert declaration.declare(CHOICES, tmp_path / "e.json").uncommitted_changes


def test_the_command_declares(tmp_path: Path, smoke: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.json").write_text(json.dumps(CHOICES))
    arguments = ["declare", "--settings", str(tmp_path / "s.json"), "--out", str(tmp_path / "d.json")]
    assert command.main([*arguments, "--results", str(tmp_path / "results")]) == 0
    assert "too late" not in capsys.readouterr().out
    assert command.main(arguments) == 2
    assert "made once" in capsys.readouterr().err
    arguments[-1] = str(tmp_path / "e.json")
    assert command.main([*arguments, "--results", str(smoke)]) == 0
    assert "this comes too late" in capsys.readouterr().out


def test_the_declared_settings_are_used_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    used: list[AnalysisSettings] = []

    def build(results: Path, out: Path, chosen: AnalysisSettings) -> list[str]:
        used.append(chosen)
        return []

    monkeypatch.setattr(command.page, "build", build)
    declaration.declare(CHOICES, tmp_path / "d.json")
    paths = ["--results", str(tmp_path / "results"), "--out", str(tmp_path / "out")]
    assert command.main([*paths, "--declaration", str(tmp_path / "d.json")]) == 0
    assert command.main(["report", *paths]) == 0
    capsys.readouterr()
    assert used[0].declared("stability", "fd")
    assert not used[0].declared("stability", "ed")
    assert not used[0].declared("vqa", "fd")
    assert not used[1].declared("stability", "fd")
    with pytest.raises(SystemExit, match="2"):
        command.main(["delcare", *paths])
    assert "invalid choice: 'delcare'" in capsys.readouterr().err


def test_the_oldest_result_counts(tmp_path: Path) -> None:
    for name, seconds in (("a", 100), ("b", 50)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (seconds, seconds))
    found = declaration.first_written(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert found == datetime.fromtimestamp(50, UTC)
    assert declaration.first_written(tmp_path / "c") is None


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
        ({"smallest_effect": float("inf")}, "above 0"),
        ({"smallest_effect": {"vqa": 10**400}}, "above 0"),
        ({"language_resources": {"en": -0.1}}, "0 or more"),
        ({"primary": ["retreival"]}, "primary outcome 'retreival'; did you mean 'retrieval'"),
        ({"primary": ["vqa", "vqa"]}, "'vqa' is twice in 'primary'"),
        ({"contrasts": ["fd", "fd"]}, "'fd' is twice in 'contrasts'"),
        ({"alpha": float("nan")}, "between 0 and 0.5"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(values: dict[str, object], match: str) -> None:
    with pytest.raises(AnalysisError, match=match):
        settings.parse(values)


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"alpha": 0.05, "alpha": 0.01}')
    with pytest.raises(AnalysisError, match="key 'alpha' is duplicated"):
        settings.read(tmp_path / "s.json")
