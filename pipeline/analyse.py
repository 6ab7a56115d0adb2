"""Stage `analyse`: the report, from the tables and the declared analysis."""

from __future__ import annotations

from pathlib import Path

from pipeline import paths, stage


def settings() -> dict[str, object]:
    """What the analysis is told beside the tables: the declaration, the planned cells, the resources."""
    from study.corpora.layout import PreparedCorpus

    plan = stage.read_json(paths.PLAN / "analysis.json")
    grid = stage.read_json(paths.PLAN / "grid.json")
    counts = PreparedCorpus(paths.CORPUS).card.captions["distil"]
    total = sum(counts.values())
    shares = {language: count / total for language, count in counts.items()}
    return {**plan, "planned": grid["cells"], "language_resources": shares}


def main() -> None:
    with stage.main("analyse"):
        from analysis.__main__ import run

        told = settings()

        def make(folder: Path) -> None:
            run(paths.RESULTS, folder, told)

        stage.write_folder(paths.REPORT, make)


if __name__ == "__main__":
    main()
