"""Engine `slurm`: one job array through submitit; each element makes its part of the jobs by the engine `local`.

The elements and the one who waits for them share the study's folder. An element that is told that its time is over,
or that it must give way, is queued again and goes on: with the jobs that are not finished, from their checkpoints.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import DelayedSubmission, FailedSubmissionError

from pipeline import sources, stage
from pipeline.engines.base import Ended, Engine, Job, is_made, name_of
from pipeline.engines.notes import Note, ended
from study.config.params import ExecutionSpec, Slurm

FOLDER = stage.SCRATCH / "slurm"
ARRAY = FOLDER / "array.json"
"""Is there while an array runs: what a driver that was killed has left behind."""
POLL = {"slurm": 5.0, "local": 0.3}
"""Seconds between two looks."""
GRACE = 15.0
"""Seconds in which an element ends after its last job, and its last note comes through a shared file system."""


class Part:
    """What an element of the array carries out: its jobs, on its node."""

    def __init__(self, folder: Path, note: Path, jobs: Sequence[Job], execution: ExecutionSpec) -> None:
        self.folder, self.note, self.jobs = str(folder), str(note), [tuple(job) for job in jobs]
        self.execution = execution.model_dump()

    def __call__(self) -> None:
        from pipeline.engines.local import local

        os.chdir(self.folder)
        stage.sweep()  # what an earlier turn on this very node has left; no other machine removes it
        note = Note(Path(self.note))
        engine = local(ExecutionSpec.model_validate(self.execution), len(self.jobs))
        # What an earlier turn of this element finished costs nothing: its folders are there.
        with closing(engine.carried(self.jobs)) as ends:
            for one in ends:
                note.end(name_of(one.job), one.error)

    def checkpoint(self) -> DelayedSubmission:
        """What is queued again: the same; how far it is lies in the study's folder."""
        return DelayedSubmission(self)


class SlurmEngine(Engine):
    """Makes jobs on the nodes of a cluster that the study's folder is shared with."""

    def __init__(self, execution: ExecutionSpec, jobs: int) -> None:
        self.execution, self.declared = execution, execution.slurm
        self.elements = min(self.declared.elements, jobs)
        self.workers = self.elements
        self.where = f"{self.elements} elements of an array ({self.declared.partition or self.declared.cluster})"

    def run(self, jobs: Sequence[Job]) -> Generator[Ended, None, None]:
        cancel_left()
        run = FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
        parts = [jobs[first :: self.elements] for first in range(min(self.elements, len(jobs)))]
        notes = [run / f"{number}.json" for number in range(len(parts))]
        here = Path.cwd()
        work = [Part(here, note, part, self.execution) for note, part in zip(notes, parts, strict=True)]
        by = executor(run / "%j", self.declared)
        array = submitted(by, work)
        stage.write_json(ARRAY, {"cluster": self.declared.cluster, "jobs": [job.job_id for job in array]})
        failed = False
        try:
            for one in self._awaited(array, parts, notes):
                failed |= one.error is not None
                yield one
            until = time.monotonic() + GRACE
            while not all(job.done() for job in array) and time.monotonic() < until:
                time.sleep(POLL["local"])
            if not failed:
                shutil.rmtree(run, ignore_errors=True)  # else its logs are of use
        finally:
            cancel(array)
            ARRAY.unlink(missing_ok=True)

    def _awaited(
        self, array: Sequence[Any], parts: Sequence[Sequence[Job]], notes: Sequence[Path]
    ) -> Generator[Ended, None, None]:
        left = {name_of(job): (job, number) for number, part in enumerate(parts) for job in part}
        gone: dict[int, float] = {}
        """Elements that are over, and since when."""
        while left:
            over = {number for number, since in gone.items() if time.monotonic() - since > self._grace()}
            for name, error in ended(notes).items():
                if name in left:
                    yield Ended(left.pop(name)[0], error)
            for name, (job, number) in list(left.items()):
                if number in over:
                    del left[name]
                    if all(map(is_made, job)):
                        yield Ended(job)
                    else:
                        yield Ended(job, _lost(array[number]), lost=True)
            for number in {number for _, number in left.values()} - set(gone):
                if array[number].done():
                    gone[number] = time.monotonic()
            if left:
                time.sleep(POLL[self.declared.cluster])

    def _grace(self) -> float:
        return GRACE if self.declared.cluster == "slurm" else 0.0


def executor(folder: Path, declared: Slurm) -> Any:
    """submitit's executor: what the array's batch script says of partition, time, memory, CPUs, GPUs and signals.

    Args:
        folder: where scripts and logs go, with `%j` for the array's number.
        declared: as in params.yaml.

    Raises:
        StageError: there is no Slurm on this machine.
    """
    # Where this project is not installed into the environment, it is found by its path.
    python = shlex.join(["env", f"PYTHONPATH={sources.ROOT}", sys.executable])
    if declared.cluster == "local":
        here = submitit.LocalExecutor(folder=folder, max_num_timeout=declared.requeues, python=python)
        here.update_parameters(
            timeout_min=declared.minutes, signal_delay_s=declared.notice, gpus_per_node=declared.gpus
        )
        return here
    try:
        by = submitit.SlurmExecutor(folder=folder, max_num_timeout=declared.requeues, python=python)
    except RuntimeError as error:
        raise stage.StageError(
            f"execution.engine is slurm, but {error}: run this on a machine that submits jobs, "
            "or declare execution.slurm.cluster: local to try it without Slurm"
        ) from None
    by.update_parameters(
        job_name="small-polyglots",
        time=declared.minutes,
        signal_delay_s=declared.notice,
        setup=declared.setup,
        additional_parameters={"requeue": True, **declared.options},
        array_parallelism=declared.elements,
        **({} if declared.partition is None else {"partition": declared.partition}),
        **({} if declared.memory is None else {"mem": f"{round(declared.memory * 1024)}M"}),
        **({} if declared.cpus is None else {"cpus_per_task": declared.cpus}),
        **({} if not declared.gpus else {"gpus_per_node": declared.gpus}),
    )
    return by


def submitted(by: Any, work: Iterable[Part]) -> list[Any]:
    """The jobs of an array.

    Raises:
        StageError: the cluster refused it; its words are told.
    """
    try:
        with by.batch():
            return [by.submit(part) for part in work]
    except FailedSubmissionError as error:
        raise stage.StageError(f"Slurm did not take the array: {' '.join(str(error).split())}") from None


def cancel(array: Iterable[Any]) -> None:
    """End what is still waiting or running of an array."""
    for job in array:
        if not job.done():
            with contextlib.suppress(Exception):  # it ended by itself meanwhile
                job.cancel()


def cancel_left() -> None:
    """End the array of a driver that was killed: it would make the same as the next one."""
    if not ARRAY.is_file():
        return
    left = stage.read_json(ARRAY, cluster=str, jobs=list)
    if left["cluster"] == "slurm":
        cancel(submitit.SlurmJob(folder=FOLDER / "%j", job_id=job) for job in left["jobs"])
    else:
        for pid in map(int, left["jobs"]):
            _end_controller(pid)
    ARRAY.unlink(missing_ok=True)


def _end_controller(pid: int) -> None:
    """End a local element, if this process still is one, and wait until it has."""
    command = Path(f"/proc/{pid}/cmdline")
    for _ in range(100):
        try:
            if b"submitit.local" not in command.read_bytes():
                return
            os.kill(pid, signal.SIGINT)
        except OSError:
            return
        time.sleep(0.1)


def _lost(job: Any) -> str:
    return f"its element of the array, job {job.job_id}, is over ({job.state}); its log is {job.paths.stderr}"
