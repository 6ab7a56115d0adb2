"""`make declare`: what is decided of the analysis, with time and commit, beside params.yaml.

No stage of DVC, and no dependency of one: a declaration is made once, by hand, before there are results, and a study
may do without. The stage `analyse` reads it if it is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis import declaration
from pipeline import paths
from pipeline.analyse import first_result
from study.config.check import load
from study.config.grid import cells
from study.config.params import Params


def choices(params: Params) -> dict[str, Any]:
    """The settings of the analysis: what params.yaml says of it, and the runs that the grid plans."""
    grid = params.grid
    planned = [cell.name for cell in cells(grid.archs, grid.sizes, grid.methods, grid.seeds)]
    return {**params.analysis.model_dump(), "planned": planned}


def run() -> None:
    before = first_result()
    found = declaration.declare(choices(load(Path("params.yaml"))), paths.DECLARATION, "params.yaml, analysis")
    print(f"declare: {paths.DECLARATION}, settings {found.sha256[:12]}; commit it now, which is what dates it")
    if before is not None:
        print(f"declare: there are scores of {before:%Y-%m-%d %H:%M} UTC already: for those it comes too late")
    if found.uncommitted_changes:
        print("declare: files differ from the commit that it names; commit them first and declare again")
