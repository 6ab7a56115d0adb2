"""`python -m pipeline.validate [--check]`, as earlier versions called the stage `resolve` and `check`."""

from __future__ import annotations

import typer

from pipeline import check as checks
from pipeline import resolve, stage


def _former(check: bool = False) -> None:
    with stage.main("check" if check else "resolve", hide_faults=check):
        (checks if check else resolve).run()


if __name__ == "__main__":
    typer.run(_former)
