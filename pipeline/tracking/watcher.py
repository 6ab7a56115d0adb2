"""A watcher beside the work, `watch` as a process of its own, and the lock that lets one send at a time."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator

from pipeline.tracking import journal

LOCK = journal.LIVE / "lock"
LAST_SECONDS = 20.0
"""Given to a watcher after the work, as long as its server answers or may be back."""

_left_alone: list[subprocess.Popen[bytes]] = []
"""Watchers that end by themselves; collected while they run, they would be warned of."""


@contextlib.contextmanager
def publishing(seconds: float) -> Iterator[bool]:
    """Held by one process of a study's folder at a time; False after so many seconds of waiting for another."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as file:
        until = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    yield False
                    return
                time.sleep(0.1)
            else:
                yield True
                return


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """A watcher runs beside what is done within.

    It waits for it after success only: whoever was interrupted or failed goes at once, and the watcher ends by itself.
    """
    try:
        # In a session of its own, neither Ctrl-C nor the kill of a group reaches it, and it notes how the runs ended.
        watcher = subprocess.Popen(
            [sys.executable, "-m", "pipeline.tracking.watch"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        print(f"MLflow: no watcher could be started ({error}); runs appear at the end", flush=True)
        yield
        return
    assert watcher.stdin is not None
    try:
        yield
    except BaseException:
        watcher.stdin.close()
        _left_alone.append(watcher)
        raise
    watcher.stdin.close()
    try:
        watcher.wait(LAST_SECONDS + 10.0)
    except subprocess.TimeoutExpired:
        watcher.kill()  # what is not sent is in the journals
        watcher.wait()
