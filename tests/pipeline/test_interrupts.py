"""Ctrl-C at any moment: at most one line, also while modules load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.sources import ROOT

TOLD = "interrupted; what is finished is kept, `dvc repro` goes on from there"


@pytest.mark.parametrize(("command", "loading"), [("check", "typer.models"), ("repro", "dvc.env")])
def test_an_interrupt_while_modules_load_prints_no_traceback(tmp_path: Path, command: str, loading: str) -> None:
    # Python names on standard error each module that it has loaded; others, and seconds, follow these two.
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "pipeline", command], cwd=tmp_path, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.split("|")[-1].strip() == loading:
            process.send_signal(signal.SIGINT)
            break
    out, told = process.communicate(timeout=60)
    said = [line for line in told.splitlines() if line and not line.startswith("import time:")]
    assert process.returncode in (-signal.SIGINT, 1), said
    assert out == ""
    assert said == ([] if process.returncode == -signal.SIGINT else [f"{command}: {TOLD}"])


def test_what_was_started_to_ignore_interrupts_ignores_them(tmp_path: Path) -> None:
    code = (
        "import os, signal\nfrom pipeline import stage\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "with stage.main('one'):\n    os.kill(os.getpid(), signal.SIGINT)\nos.kill(os.getpid(), signal.SIGINT)\n"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
