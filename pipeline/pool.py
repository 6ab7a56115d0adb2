"""Stages `pool-teachers` and `pool`: what DVC would make one by one, made by all cores or GPUs at once.

DVC runs one stage at a time. This stage goes before the cells, makes what is missing into the scratch
place of each task, and leaves a stamp that never changes, so the cells wait for it and are not
invalidated by it. A cell whose result is not there, for whatever reason, makes it itself.
"""

from __future__ import annotations

import multiprocessing
import time
from contextlib import closing
from pathlib import Path

from pipeline import paths, stage
from pipeline.engines import engine
from pipeline.engines.base import Engine, Job, is_made, name_of
from pipeline.progress import Board
from pipeline.recall import recalled
from pipeline.tracking.watcher import watched
from pipeline.work.device import execution
from pipeline.work.distil import DistilTask
from pipeline.work.inputs import open_corpus
from pipeline.work.score import EvaluateTask
from pipeline.work.teach import TeacherTask
from study.config.grid import cells
from study.config.params import ExecutionSpec

MOST_NAMES = 5
"""That are listed."""


def jobs(what: str) -> list[Job]:
    """Everything that the grid declares of that kind."""
    grid = stage.read_json(paths.PLAN / "grid.json", archs=list, sizes=list, methods=list, seeds=list)
    if what == "teachers":
        return [(TeacherTask(arch),) for arch in grid["archs"]]
    teachers: list[Job] = [(EvaluateTask(TeacherTask(arch), arch),) for arch in grid["archs"]]
    students = [DistilTask(cell) for cell in cells(grid["archs"], grid["sizes"], grid["methods"], grid["seeds"])]
    return teachers + [(task, EvaluateTask(task, task.cell.arch)) for task in students]


def missing(job: Job) -> bool:
    return not all(map(is_made, job))


def run_jobs(what: str, todo: list[Job], by: Engine) -> None:
    """Carry out `todo`, showing progress; name what failed, after everything else is done.

    Raises:
        StageError: something failed; what did not is kept.
    """
    reports = multiprocessing.get_context("spawn").SimpleQueue()
    failed: dict[str, str] = {}
    with (
        Board(what, len(todo), by.workers, reports) as board,
        closing(by.carried(todo, lambda name, done, total: reports.put((name, done, total)))) as ends,
    ):
        for one in ends:
            if one.error is not None:
                failed[name_of(one.job)] = one.error
            board.finished(name_of(one.job))
    if failed:
        lines = "\n".join(f"  {name}: {why}" for name, why in sorted(failed.items()))
        raise stage.StageError(f"{len(failed)} of {len(todo)} failed, the others are kept:\n{lines}")


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
        started = time.perf_counter()
        by = engine(ExecutionSpec.model_validate(execution()), len(todo))
        with watched():
            run_jobs(what, todo, by)
        print(f"pool: {len(todo)} {what} in {time.perf_counter() - started:.0f} s on {by.where}", flush=True)
    stamp.write_text(f"{what}: whatever was missing has been made\n")
    return declared
