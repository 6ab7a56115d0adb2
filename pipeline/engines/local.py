"""Engine `local`: processes of this machine that stay, one a core or a share of a GPU."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext

from pipeline import stage
from pipeline.engines.base import Ended, Engine, Job, carry_out, name_of
from study.config.params import ExecutionSpec

LAST_SECONDS = 10.0
"""Given to a worker that has nothing left to do."""


def devices(wanted: str, workers: int | str, per_gpu: int = 1) -> list[str]:
    """One entry a worker: every GPU `per_gpu` times, or the CPU once a core."""
    if wanted in ("auto", "cuda"):
        import torch  # takes seconds

        if wanted == "auto":
            wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda":
        names = [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cuda:0"]
        count = len(names) * per_gpu if workers == "auto" else int(workers)
        return [names[index % len(names)] for index in range(count)]
    if workers != "auto":
        return [wanted] * int(workers)
    return [wanted] * (len(os.sched_getaffinity(0)) if wanted == "cpu" else per_gpu)


def local(execution: ExecutionSpec, jobs: int) -> LocalEngine:
    """The engine for so many jobs on this machine."""
    names = devices(execution.device, execution.workers, execution.workers_per_gpu)
    return LocalEngine(names[:jobs], execution.threads)


class LocalEngine(Engine):
    """One process for each name of a device; a process that is killed costs the job that it had, and is replaced."""

    finishes = True

    def __init__(self, names: Sequence[str], threads: int) -> None:
        self.names, self.threads = list(names), threads
        self.workers, self.where = len(self.names), ", ".join(self.names)

    def run(self, jobs: Sequence[Job]) -> Generator[Ended, None, None]:
        context, waiting = multiprocessing.get_context("spawn"), deque(jobs)
        busy: dict[Connection, _Worker] = {}
        idle: list[_Worker] = []
        try:
            for device in self.names[: len(jobs)]:
                _next(_Worker(context, device, self.threads), waiting, busy, idle)
            while busy:
                for pipe in wait(list(busy)):
                    worker = busy[pipe]  # type: ignore[index]  # wait returns what it was given
                    job = worker.job
                    try:
                        error = worker.pipe.recv()
                    except (EOFError, OSError):
                        del busy[worker.pipe]
                        yield Ended(job, f"a worker was killed while it made {name_of(job)}{worker.end()}", lost=True)
                        if waiting and not self.held:
                            _next(_Worker(context, worker.device, self.threads), waiting, busy, idle)
                        continue
                    del busy[worker.pipe]
                    idle.append(worker)
                    yield Ended(job, error)
                    if waiting and not self.held:
                        _next(idle.pop(), waiting, busy, idle)
            for worker in idle:
                worker.dismiss()
        finally:
            for worker in [*busy.values(), *idle]:
                worker.kill()


def _next(worker: _Worker, waiting: deque[Job], busy: dict[Connection, _Worker], idle: list[_Worker]) -> None:
    """Give a worker the next job, or nothing more to do."""
    if not waiting:
        idle.append(worker)
        return
    worker.give(waiting.popleft())
    busy[worker.pipe] = worker


class _Worker:
    """A process, this end of its pipe, and its job."""

    def __init__(self, context: SpawnContext, device: str, threads: int) -> None:
        self.device = device
        self.job: Job = ()
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, device, threads), daemon=True)
        with _interrupts_held():
            self.process.start()
        theirs.close()  # with the process the last copy of it goes, and reading from this end fails

    def give(self, job: Job) -> None:
        self.job = job
        with contextlib.suppress(OSError):  # a process that has ended is met where its answer is read
            self.pipe.send(tuple(job))

    def end(self) -> str:
        """How the process ended, in words."""
        self.process.join(LAST_SECONDS)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f" (it ended with {code})"
        return f" ({signal.Signals(-code).name}; out of memory?)"

    def dismiss(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.process.join(LAST_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """A process that is started meanwhile never hears of Ctrl-C, which a terminal sends to all of a group.

    Whoever started it hears of it afterwards, and ends it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, device: str, threads: int) -> None:
    """A worker: jobs come in, what went wrong goes out, until there are none."""
    # A batch system tells a whole group of processes that its time is over; the one that started this one acts on it.
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    stage.die_with_parent(signal.SIGKILL)
    stage.limit_threads(threads)
    with contextlib.suppress(EOFError, BrokenPipeError):  # the other end is gone
        while (job := pipe.recv()) is not None:
            pipe.send(carry_out(job, device))
