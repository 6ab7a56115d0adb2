"""Stages `pool-teachers` and `pool`: what DVC would make one by one, made by all cores or GPUs at once.

DVC runs one stage at a time. This stage goes before the cells, makes what is missing into the scratch
place of each task, and leaves a stamp that never changes, so the cells wait for it and are not
invalidated by it. A cell whose result is not there, for whatever reason, makes it itself.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from pipeline import paths, stage
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
    grid = stage.read_json(paths.PLAN / "grid.json", archs=list, sizes=list, methods=list, seeds=list)
    if what == "teachers":
        return [(TeacherTask(arch),) for arch in grid["archs"]]
    teachers: list[Job] = [(EvaluateTask(TeacherTask(arch), arch),) for arch in grid["archs"]]
    students = [DistilTask(cell) for cell in cells(grid["archs"], grid["sizes"], grid["methods"], grid["seeds"])]
    return teachers + [(task, EvaluateTask(task, task.cell.arch)) for task in students]


def missing(job: Job) -> bool:
    return not all(task.in_place() or stage.is_done(task.folder) for task in job)


_report: multiprocessing.SimpleQueue[tuple[str, int, int]] | None = None
_device = "cpu"


def _start_worker(report: multiprocessing.SimpleQueue, devices: multiprocessing.SimpleQueue, threads: int) -> None:
    global _report, _device
    stage.die_with_parent()
    stage.limit_threads(threads)
    _report, _device = report, devices.get()


def _work(job: Job) -> None:
    name = job[0].name

    def progress(done: int, total: int, row: Mapping[str, float]) -> None:
        if _report is not None:
            _report.put((name, done, total))

    todo = [task for task in job if not (task.in_place() or stage.is_done(task.folder))]
    carry_out(todo, _device, progress)


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


def run_jobs(what: str, todo: list[Job], names: list[str], threads: int) -> None:
    """Carry out `todo`, showing progress; name what failed, after everything else is done."""
    context = multiprocessing.get_context("spawn")
    report, places = context.SimpleQueue(), context.SimpleQueue()
    for name in names:
        places.put(name)
    failed: dict[str, str] = {}
    initial = (report, places, threads)
    with Board(what, len(todo), len(names), report) as board:
        pool = ProcessPoolExecutor(len(names), mp_context=context, initializer=_start_worker, initargs=initial)
        try:
            futures: dict[Future[None], Job] = {pool.submit(_work, job): job for job in todo}
            for future in as_completed(futures):
                name = futures[future][0].name
                try:
                    future.result()
                except BrokenProcessPool:
                    raise stage.StageError(
                        f"a worker was killed while it made {name} or another cell (out of memory?); "
                        "what is finished is kept: run `dvc repro` again"
                    ) from None
                except Exception as error:
                    failed[name] = "".join(traceback.format_exception_only(error)).strip()
                board.finished(name)
            pool.shutdown()  # waited for: an interrupt meets this frame, not the end of the interpreter
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                for worker in multiprocessing.active_children():
                    worker.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failed:
        lines = "\n".join(f"  {name}: {why}" for name, why in sorted(failed.items()))
        raise stage.StageError(f"{len(failed)} of {len(todo)} failed, the others are kept:\n{lines}")


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
            run_jobs(what, todo, names, where["threads"])
        print(f"pool: {len(todo)} {what} in {time.perf_counter() - started:.0f} s on {', '.join(names)}", flush=True)
    stamp.write_text(f"{what}: whatever was missing has been made\n")
