"""Stages `pool-teachers` and `pool`: what DVC would make one by one, made by all cores or GPUs at once.

DVC runs one stage at a time. This stage goes before the cells, makes what is missing into the scratch
place of each task, and leaves a stamp that never changes, so the cells wait for it and are not
invalidated by it. A cell whose result is not there, for whatever reason, makes it itself.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from pipeline import logs, params, paths, recorded, stage
from pipeline.engines import engine
from pipeline.engines.base import Engine, Job, is_made
from pipeline.failures import CellError, Failures, model_of
from pipeline.progress import Board
from pipeline.recall import recalled
from pipeline.tracking.watcher import watched
from pipeline.work.device import execution
from pipeline.work.distil import DistilTask
from pipeline.work.inputs import open_corpus
from pipeline.work.score import EvaluateTask
from pipeline.work.teach import TeacherTask
from study.config.grid import cells

MOST_NAMES = 5
"""That are listed."""

READ = (paths.TEACHERS, paths.EMBEDDINGS)
"""What students are made from."""


def jobs(what: str) -> list[Job]:
    """Everything that the grid declares of that kind."""
    grid = params.grid()
    if what == "teachers":
        return [(TeacherTask(arch),) for arch in grid.archs]
    teachers: list[Job] = [(EvaluateTask(TeacherTask(arch), arch),) for arch in grid.archs]
    students = [DistilTask(cell) for cell in cells(grid.archs, grid.sizes, grid.methods, grid.seeds)]
    return teachers + [(task, EvaluateTask(task, task.cell.arch)) for task in students]


def missing(job: Job) -> bool:
    return not all(map(is_made, job))


def run_jobs(what: str, todo: list[Job], by: Engine, on_failure: str = "stop") -> int:
    """Carry out `todo`, showing progress; how many of the students diverged, which is recorded.

    Raises:
        StageError: something failed; all that did is named, after what was begun is done.
    """
    with (
        Board(what, len(todo), by.workers) as board,
        closing(by.carried(todo)) as ends,
    ):
        failures = Failures(on_failure, board.say)
        for one in ends:
            model = model_of(one.job[0])
            if one.error is None:
                board.finished()
                failures.look(model)
                continue
            board.has_failed()
            failures.add(CellError(model.name, one.error, str(logs.place(model.name))))
            if failures.stop:
                by.hold()
    failures.end(board.done, len(todo))
    return failures.recorded


def run(what: str, stamp: Path, number: int = 1, of: int = 1) -> list[Job]:
    """Make what is missing of a kind, or of that part of it; the jobs that this was about.

    Args:
        what: teachers or students.
        stamp: what is written then.
        number: of the part, from 1.
        of: parts that there are.

    Raises:
        StageError: something failed; what did not is kept.
    """
    stage.sweep(paths.TEACHERS, paths.EMBEDDINGS, paths.RUNS, paths.SCORES)
    declared = jobs(what)[number - 1 :: of]
    todo = [job for job in declared if missing(job)]
    if known := recalled(task for job in todo for task in job if not is_made(task)):
        print(
            f"pool: {len(known)} folders are in DVC's cache: {', '.join(sorted(set(known))[:MOST_NAMES])}", flush=True
        )
        todo = [job for job in todo if missing(job)]
    # DVC empties the outputs of a stage before it runs, also where only the bytes of an input are others.
    for task in (task for job in declared for task in job if task.in_place()):
        stage.keep(task.out, task.folder)
    if todo:
        open_corpus().verify()  # a cache that has decayed would go unnoticed otherwise
        if what == "students":
            recorded.verify(*(folder / arch for arch in params.grid().archs for folder in READ))
        started = time.perf_counter()
        where = execution()
        by = engine(where, len(todo))
        with watched():
            lost = run_jobs(what, todo, by, where.on_failure)
        outcomes = f", {lost} of them diverged, which is recorded," if lost else ""
        taken = f"{time.perf_counter() - started:.0f} s on {by.where}"
        print(f"pool: {len(todo)} {what}{outcomes} in {taken}", flush=True)
    stamp.write_text(f"{what}: whatever was missing has been made\n")
    return declared
