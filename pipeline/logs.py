"""A log file for each model: what its training prints, its warnings, and its traceback if it fails."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pipeline import paths


def place(cell: str) -> Path:
    """The log of the cell, or teacher, of that name."""
    return paths.LOGS / f"{cell}.log"


@contextlib.contextmanager
def logged(cell: str, about: str) -> Iterator[None]:
    """Add to the cell's log all that is printed within, by libraries in other languages too, and a traceback.

    Results never depend on a log: where none can be written, what is printed goes where it went before.

    Args:
        cell: its name.
        about: of the line that it begins with, after the time.
    """
    try:
        paths.LOGS.mkdir(parents=True, exist_ok=True)
        log = place(cell).open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
    except OSError:
        yield
        return
    with log, _into(log.fileno()), contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        write(f"--- {datetime.now().astimezone().isoformat(timespec='seconds')} {about}, process {os.getpid()}")
        fatal = not faulthandler.is_enabled()
        if fatal:  # a crash in native code leaves no other trace
            faulthandler.enable(log)
        try:
            with warnings.catch_warnings():  # warnings are shown once a process; here once a cell
                yield
        except Exception:
            with contextlib.suppress(OSError):
                traceback.print_exc()
            raise
        finally:
            if fatal:
                faulthandler.disable()


def write(line: str) -> None:
    """A line of the log that is written now; given up where the disk is full."""
    with contextlib.suppress(OSError):
        print(line, flush=True)


@contextlib.contextmanager
def _into(file: int) -> Iterator[None]:
    """Point the process's standard output and error to an open file, below Python's own."""
    kept = []
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
        kept.append((number, os.dup(number)))
        os.dup2(file, number)
    try:
        yield
    finally:
        for number, before in kept:
            os.dup2(before, number)
            os.close(before)
