"""The command line: `small-polyglots`, or `python -m pipeline`, run in the folder of a study.

Each command imports what it needs when it runs: `--help` and a cell that only moves files load no heavy library.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline import paths, stage
from study.names import hint

app = typer.Typer(
    name="small-polyglots",
    help="Distil small multilingual dual encoders and say what it costs. Run in the folder of a study's params.yaml.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

STAGES = "Stages, which `dvc repro` runs"
TOOLS = "Tools"


def _in_grid(levels: str) -> Callable[[str], str]:
    """A check that a name is among those that the study's plan has, under `levels` in plan/grid.json."""

    def check(name: str) -> str:
        try:
            known = [str(level) for level in stage.read_json(paths.PLAN / "grid.json")[levels]]
        except stage.StageError as error:
            raise typer.BadParameter(str(error)) from None
        if str(name) not in known:
            raise typer.BadParameter(f"{name!r} is not in the grid of params.yaml{hint(str(name), known)}")
        return name

    return check


Arch = Annotated[
    str, typer.Argument(help="An architecture of the grid.", show_default=False, callback=_in_grid("archs"))
]
Size = Annotated[str, typer.Argument(help="A size of the grid.", show_default=False, callback=_in_grid("sizes"))]
Method = Annotated[str, typer.Argument(help="A method of the grid.", show_default=False, callback=_in_grid("methods"))]
Seed = Annotated[int, typer.Argument(help="A seed of the grid.", show_default=False, callback=_in_grid("seeds"))]


class Kind(StrEnum):
    """What the pool makes."""

    TEACHERS = "teachers"
    STUDENTS = "students"


@app.command(rich_help_panel=TOOLS)
def check() -> None:
    """Say everything that is wrong with params.yaml and what it names; make nothing."""
    from pipeline import validate

    with stage.main("check", hide_faults=True):
        validate.report()


@app.command(rich_help_panel=TOOLS)
def declare() -> None:
    """Write down the declared analysis, with time and commit, before there are results."""
    from pipeline import declare

    with stage.main("declare"):
        declare.run()


@app.command(rich_help_panel=TOOLS)
def tune(arch: Arch, size: Size, method: Method) -> None:
    """Search a method's settings on the validation split; a search that was killed goes on."""
    from pipeline import tune

    with stage.main("tune"):
        tune.run(arch, size, method)


@app.command("tune-all", rich_help_panel=TOOLS)
def tune_all() -> None:
    """Search the settings of every method, in every architecture and size, side by side by the declared engine."""
    from pipeline import tuning

    with stage.main("tune"):
        tuning.run()


@app.command(rich_help_panel=TOOLS)
def export(
    model: Annotated[str, typer.Argument(help="A student, as in runs/, or <arch>-teacher.", show_default=False)],
    to: Annotated[
        str,
        typer.Option(help="open_clip, transformers or sentence-transformers.", metavar="LIBRARY", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The folder to write; exported/<model> if left out.", show_default=False)
    ] = None,
) -> None:
    """Write a model, with its card, as a folder that another library loads."""
    from pipeline import export

    with stage.main("export"):
        folder = out or export.EXPORTED / model
        export.export(model, to, folder)
        print(f"export: {model} for {to} in {folder}; how to load it is in its README.md")


@app.command(rich_help_panel=TOOLS)
def mend() -> None:
    """Mend what a kill of DVC left cut short; `make repro` does so first."""
    from pipeline import mend

    with stage.main("mend"):
        for line in mend.mend(Path()):
            print(f"mend: {line}")


@app.command(rich_help_panel=TOOLS)
def ui(port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5000) -> None:
    """Open the study's runs in MLflow, on this machine alone."""
    from pipeline import ui

    with stage.main("ui"):
        ui.run(port)


@app.command(rich_help_panel=TOOLS)
def summary() -> None:
    """Print the findings, and where report, tables and runs are."""
    from pipeline import summary

    with stage.main("summary"):
        summary.run()


@app.command(rich_help_panel=TOOLS)
def part(
    what: Annotated[Kind, typer.Argument(help="What to make.", show_default=False)],
    which: Annotated[
        str,
        typer.Argument(help="Number of the part and of all parts, as 2/3.", metavar="NUMBER/OF", show_default=False),
    ],
) -> None:
    """Make a part of a kind on a machine that shares no folder with the others, for `dvc push --run-cache` to send."""
    from pipeline import part

    with stage.main("part"):
        part.run(what, which)


@app.command(rich_help_panel=TOOLS)
def take() -> None:
    """Fetch from DVC's remote what other machines have made of the study, before `make repro`."""
    from pipeline import part

    with stage.main("take"):
        part.take()


@app.command(rich_help_panel=TOOLS)
def schema(
    out: Annotated[
        Path | None, typer.Option(help="The file to write; printed if left out.", show_default=False)
    ] = None,
) -> None:
    """Write the JSON Schema of params.yaml, by which editors complete and check it."""
    from study.config.json_schema import text

    with stage.main("schema"):
        if out is None:
            print(text(), end="")
        else:
            out.write_text(text(), encoding="utf-8")


@app.command(rich_help_panel=STAGES)
def validate() -> None:
    """Check params.yaml and take it apart into plans."""
    from pipeline import validate

    with stage.main("validate"):
        validate.run()


@app.command(rich_help_panel=STAGES)
def prepare() -> None:
    """Download, check and render the corpus."""
    from pipeline import prepare

    with stage.main("prepare"):
        prepare.run()


@app.command(rich_help_panel=STAGES)
def pool(what: Annotated[Kind, typer.Argument(help="What to make.", show_default=False)]) -> None:
    """Make what is missing of a kind, on all cores or GPUs."""
    from pipeline import pool

    with stage.main("pool"):
        pool.run(what, paths.STAMPS[what])


@app.command(rich_help_panel=STAGES)
def teacher(arch: Arch) -> None:
    """Train one teacher, unless the pool has."""
    from pipeline.carry import carry_out
    from pipeline.work.teach import TeacherTask

    with stage.main("teacher"):
        carry_out(TeacherTask(arch))


@app.command(rich_help_panel=STAGES)
def embed(arch: Arch) -> None:
    """Write a teacher's outputs on everything that students meet."""
    from pipeline import embed

    with stage.main("embed"):
        embed.run(arch)


@app.command(rich_help_panel=STAGES)
def settle() -> None:
    """Give each method the values that tuning found."""
    from pipeline import settle

    with stage.main("settle"):
        settle.run()


@app.command(rich_help_panel=STAGES)
def student(arch: Arch, size: Size, method: Method, seed: Seed) -> None:
    """Train one student and score it on the test split, unless the pool has."""
    from pipeline.carry import carry_out
    from pipeline.work.distil import DistilTask
    from pipeline.work.score import EvaluateTask
    from study.config.grid import Cell

    with stage.main("student"):
        trained = DistilTask(Cell(arch, size, method, seed))
        carry_out(trained, EvaluateTask(trained, arch))


@app.command(rich_help_panel=STAGES)
def evaluate(arch: Arch) -> None:
    """Score one teacher on the test split, unless the pool has."""
    from pipeline.carry import carry_out
    from pipeline.work.score import EvaluateTask
    from pipeline.work.teach import TeacherTask

    with stage.main("evaluate"):
        carry_out(EvaluateTask(TeacherTask(arch), arch))


@app.command(rich_help_panel=STAGES)
def collect() -> None:
    """Put the scores of all cells into the result tables."""
    from pipeline import collect

    with stage.main("collect"):
        collect.run()


@app.command(rich_help_panel=STAGES)
def publish(
    or_later: Annotated[
        bool, typer.Option("--or-later", help="A store that cannot be used is told of and fails nothing.")
    ] = False,
) -> None:
    """Make MLflow show the declared cells, as the results have them, and the report."""
    from pipeline import publish

    with stage.main("publish"):
        publish.run(or_later)


@app.command(rich_help_panel=STAGES)
def analyse() -> None:
    """Fit the models, draw the figures, write the report."""
    from pipeline import analyse

    with stage.main("analyse"):
        analyse.run()


if __name__ == "__main__":
    app(prog_name="python -m pipeline")
