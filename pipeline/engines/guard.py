"""Ends what an embedded Ray leaves of itself when its driver is killed: python -m pipeline.engines.guard DRIVER FOLDER.

Ray's agents, which its raylet starts, outlive both by default. This process outlives the driver too, but for a moment:
it reads from a pipe that the driver never writes to, and the pipe ends with the driver.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SECONDS = 2.0
"""Between two looks at what Ray has started."""
ROOTS = ("raylet", "gcs_server")


class Process(NamedTuple):
    """One that cannot be taken for a later one with the same number."""

    pid: int
    started: str


def processes() -> Iterator[tuple[Process, int, str]]:
    """Every process of this machine with its parent and its name."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                head, _, tail = (entry / "stat").read_text().rpartition(") ")
                fields = tail.split()
                yield Process(int(entry.name), fields[19]), int(fields[1]), head.partition("(")[2]


def started_by_ray(driver: int) -> set[Process]:
    """The raylet of a driver, and all that it has started."""
    found = list(processes())
    inside = {process for process, parent, name in found if parent == driver and name in ROOTS}
    pids = {process.pid for process in inside}
    while more := {process for process, parent, _ in found if parent in pids} - inside:
        inside |= more
        pids = {process.pid for process in inside}
    return inside


def main(driver: int, folder: Path) -> None:
    known: set[Process] = set()
    while True:
        known |= started_by_ray(driver)
        ready, _, _ = select.select([sys.stdin], [], [], SECONDS)
        if ready:
            break
    for process in known & {found for found, _, _ in processes()}:
        with contextlib.suppress(OSError):
            os.kill(process.pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
