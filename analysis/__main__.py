"""The analysis of a folder of result tables.

python -m analysis --results results --out report [--settings settings.json] [--declaration declaration.json]
python -m analysis declare --settings settings.json --out declaration.json [--results results]
python -m analysis power --results results --out power [--settings settings.json] [--seeds 3,5,10] [--languages 8,16]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from analysis import declaration, figures, settings
from analysis.power import assumptions, power
from analysis.report import page
from analysis.settings import AnalysisError
from study import records


@dataclass(frozen=True)
class Command:
    """A subcommand: what it does, its options, and what carries it out and returns the lines to print."""

    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], list[str]]


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand, `report` where none is named; returns 0, or 2 when results or settings cannot be used."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0].startswith("-") and given[0] not in ("-h", "--help"):
        given.insert(0, "report")
    parser = argparse.ArgumentParser(
        prog="python -m analysis", description="The analysis of a folder of result tables.",
        epilog="Without a command: report.",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, command in COMMANDS.items():
        command.options(commands.add_parser(name, help=command.help, description=f"{command.help}."))
    chosen = parser.parse_args(given)
    try:
        lines = COMMANDS[chosen.command].run(chosen)
    except AnalysisError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


def _report_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--results", type=Path, required=True, help="folder with the result tables (parquet)")
    add("--out", type=Path, required=True, help="folder of the report; replaced as a whole")
    add("--settings", type=Path, help="JSON file with the choices; without it, those of the declaration")
    add("--declaration", type=Path, help="file that `declare` wrote before there were results")


def _report(given: argparse.Namespace) -> list[str]:
    found = declaration.read(given.declaration) if given.declaration else None
    chosen = settings.read(given.settings)
    if found is not None and given.settings is None:
        chosen = settings.parse(found.settings, str(given.declaration))
    findings = page.build(given.results, given.out, declaration.judged(chosen, found, _written(given.results)))
    return [*findings, f"report: {given.out / 'report.html'}"]


def _declare_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--settings", type=Path, required=True, help="JSON file with the choices")
    add("--out", type=Path, required=True, help="the declaration; must not exist")
    add("--results", type=Path, help="folder where results will be: says so if there are some already")


def _declare(given: argparse.Namespace) -> list[str]:
    found = declaration.declare(settings.read_json(given.settings), given.out, str(given.settings))
    lines = [f"declared {found.declared_at:%Y-%m-%d %H:%M} UTC, settings {found.sha256[:12]}: {given.out}"]
    there = _written(given.results) if given.results else None
    if there is not None:
        lines.append(f"{given.results} holds results of {there:%Y-%m-%d %H:%M} UTC: for those this comes too late")
    return [*lines, f"commit {given.out} now: a commit that others have seen is what dates it"]


def _written(results: Path) -> datetime | None:
    return declaration.first_written(*(results / f"{name}.parquet" for name in records.TABLES))


def _power_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--results", type=Path, help="folder with the result tables, whose variances are taken")
    source.add_argument("--variances", type=Path, help="JSON file of standard deviations instead of results")
    add("--settings", type=Path, help="JSON file with the declared choices")
    add("--out", type=Path, required=True, help="folder of power.csv, power.svg and variances.json")
    add("--seeds", default=",".join(map(str, power.SEEDS)), help="by commas (default %(default)s)")
    add("--languages", default=",".join(map(str, power.LANGUAGES)), help="by commas (default %(default)s)")
    add("--effect", type=float, help="true difference in points; default: smallest effects of interest")


def _power(given: argparse.Namespace) -> list[str]:
    chosen = settings.read(given.settings)
    if given.effect is not None and not 0 < given.effect < float("inf"):
        raise AnalysisError(f"--effect must be above 0, not {given.effect}")
    seeds, languages = _counts("seeds", given.seeds), _counts("languages", given.languages)
    rests_on = assumptions.read(given.variances, chosen) if given.variances else assumptions.load(given.results, chosen)
    table = power.table(rests_on, chosen, seeds, languages, given.effect)
    given.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.out / "power.csv", index=False)
    (given.out / "variances.json").write_text(json.dumps(assumptions.written(rests_on), indent=2) + "\n")
    figures.save(figures.power(table), given.out, "power")
    return [*power.sentences(table), f"power: {given.out / 'power.csv'}"]


def _counts(name: str, text: str) -> list[int]:
    """Whole numbers between commas; one seed or language repeats nothing."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) >= 2 for part in parts):
        raise AnalysisError(f"--{name}: a list of whole numbers of at least 2 is expected, not {text!r}")
    return sorted({int(part) for part in parts})


COMMANDS: Mapping[str, Command] = {
    "report": Command("turn a folder of result tables into a report", _report_options, _report),
    "declare": Command("write down what was decided, before there are results", _declare_options, _declare),
    "power": Command("what studies of other sizes would find: a table and a figure", _power_options, _power),
}

if __name__ == "__main__":
    sys.exit(main())
