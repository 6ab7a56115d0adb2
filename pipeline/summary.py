"""What `make repro` says at the end: the findings, and where everything is."""

from __future__ import annotations

from pathlib import Path

from pipeline import paths, stage
from pipeline.tracking.journal import PENDING


def catch_up() -> None:
    """What could not be published when it was made is tried again; a store that is away still is no error."""
    if PENDING.exists():
        from pipeline import publish

        publish.run(or_later=True)


def run() -> None:
    findings = paths.REPORT / "findings.txt"
    if not findings.is_file():
        raise stage.StageError(f"{findings} is not there: the study is not finished, run `make repro` again")
    here = Path.cwd()
    catch_up()
    study = "" if (here / "pyproject.toml").is_file() else f" STUDY={here.name}"
    print()
    print(findings.read_text(encoding="utf-8").rstrip())
    print()
    print(f"report   {here / paths.REPORT / 'report.html'}")
    print(f"tables   {here / paths.RESULTS}")
    print(f"MLflow   make ui{study}")
