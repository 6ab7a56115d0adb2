"""One kill: a command is begun, meets it at its moment, and is followed until nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.kills.ground import RUNNING

MARK = "KILLS_MARK"
"""A variable of the environment by which the processes of a command are known, whoever their parent is."""
OF_MLFLOW = "pipeline.tracking.watch"
TARGETS: Mapping[str, str] = {
    "dvc": r" -m pipeline repro",
    "stage": r"^\S*python\S* -m pipeline (?!check|repro|summary)",
    "worker": r"multiprocessing\.spawn|submitit\.(core|local)|^ray::|default_worker\.py",
    "writer": re.escape(OF_MLFLOW),
}
"""Whom a kill goes to, beside `group`, by their command lines; `writer` is MLflow's."""
ENDS = {"dvc", "group", "stage"}
"""Whose end ends the command."""
BEGINS_SECONDS, ENDS_SECONDS, ORPHAN_SECONDS = 300.0, 400.0, 45.0
SPIN, LOOK = 0.0005, 0.1
"""Seconds between two looks at a file, and at all processes."""


@dataclass
class Struck:
    """What became of a command that was killed."""

    hit: bool = False
    """Whether the kill came before the command's end."""
    target: str = ""
    printed: str = ""
    after: str = ""
    """What was printed after the kill."""
    code: int = 0
    seconds: float = 0.0
    """From the kill until nothing but MLflow's writer was left."""
    orphans: list[str] = field(default_factory=list)
    """Command lines of processes that had to be ended."""
    mark: str = ""
    """Of its processes."""
    begun: list[str] = field(default_factory=list)
    """Stages that DVC began, in order."""


def marked(mark: str) -> dict[int, str]:
    """Processes with that mark, dead ones left out: their numbers and command lines."""
    found = {}
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if line and state not in "ZX":
                        found[int(entry.name)] = line
    return found


def strike(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    output: Path,
    when: Callable[[str, dict[int, str]], bool],
    delay: float,
    target: str,
    number: signal.Signals,
    written: Path | None = None,
    outlives: bool = False,
) -> Struck:
    """Begin a command and kill what is named.

    Args:
        command, folder, environment: as for subprocess.
        output: the file that it prints to.
        when: whether the moment has come from which the delay counts; given what was printed, and the processes.
        delay: seconds.
        target: one of TARGETS, or group.
        number: the signal.
        written: a file; the kill comes at once when it is being written after the delay.
        outlives: whether an array may go on without whoever submitted it, until the next run.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell; children would ignore it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    mark = uuid.uuid4().hex
    struck, spared = Struck(target=target, mark=mark), TARGETS["worker"] if outlives else "^$"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, env={**environment, MARK: mark}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        if _awaited(process, output, mark, when):
            _sleep(process, delay)
            if written is not None:
                _until_written(process, written)
            pid = _target(process, mark, target)
            before = output.stat().st_size
            if process.poll() is None and pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    (os.killpg if target == "group" else os.kill)(pid, number)
                    struck.hit = True
            began = time.monotonic()
            _gone(process, mark, ENDS_SECONDS, f"{spared}|{TARGETS['writer']}")
            struck.seconds = time.monotonic() - began
            struck.after = output.read_bytes()[before:].decode(errors="replace")
        struck.code = process.wait(ENDS_SECONDS)
        struck.orphans = _gone(process, mark, ORPHAN_SECONDS, spared)
    finally:
        if not outlives:
            end(mark)
    struck.printed = output.read_text(errors="replace")
    struck.begun = [match[0].split("'")[1].rpartition(":")[2] for match in RUNNING.finditer(struck.printed)]
    return struck


def _awaited(
    process: subprocess.Popen[bytes], output: Path, mark: str, when: Callable[[str, dict[int, str]], bool]
) -> bool:
    until = time.monotonic() + BEGINS_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if when(output.read_text(errors="replace"), marked(mark)):
            return True
        time.sleep(LOOK)
    return False


def _sleep(process: subprocess.Popen[bytes], seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and process.poll() is None:
        time.sleep(min(0.02, left))


def _state(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size


def _until_written(process: subprocess.Popen[bytes], file: Path) -> None:
    before, until = _state(file), time.monotonic() + 60.0
    while _state(file) == before and time.monotonic() < until and process.poll() is None:
        time.sleep(SPIN)


def _target(process: subprocess.Popen[bytes], mark: str, target: str) -> int | None:
    """Its number; waited for, as long as the command runs."""
    if target in ("group", "command"):
        return process.pid
    while process.poll() is None:
        for pid, line in sorted(marked(mark).items(), reverse=True):
            if re.search(TARGETS[target], line):
                return pid
        time.sleep(0.01)
    return None


def end(mark: str) -> list[str]:
    """End what is left of a command; the command lines."""
    left = marked(mark)
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return list(left.values())


def _gone(process: subprocess.Popen[bytes], mark: str, seconds: float, spared: str) -> list[str]:
    """Wait for the end of all processes but those whose command line has `spared`; those that are left."""
    until = time.monotonic() + seconds
    while found := [line for line in marked(mark).values() if not re.search(spared, line)]:
        process.poll()
        if time.monotonic() > until:
            return found
        time.sleep(LOOK)
    return []
