"""What every engine is: it carries out jobs somewhere, in any order, and says how each of them ended.

The interface is small because results do not pass through it. A job leaves finished folders in the study's scratch,
under names that say all they depend on; so an engine returns nothing but errors, and a job that is carried out twice
does no harm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from pipeline import stage
from pipeline.failures import CellError
from pipeline.tracking import telling
from pipeline.work.task import Task

Job = Sequence[Task]
"""Tasks of one worker, in order: a student is trained, then scored."""

ATTEMPTS = 2
"""Times that a job is begun whose process or machine is lost, before that is an error."""


@dataclass(frozen=True)
class Ended:
    """How a job ended."""

    job: Job
    error: str | None = None
    """What went wrong, in words; None if nothing did."""
    lost: bool = False
    """Whether it was not the job that failed: its process was killed, or its machine is gone."""


class Engine(ABC):
    """Carries out jobs. `workers` is how many it makes side by side, `where` says it in words."""

    workers: int
    where: str
    held = False
    finishes = False
    """Whether jobs that have begun are finished by an engine that is held; else they go on from checkpoints later."""

    def hold(self) -> None:
        """Begin no further job."""
        self.held = True

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> Generator[Ended, None, None]:
        """Carry out jobs, and yield each as it ends.

        Closing the iterator, or an exception of whoever reads it, ends at once what is still being made.

        Raises:
            StageError: nothing more can be made, as a cluster is not there.
        """

    def carried(self, jobs: Sequence[Job]) -> Generator[Ended, None, None]:
        """As `run`, with another attempt for jobs that were lost; they go on from their last checkpoints."""
        left = list(jobs)
        for attempt in range(1, ATTEMPTS + 1):
            lost: list[Ended] = []
            with closing(self.run(left)) as ends:
                for one in ends:
                    if one.lost and attempt < ATTEMPTS:
                        lost.append(one)
                    else:
                        yield one
                        if self.held and not self.finishes:
                            return
            if not lost or self.held:
                return
            for one in lost:
                print(f"pool: {name_of(one.job)} is begun again: {one.error}", flush=True)
            left = [one.job for one in lost]


def is_made(task: Task) -> bool:
    """Whether its result is there: where DVC expects it, or in the scratch."""
    return task.in_place() or stage.is_done(task.folder)


def name_of(job: Job) -> str:
    return job[0].name


def carry_out(job: Job, device: str) -> str | None:
    """Make what is missing of a job, in this process; returns what went wrong.

    This is the one place where work is done, whatever the engine.

    Args:
        job: the tasks.
        device: as torch names it.
    """
    try:
        todo = [task for task in job if not is_made(task)]
        if all(task.told for task in job):
            telling.carry_out(todo, device, _unheard)
            return None
        for task in todo:
            telling.logged(task, device, _unheard)
    except CellError as error:
        return error.reason
    return None


def _unheard(done: int, total: int, row: Mapping[str, float]) -> None:
    """Steps are read from journals, wherever they are made."""
