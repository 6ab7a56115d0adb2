"""The analysis of a folder of result tables.

python -m analysis --results results --out report [--settings settings.json] [--declaration declaration.json]
python -m analysis declare --settings settings.json --out declaration.json
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from analysis import declaration, report, settings


def main(arguments: list[str] | None = None) -> int:
    """Run the analysis; returns the exit status: 0, or 2 when results or settings cannot be used."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["declare"]:
            return _declare(given[1:])
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


def written(results: Path) -> datetime | None:
    """When the table of cells was written; None if it is not there."""
    path = results / "cells.parquet"
    return datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
