"""How a study stands: what is done, runs, failed and why, is stale, or is still to do; also while it runs.

A model is done if the result that is there has the fingerprint that params.yaml, resolved.json and the files it is made
from give now. What runs and what failed is read from the journals. Nothing is made or changed, but for a note of its
own in the scratch.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import failures, logs, params, paths, stage
from pipeline.progress import duration, here, stand
from pipeline.sources import PACKAGES, ROOT
from pipeline.tracking.journal import FAILED
from pipeline.tracking.live import KILLED, RUNNING, Live, Reader
from pipeline.work import inputs
from pipeline.work.distil import DistilTask
from pipeline.work.score import EvaluateTask
from pipeline.work.task import Task
from pipeline.work.teach import TeacherTask
from study.config.grid import Cell, cells

if TYPE_CHECKING:
    from rich.table import Table

DONE, DIVERGED, RUNS, FAILS, STALE, TODO = "done", "diverged", "running", "failed", "stale", "to do"
STATES = (DONE, DIVERGED, RUNS, FAILS, STALE, TODO)
COLOURS = {DONE: "green", DIVERGED: "yellow", RUNS: "cyan", FAILS: "red", STALE: "magenta", TODO: "dim"}
NOTE = stage.SCRATCH / "teachers.json"
LISTED = 20
"""Names of a state that are told."""


@dataclass(frozen=True)
class Standing:
    """One model: its state, and what there is to say of it."""

    name: str
    place: str
    """`clip half`, or `teachers`."""
    method: str
    state: str
    why: str = ""


@contextlib.contextmanager
def noted(archs: Iterable[str]) -> Iterator[None]:
    """Within, a teacher's files are read only if their sizes or times are others than when they were last read here.

    Whoever makes something reads them always.
    """
    known: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(stage.StageError):
        known = stage.read_json(NOTE) if NOTE.is_file() else {}
    before = json.dumps(known)
    try:
        for arch in archs:
            files = sorted(path for path in (paths.TEACHERS / arch).rglob("*") if path.is_file())
            if not files:
                continue
            state = [[str(file), at.st_size, at.st_mtime_ns, at.st_ino] for file in files for at in [file.stat()]]
            if known.get(arch, {}).get("state") != state:
                known[arch] = {"state": state, "content": inputs.teacher_content(arch)}
            inputs.NOTED[arch] = known[arch]["content"]
        if json.dumps(known) != before:
            with contextlib.suppress(OSError):
                stage.write_json(NOTE, known)
        yield
    finally:
        inputs.NOTED.clear()


def standings() -> list[Standing]:
    """Every declared teacher, then every student, in the order in which they are made.

    Raises:
        StageError: params.yaml or dvc.yaml declares no study.
    """
    grid = params.grid()
    with noted(grid.archs):
        return _standings(grid)


def _standings(grid: params.Grid) -> list[Standing]:
    lives = Reader().read()
    found, taught = [], {}
    for arch in grid.archs:
        teacher = TeacherTask(arch)
        one = _standing(teacher, [teacher, EvaluateTask(teacher, arch)], "teachers", arch, lives, "")
        # A teacher that is there and not scored yet has students that can be trusted.
        taught[arch] = "" if _state(teacher, [teacher], lives)[0] == DONE else f"its teacher is {one.state}"
        found.append(one)
    for cell in cells(grid.archs, grid.sizes, grid.methods, grid.seeds):
        task = DistilTask(cell)
        tasks = [task, EvaluateTask(task, cell.arch)]
        found.append(_standing(task, tasks, _place(cell), cell.method, lives, taught[cell.arch]))
    return found


def _place(cell: Cell) -> str:
    return f"{cell.arch} {cell.size}"


def _standing(
    model: Task, tasks: Sequence[Task], place: str, method: str, lives: dict[str, Live], above: str
) -> Standing:
    state, why = _state(model, tasks, lives)
    if above and state in (DONE, DIVERGED):
        state, why = STALE, above
    return Standing(model.name, place, method, state, why)


def _state(model: Task, tasks: Sequence[Task], lives: dict[str, Live]) -> tuple[str, str]:
    """The state of a model that is made by `tasks`, and why or how far."""
    there = any(task.out.is_dir() for task in tasks)
    try:
        fingerprint = model.fingerprint
        made = all(task.in_place() or stage.is_done(task.folder) for task in tasks)
    except stage.StageError as error:  # what it is made from is not there yet
        return (STALE, failures.short(str(error))) if there else (TODO, "")
    live = lives.get(fingerprint)
    if live is not None and live.state == RUNNING:
        return RUNS, f"{stand(live)} on {here(live)}, for {duration(time.time() - live.started)}"
    if made:
        reason = failures.outcome(model)
        return (DIVERGED, reason) if reason else (DONE, "")
    if live is not None and live.state == FAILED:
        return FAILS, f"{live.reason}; log: {logs.place(model.name)}"
    if live is not None and live.state == KILLED:
        return TODO, f"stopped ({stand(live)})"
    return (STALE, "") if there else (TODO, "")


def changed_since_resolved() -> str:
    """A line on code or tuned values that are newer than resolved.json, which alone says what they make stale."""
    if not paths.RESOLVED.is_file():
        return f"{paths.RESOLVED} is not there yet: run `make repro`"
    resolved = paths.RESOLVED.stat().st_mtime
    tuned = Path(params.block("tuning")["values"])
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    newer = [file for file in (*files, *tuned.glob("*.json")) if file.stat().st_mtime > resolved]
    if not newer:
        return ""
    shown = newer[0].relative_to(ROOT) if newer[0].is_relative_to(ROOT) else newer[0]
    more = f" and {len(newer) - 1} more" if len(newer) > 1 else ""
    return f"{shown}{more} changed since the last `make repro`; what that makes stale is not shown"


def counts(found: Iterable[Standing]) -> dict[str, int]:
    """Models of each state that there is."""
    states = [one.state for one in found]
    return {state: states.count(state) for state in STATES if state in states}


def lines(found: Sequence[Standing]) -> list[str]:
    """What there is to say in words: counts, and each state but `done` with names and reasons."""
    said = ", ".join(f"{number} {state}" for state, number in counts(found).items())
    out = [f"{params.grid().study}: {said} of {len(found)} models"]
    for state in (RUNS, FAILS, DIVERGED):
        out += [f"{state}: {one.name}: {failures.short(one.why)}" for one in found if one.state == state][:LISTED]
    for state in (STALE, TODO):
        names = [one.name + (f" ({failures.short(one.why)})" if one.why else "") for one in found if one.state == state]
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        out += [f"{state}: {', '.join(names[:LISTED])}{more}"] if names else []
    return [*out, *filter(None, [changed_since_resolved()])]


def table(found: Sequence[Standing]) -> Table:
    """Methods by architecture and size: how many of each state."""
    from rich.table import Table

    students = [one for one in found if one.place != "teachers"]
    places, methods = (list(dict.fromkeys(getattr(one, key) for one in students)) for key in ("place", "method"))
    out = Table(title=params.grid().study, title_justify="left")
    for name in ("", *places):
        out.add_column(name)
    taught = [one for one in found if one.place == "teachers"]
    by_arch = {one.method: _shown([one]) for one in taught}
    out.add_row("teacher", *(by_arch.get(place.split()[0], "") for place in places), end_section=True)
    by_place = {
        (m, p): [one for one in students if (one.method, one.place) == (m, p)] for m, p in product(methods, places)
    }
    for method in methods:
        out.add_row(method, *(_shown(by_place[method, place]) for place in places))
    return out


def _shown(some: Sequence[Standing]) -> str:
    return ", ".join(f"[{COLOURS[state]}]{number} {state}[/]" for state, number in counts(some).items())


def run() -> None:
    """Print it: a table and what needs words on a terminal, plain lines elsewhere."""
    found = standings()
    if sys.stdout.isatty():
        from rich.console import Console

        Console(soft_wrap=True).print(table(found))
    for line in lines(found):
        print(line)
