"""The command line: a command for every stage and tool, help for each, and errors of use that name what is allowed."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipeline.__main__ import app
from pipeline.sources import ROOT
from tests.pipeline import studies

COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
GRID = {"archs": ["clip", "siglip2"], "sizes": ["half"], "methods": ["none", "fd"], "seeds": [0, 1]}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    studies.declare(tmp_path, {"study": {"name": "tiny"}, "grid": GRID})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> tuple[int, str]:
    """Exit code, and what was printed, in one line and without the box that it is drawn in."""
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "TERMINAL_WIDTH": "200", "NO_COLOR": "1"})
    return done.exit_code, " ".join(re.sub(r"[^ -~]", " ", done.output).split())


def test_what_dvc_runs_are_commands() -> None:
    for name, declared in YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"].items():
        command = declared["cmd"].split()
        assert command[:3] == ["python", "-m", "pipeline"], name
        assert command[3] in COMMANDS


def test_what_the_makefile_runs_are_commands() -> None:
    used = re.findall(r"python -m pipeline (\S+)", (ROOT / "Makefile").read_text())
    assert len(used) >= 4
    assert set(used) <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    status, text = call(name, "--help")
    assert status == 0
    assert f"{name} [OPTIONS]" in text


def test_help_lists_every_command() -> None:
    status, text = call("--help")
    assert status == 0
    assert set(COMMANDS) <= set(text.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chek"], "Did you mean 'check'"),
        (["teacher"], "Missing argument"),
        (["teacher", "clpi"], "'clpi' is not in the grid of params.yaml; did you mean 'clip'? Allowed: clip, siglip2"),
        (["student", "clip", "half", "fd", "x"], "valid integer"),
        (["student", "clip", "half", "fd", "7"], "7 is not in the grid of params.yaml Allowed: 0, 1"),
        (["pool", "pupils"], "'students'"),
        (["export", "clip-half-fd-s0"], "Missing option"),
    ],
)
def test_wrong_use_is_told_and_ends_with_2(study: Path, arguments: list[str], told: str) -> None:
    status, text = call(*arguments)
    assert status == 2
    assert told in text


def test_outside_of_a_study_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, text = call("teacher", "clip")
    assert status == 2
    assert "params.yaml is not there: " in text
    assert "is not the folder of a study" in text


def test_a_library_that_cannot_be_loaded_is_one_line(study: Path) -> None:
    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))

    command = (sys.executable, "-m", "pipeline", "resolve")
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=study, env=env, capture_output=True, text=True, preexec_fn=bounded, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "a library cannot be loaded" in done.stderr
