"""Turn a folder of result tables into a report: python -m analysis --results results --out report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from analysis import report, settings


def main(arguments: list[str] | None = None) -> int:
    """Run the analysis; returns the exit status: 0, or 2 when results or settings cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder with the five result tables (parquet)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report; replaced as a whole")
    parser.add_argument("--settings", type=Path, help="JSON file with the declared choices")
    given = parser.parse_args(arguments)
    try:
        findings = report.build(given.results, given.out, settings.read(given.settings))
    except settings.AnalysisError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(findings))
    print(f"report: {given.out / 'report.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
