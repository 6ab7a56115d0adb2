"""Stages `pool-teachers` and `pool`: what DVC would make one by one, made by all cores or GPUs at once.

DVC runs one stage at a time. This stage goes before the cells, makes what is missing into the scratch
place of each task, and leaves a stamp that never changes, so the cells wait for it and are not
invalidated by it. A cell whose result is not there, for whatever reason, makes it itself.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from pipeline import params, paths, stage
from pipeline.failures import Failures, model_of
from pipeline.progress import Board
from pipeline.tracking.telling import carry_out
from pipeline.tracking.watcher import watched
from pipeline.work.device import execution
from pipeline.work.distil import DistilTask
from pipeline.work.inputs import open_corpus
from pipeline.work.score import EvaluateTask
from pipeline.work.task import Task
from pipeline.work.teach import TeacherTask
from study.config.grid import cells

Job = Sequence[Task]
"""Tasks of one worker, in order: a student is trained, then scored."""


def jobs(what: str) -> list[Job]:
    """Everything that the grid declares of that kind."""
    grid = params.grid()
    if what == "teachers":
        return [(TeacherTask(arch),) for arch in grid.archs]
    teachers: list[Job] = [(EvaluateTask(TeacherTask(arch), arch),) for arch in grid.archs]
    students = [DistilTask(cell) for cell in cells(grid.archs, grid.sizes, grid.methods, grid.seeds)]
    return teachers + [(task, EvaluateTask(task, task.cell.arch)) for task in students]


def missing(job: Job) -> bool:
    return not all(task.in_place() or stage.is_done(task.folder) for task in job)


_device = "cpu"


def _start_worker(devices: multiprocessing.SimpleQueue, threads: int) -> None:
    global _device
    stage.die_with_parent()
    stage.limit_threads(threads)
    _device = devices.get()


def _work(job: Job) -> None:
    todo = [task for task in job if not (task.in_place() or stage.is_done(task.folder))]
    carry_out(todo, _device, lambda done, total, row: None)


def devices(wanted: str, workers: int | str) -> list[str]:
    """One entry a worker: every GPU once, or the CPU once a core."""
    import torch

    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda":
        names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        count = len(names) if workers == "auto" else int(workers)
        return [names[index % len(names)] for index in range(count)]
    count = (len(os.sched_getaffinity(0)) if wanted == "cpu" else 1) if workers == "auto" else int(workers)
    return [wanted] * count


def run_jobs(what: str, todo: list[Job], names: list[str], threads: int, on_failure: str = "stop") -> int:
    """Carry out `todo`, showing progress; how many of the students diverged, which is recorded.

    A job is given to a worker when one is free, so that none is begun after a failure if none shall be.

    Raises:
        StageError: something failed; all that did is named, after what was begun is done.
    """
    context = multiprocessing.get_context("spawn")
    places = context.SimpleQueue()
    for name in names:
        places.put(name)
    with Board(what, len(todo), len(names)) as board:
        failures = Failures(on_failure, board.say)
        pool = ProcessPoolExecutor(len(names), context, _start_worker, (places, threads))
        try:
            waiting, begun = list(reversed(todo)), dict[Future[None], Job]()
            while begun or waiting:
                while waiting and len(begun) < len(names):
                    job = waiting.pop()
                    begun[pool.submit(_work, job)] = job
                for future in wait(begun, return_when=FIRST_COMPLETED).done:
                    model = model_of(begun.pop(future)[0])
                    try:
                        future.result()
                    except BrokenProcessPool:
                        raise stage.StageError(
                            _killed([model, *(model_of(job[0]) for job in begun.values())])
                        ) from None
                    except Exception as error:
                        board.has_failed()
                        failures.add(model, error)
                    else:
                        board.finished()
                        failures.look(model)
                if failures.stop:
                    waiting.clear()
            pool.shutdown()  # waited for: an interrupt meets this frame, not the end of the interpreter
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                for worker in multiprocessing.active_children():
                    worker.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    failures.end(board.done, len(todo))
    return failures.recorded


def _killed(models: Sequence[Task]) -> str:
    """What is told of a worker that was killed while these were made; which of them was its own nobody knows."""
    names = ", ".join(model.name for model in models[:8]) + (f" and {len(models) - 8} more" if len(models) > 8 else "")
    return (
        f"a worker was killed while it made {'one of ' if len(models) > 1 else ''}{names} (out of memory? then lessen "
        "execution.workers); what is finished is kept: run `dvc repro` again"
    )


def run(what: str, stamp: Path) -> None:
    stage.sweep(paths.TEACHERS, paths.EMBEDDINGS, paths.RUNS, paths.SCORES)
    declared = jobs(what)
    todo = [job for job in declared if missing(job)]
    # DVC empties the outputs of a stage before it runs, also where only the bytes of an input are others.
    for task in (task for job in declared for task in job if task.in_place()):
        stage.keep(task.out, task.folder)
    if todo:
        open_corpus().verify()  # a cache that has decayed would go unnoticed otherwise
        started = time.perf_counter()
        where = execution()
        names = devices(where["device"], where["workers"])[: len(todo)]
        with watched():
            lost = run_jobs(what, todo, names, where["threads"], where["on_failure"])
        recorded = f", {lost} of them diverged, which is recorded," if lost else ""
        taken = f"{time.perf_counter() - started:.0f} s on {', '.join(names)}"
        print(f"pool: {len(todo)} {what}{recorded} in {taken}", flush=True)
    stamp.write_text(f"{what}: whatever was missing has been made\n")
