"""A part of the work, made on a machine that shares no folder with the others: DVC's remote carries it.

What the part needs came with `dvc pull`, and `dvc push --run-cache` sends what it made. Elsewhere `take` fetches it,
and there the pool finds it, as DVC does.
"""

from __future__ import annotations

import re

from pipeline import paths, pool, stage
from pipeline.engines.base import is_made
from pipeline.recall import dvc, fetched
from pipeline.work.task import Task

STAGES = {"teachers": ("teacher",), "students": ("student", "evaluate")}
"""Stages of dvc.yaml that take what the pool makes of a kind."""


def run(what: str, which: str) -> None:
    """Make the part, and let DVC record it.

    Args:
        what: teachers or students.
        which: as `2/3`, the second of three.

    Raises:
        StageError: there is no such part, something failed, or DVC did.
    """
    number, of = parsed(which)
    made = pool.run(what, paths.STAMPS[what], number, of)
    names = dvc("stage", "list", "--name-only").split()
    stages = [name for job in made for name in [stage_of(job[0], STAGES[what], names)] if name is not None]
    if stages:
        dvc("repro", "--single-item", *stages)
    print(f"part: {len(stages)} of {what} are recorded; `dvc push --run-cache` sends them")


def take() -> None:
    """Fetch from DVC's remote what other machines have made of this study.

    Raises:
        StageError: DVC failed.
    """
    for what in paths.STAMPS:
        tasks = [task for job in pool.jobs(what) for task in job]
        found = fetched(task for task in tasks if not is_made(task))
        print(
            f"take: {what}: {len(found)} folders were fetched, {sum(not is_made(task) for task in tasks)} are missing"
        )


def parsed(which: str) -> tuple[int, int]:
    """Number of a part, from 1, and of all parts.

    Raises:
        StageError: it is not like `2/3`.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", which)
    if found is None or int(found[1]) > int(found[2]):
        raise stage.StageError(f"{which!r} is no part: write 2/3 for the second of three")
    return int(found[1]), int(found[2])


def stage_of(task: Task, kinds: tuple[str, ...], names: list[str]) -> str | None:
    """The stage of dvc.yaml that makes a task, whatever the order of its factors in the stage's name."""
    levels = sorted(re.sub(r"-s(?=[0-9]+$)", "-", task.name.removesuffix("-teacher")).split("-"))
    for name in names:
        kind, _, factors = name.partition("@")
        if kind in kinds and sorted(factors.split("-")) == levels:
            return name
    return None
