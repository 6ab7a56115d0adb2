"""The analysis of a folder of result tables.

python -m analysis --results results --out report [--settings settings.json] [--declaration declaration.json]
python -m analysis declare --settings settings.json --out declaration.json
python -m analysis power --results results --out power [--settings settings.json] [--seeds 3,5,10] [--languages 8,16]
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from analysis import assumptions, declaration, figures, power, report, settings


def main(arguments: list[str] | None = None) -> int:
    """Run the analysis; returns the exit status: 0, or 2 when results or settings cannot be used."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["declare"]:
            return _declare(given[1:])
        if given[:1] == ["power"]:
            return _power(given[1:])
        return _report(given[1:] if given[:1] == ["report"] else given)
    except settings.AnalysisError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _report(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description="Turn a folder of result tables into a report.",
        epilog="python -m analysis declare --help: write down, with time and commit, what was decided beforehand",
    )
    parser.add_argument("--results", type=Path, required=True, help="folder with the five result tables (parquet)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report; replaced as a whole")
    parser.add_argument("--settings", type=Path, help="JSON file with the declared choices; without it none is")
    parser.add_argument("--declaration", type=Path, help="file that `declare` wrote before there were results")
    given = parser.parse_args(arguments)
    chosen, values = settings.read(given.settings), settings.read_json(given.settings)
    found = declaration.read(given.declaration) if given.declaration else None
    findings = report.build(given.results, given.out, declaration.judged(chosen, values, found, written(given.results)))
    print("\n".join(findings))
    print(f"report: {given.out / 'report.html'}")
    return 0


def _declare(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m analysis declare",
        description="Write down the choices of a settings file, with time and commit, before there are results.",
    )
    parser.add_argument("--settings", type=Path, required=True, help="JSON file with the choices")
    parser.add_argument("--out", type=Path, required=True, help="the declaration; must not exist")
    given = parser.parse_args(arguments)
    found = declaration.declare(settings.read_json(given.settings), given.out, str(given.settings))
    print(f"declared {found.declared_at:%Y-%m-%d %H:%M} UTC, settings {found.sha256[:12]}: {given.out}")
    return 0


def _power(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m analysis power",
        description="What studies of other sizes would find: power over seeds and languages, as a table and a figure.",
    )
    parser.add_argument("--results", type=Path, help="folder with the result tables, whose variances are taken")
    parser.add_argument("--variances", type=Path, help="JSON file of standard deviations instead of results")
    parser.add_argument("--settings", type=Path, help="JSON file with the declared choices")
    parser.add_argument("--out", type=Path, required=True, help="folder of power.csv, power.svg and variances.json")
    parser.add_argument("--seeds", default=",".join(map(str, power.SEEDS)), help="by commas (default %(default)s)")
    parser.add_argument("--languages", default=",".join(map(str, power.LANGUAGES)), help="default %(default)s")
    parser.add_argument("--effect", type=float, help="true difference in points; default: smallest effects of interest")
    given = parser.parse_args(arguments)
    chosen = settings.read(given.settings)
    if (given.results is None) == (given.variances is None):
        raise settings.AnalysisError("give --results, or --variances before there are results")
    if given.effect is not None and not 0 < given.effect < float("inf"):
        raise settings.AnalysisError(f"--effect must be above 0, not {given.effect}")
    seeds, languages = _counts("seeds", given.seeds), _counts("languages", given.languages)
    rests_on = assumptions.read(given.variances, chosen) if given.variances else assumptions.load(given.results, chosen)
    table = power.table(rests_on, chosen, seeds, languages, given.effect)
    given.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.out / "power.csv", index=False)
    (given.out / "variances.json").write_text(json.dumps(assumptions.written(rests_on), indent=2) + "\n")
    figures.save(figures.power(table), given.out, "power")
    print("\n".join(power.sentences(table)))
    print(f"power: {given.out / 'power.csv'}")
    return 0


def _counts(name: str, text: str) -> list[int]:
    """Whole numbers between commas; one seed or language repeats nothing."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) >= 2 for part in parts):
        raise settings.AnalysisError(f"--{name}: a list of whole numbers of at least 2 is expected, not {text!r}")
    return sorted({int(part) for part in parts})


def written(results: Path) -> datetime | None:
    """When the table of cells was written; None if it is not there."""
    path = results / "cells.parquet"
    return datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
