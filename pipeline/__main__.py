"""The command line: `small-polyglots`, or `python -m pipeline`, run in the folder of a study.

Each command imports what it needs when it runs: `--help` and a cell that only moves files load no heavy library.
"""

from __future__ import annotations

from pipeline import stage

if __name__ == "__main__":
    # While modules load, an interrupt would print a traceback, and a parent that ends would not be noticed.
    stage.on_interrupt(stage.END_AT_ONCE)
    stage.die_with_parent()

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline import paths
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


def _in_grid(levels: str) -> Callable[[str | None], str | None]:
    """A check that a name is among the `levels` that params.yaml declares."""

    def check(name: str | None) -> str | None:
        if name is None:
            return None
        from pipeline import params

        try:
            known = [str(level) for level in getattr(params.grid(), levels)]
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


@contextmanager
def _stage(name: str) -> Iterator[None]:
    """As `stage.main`, of a stage that DVC records: it fails if what it read has changed meanwhile."""
    from pipeline import params

    with stage.main(name), params.unchanged():
        yield


class Kind(StrEnum):
    """What the pool makes."""

    TEACHERS = "teachers"
    STUDENTS = "students"


@app.command(rich_help_panel=TOOLS)
def check() -> None:
    """Say everything that is wrong with params.yaml and what it names; make nothing."""
    from pipeline import check

    with stage.main("check", hide_faults=True):
        check.run()


@app.command(rich_help_panel=TOOLS)
def new(folder: Annotated[Path, typer.Argument(help="The folder to make; its name is the study's.")]) -> None:
    """Make the folder of a study of your own, here or in any git repository."""
    from pipeline import new

    with stage.main("new"):
        for line in new.new(folder):
            print(line)


@app.command(rich_help_panel=TOOLS)
def declare() -> None:
    """Write down the declared analysis, with time and commit, before there are results."""
    from pipeline import declare

    with stage.main("declare"):
        declare.run()


@app.command(rich_help_panel=TOOLS)
def tune(
    arch: Annotated[str | None, typer.Argument(help="All if left out.", callback=_in_grid("archs"))] = None,
    size: Annotated[str | None, typer.Argument(help="All if left out.", callback=_in_grid("sizes"))] = None,
    method: Annotated[str | None, typer.Argument(help="All if left out.", callback=_in_grid("methods"))] = None,
) -> None:
    """Search settings on the validation split, side by side by the declared engine; what was killed goes on."""
    from pipeline import tuning

    with stage.main("tune"):
        tuning.run(arch, size, method)


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
def status() -> None:
    """Say what is done, runs, failed and why, is stale, or is to do; also while the study runs."""
    from pipeline import status

    with stage.main("status"):
        status.run()


@app.command(rich_help_panel=TOOLS)
def verify(
    model: Annotated[str, typer.Argument(help="A student, as in runs/, or <arch>-teacher.", show_default=False)],
) -> None:
    """Make one model anew beside the study, and compare weights and scores byte for byte."""
    from pipeline import verify

    with stage.main("verify"):
        verify.run(model)


@app.command(rich_help_panel=TOOLS)
def mend() -> None:
    """Mend what a kill of DVC left cut short; `make repro` does so first."""
    from pipeline import mend

    with stage.main("mend"):
        for line in mend.mend(Path()):
            print(f"mend: {line}")


@app.command(rich_help_panel=TOOLS)
def repro(
    until: Annotated[str | None, typer.Argument(help="The last stage; all if left out.", metavar="STAGE")] = None,
) -> None:
    """Run what is missing or out of date, after `mend`; `make repro` also checks before, and says what was found."""
    from pipeline import repro

    with stage.main("repro"):
        status = repro.run(until)
    raise typer.Exit(status)


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
def resolve() -> None:
    """Check params.yaml, and write what follows from it: tuned values, hashes of code."""
    from pipeline import resolve

    with _stage("resolve"):
        resolve.run()


@app.command(rich_help_panel=STAGES)
def prepare() -> None:
    """Download, check and render the corpus."""
    from pipeline import prepare

    with _stage("prepare"):
        prepare.run()


@app.command(rich_help_panel=STAGES)
def pool(what: Annotated[Kind, typer.Argument(help="What to make.", show_default=False)]) -> None:
    """Make what is missing of a kind, on all cores or GPUs."""
    from pipeline import pool

    with _stage("pool"):
        pool.run(what, paths.STAMPS[what])


@app.command(rich_help_panel=STAGES)
def teacher(arch: Arch) -> None:
    """Train one teacher, unless the pool has."""
    from pipeline.carry import carry_out
    from pipeline.work.teach import TeacherTask

    with _stage("teacher"):
        carry_out(TeacherTask(arch))


@app.command(rich_help_panel=STAGES)
def embed(arch: Arch) -> None:
    """Write a teacher's outputs on everything that students meet."""
    from pipeline import embed, recorded

    with _stage("embed"):
        recorded.verify(paths.CORPUS, paths.TEACHERS / arch)
        embed.run(arch)


@app.command(rich_help_panel=STAGES)
def student(arch: Arch, size: Size, method: Method, seed: Seed) -> None:
    """Train one student and score it on the test split, unless the pool has."""
    from pipeline.carry import carry_out
    from pipeline.work.distil import DistilTask
    from pipeline.work.score import EvaluateTask
    from study.config.grid import Cell

    with _stage("student"):
        trained = DistilTask(Cell(arch, size, method, seed))
        carry_out(trained, EvaluateTask(trained, arch), reads=(paths.TEACHERS / arch, paths.EMBEDDINGS / arch))


@app.command(rich_help_panel=STAGES)
def evaluate(arch: Arch) -> None:
    """Score one teacher on the test split, unless the pool has."""
    from pipeline.carry import carry_out
    from pipeline.work.score import EvaluateTask
    from pipeline.work.teach import TeacherTask

    with _stage("evaluate"):
        carry_out(EvaluateTask(TeacherTask(arch), arch), reads=(paths.TEACHERS / arch,))


@app.command(rich_help_panel=STAGES)
def collect() -> None:
    """Put the scores of all cells into the result tables."""
    from pipeline import collect, recorded

    with _stage("collect"):
        recorded.verify_models(scores=True)
        collect.run()


@app.command(rich_help_panel=STAGES)
def publish(
    or_later: Annotated[
        bool, typer.Option("--or-later", help="A store that cannot be used is told of and fails nothing.")
    ] = False,
) -> None:
    """Make MLflow show the declared cells, as the results have them, and the report."""
    from pipeline import publish, recorded

    with _stage("publish"):
        recorded.verify(paths.RESULTS, paths.REPORT)
        recorded.verify_models()
        publish.run(or_later)


@app.command(rich_help_panel=STAGES)
def analyse() -> None:
    """Fit the models, draw the figures, write the report."""
    from pipeline import analyse, recorded

    with _stage("analyse"):
        recorded.verify(paths.RESULTS)
        recorded.verify(paths.CORPUS, files=("corpus.json",))
        analyse.run()


def main(name: str = "small-polyglots") -> None:
    """Run a command; a library that cannot be loaded, as where memory is bounded, is told in one line."""
    try:
        app(prog_name=name)
    except (ImportError, MemoryError) as error:
        sys.exit(f"{name}: a library cannot be loaded ({' '.join(str(error).split()) or 'out of memory'})")


if __name__ == "__main__":
    main("python -m pipeline")
