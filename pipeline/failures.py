"""Models that could not be made: what is told of them, when, and whether others are begun after them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline import logs, stage
from pipeline.work.run_files import diverged
from pipeline.work.score import EvaluateTask
from pipeline.work.task import Task

STOP, RECORD = "stop", "record"
"""What execution.on_failure can be."""
SHOWN = 240
"""Letters of a reason that is told while others are made; the log has all of it."""


class CellError(RuntimeError):
    """A model could not be made. It is made of texts alone, so it travels between processes whatever was raised."""

    def __init__(self, cell: str, reason: str, log: str) -> None:
        super().__init__(cell, reason, log)
        self.cell, self.reason, self.log = cell, reason, log

    def __str__(self) -> str:
        return f"{self.cell}: {self.reason}\n  log: {self.log}"


def model_of(task: Task) -> Task:
    """The model that a task makes or scores."""
    return task.model if isinstance(task, EvaluateTask) else task


def failed(model: Task, error: Exception) -> CellError:
    """What is told of `model`, which could not be made."""
    reason = stage.expected(error) or f"{type(error).__name__}: {error}".strip()
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        reason = f"out of memory; lessen execution.workers, or training.batch ({reason})"
    return CellError(model.name, reason, str(logs.place(model.name)))


def outcome(model: Task) -> str:
    """Why a model that is made has diverged; nothing of any other."""
    return diverged(model.out if model.in_place() else model.folder)


def short(reason: str) -> str:
    """One line."""
    line = " ".join(stage.told(reason).split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}..."


class Failures:
    """Those of one pool. The first is told at once, all of them at the end.

    Args:
        on_failure: execution.on_failure.
        say: shows a line.
    """

    def __init__(self, on_failure: str, say: Callable[[str], None]) -> None:
        self._on_failure, self._say = on_failure, say
        self._errors: dict[str, CellError] = {}
        self._diverged: dict[str, str] = {}

    @property
    def stop(self) -> bool:
        """Whether no further model is to be begun."""
        return bool(self._errors) and self._on_failure != RECORD

    def __len__(self) -> int:
        return len(self._errors)

    @property
    def recorded(self) -> int:
        """Students that diverged, as an outcome."""
        return len(self._diverged)

    def add(self, found: CellError) -> None:
        """A model that could not be made."""
        if not self._errors:
            self._say(f"{found.cell} failed: {short(found.reason)}\n  its log, with the traceback: {_shown(found.log)}")
        self._errors[found.cell] = found

    def look(self, model: Task) -> None:
        """A model that was made: whether what was recorded of it is that it diverged."""
        if reason := outcome(model):
            if not self._diverged:
                self._say(f"{model.name} diverged, which is recorded as its outcome: {short(reason)}")
            self._diverged[model.name] = reason

    def end(self, done: int, total: int) -> None:
        """Name what failed.

        Raises:
            StageError: something has.
        """
        if not self._errors:
            return
        left = total - done - len(self._errors)
        counts = f"{len(self._errors)} of {total} failed, {done} done and kept"
        if left:
            counts += f", {left} not begun (execution.on_failure is {self._on_failure})"
        lines = [f"  {e.cell}: {e.reason}\n    log: {_shown(e.log)}" for _, e in sorted(self._errors.items())]
        raise stage.StageError("\n".join([f"{counts}:", *lines]))


def _shown(log: str) -> str:
    return log if Path(log).is_file() else f"{log} (could not be written)"
