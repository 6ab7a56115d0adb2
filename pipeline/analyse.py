"""Stage `analyse`: the report, from the tables and the declared analysis."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths, provenance, stage

if TYPE_CHECKING:
    from analysis.settings import AnalysisSettings


def told() -> dict[str, Any]:
    """What the analysis is told beside the tables: its choices, the planned cells, the resources."""
    plan = stage.read_json(paths.PLAN / "analysis.json", control=str)
    plan.pop("code", None)
    counts = stage.read_json(paths.CORPUS / "corpus.json", captions=dict)["captions"]["distil"]
    total = sum(counts.values())
    shares = {language: count / total for language, count in counts.items()}
    planned = stage.read_json(paths.PLAN / "grid.json", cells=list)["cells"]
    return {**plan, "planned": planned, "language_resources": shares}


def first_result() -> datetime | None:
    """When the first score or table of results here was written; None if there is none."""
    from analysis.declaration import first_written

    return first_written(*paths.RESULTS.glob("*.parquet"), *paths.SCORES.glob("*/*.parquet"))


def chosen() -> AnalysisSettings:
    """The settings of params.yaml, and what the study's declaration, if it has one, makes of them."""
    from analysis import declaration, settings

    found = declaration.read(paths.DECLARATION) if paths.DECLARATION.is_file() else None
    return declaration.judged(settings.parse(told(), "params.yaml, analysis"), found, first_result())


def run() -> None:
    from analysis.report import page

    settings = chosen()

    def make(folder: Path) -> None:
        page.build(paths.RESULTS, folder / "report", settings, provenance.gather())
        for part in sorted((folder / "report").iterdir()):
            part.rename(folder / part.name)
        (folder / "report").rmdir()

    stage.write_folder(paths.REPORT, make)
