"""Stage `analyse`: the report, from the tables and the declared analysis."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import params, paths, provenance, stage
from study.config.params import AnalysisSpec

if TYPE_CHECKING:
    from analysis.settings import AnalysisSettings


def told() -> dict[str, Any]:
    """What the analysis is told beside the tables: its choices, the planned cells, the resources."""
    with params.from_file(paths.PARAMS):
        declared = AnalysisSpec.model_validate(params.of_stage("analyse")["analysis"]).model_dump()
    grid = params.grid()
    counts = stage.read_json(paths.CORPUS / "corpus.json", captions=dict)["captions"]["distil"]
    total = sum(counts.values())
    shares = {language: count / total for language, count in counts.items()}
    return {
        **declared,
        "study": grid.study,
        "description": grid.description,
        "planned": grid.cells,
        "language_resources": shares,
    }


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
        page.build(paths.RESULTS, folder / "report", settings, provenance.gather(params.of_stage("analyse")["tuned"]))
        for part in sorted((folder / "report").iterdir()):
            part.rename(folder / part.name)
        (folder / "report").rmdir()

    stage.write_folder(paths.REPORT, make)
