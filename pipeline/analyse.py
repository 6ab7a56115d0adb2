"""Stage `analyse`: the report, from the tables and the declared analysis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import paths, provenance, stage


def told() -> dict[str, Any]:
    """What the analysis is told beside the tables: the declaration, the planned cells, the resources."""
    plan = stage.read_json(paths.PLAN / "analysis.json")
    plan.pop("code")
    counts = stage.read_json(paths.CORPUS / "corpus.json")["captions"]["distil"]
    total = sum(counts.values())
    shares = {language: count / total for language, count in counts.items()}
    planned = stage.read_json(paths.PLAN / "grid.json")["cells"]
    return {**plan, "planned": planned, "language_resources": shares}


def main() -> None:
    with stage.main("analyse"):
        from analysis import report, settings

        declared = settings.parse(told(), "params.yaml, analysis")

        def make(folder: Path) -> None:
            report.build(paths.RESULTS, folder / "report", declared, provenance.gather())
            for part in sorted((folder / "report").iterdir()):
                part.rename(folder / part.name)
            (folder / "report").rmdir()

        stage.write_folder(paths.REPORT, make)


if __name__ == "__main__":
    main()
