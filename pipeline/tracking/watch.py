"""The one process that sends what a study's workers tell to MLflow, while they work.

It is started by a stage that makes something and ends after it, however that ends. The study never waits for it and
never fails by it: what could not be sent is in the journals, and the next one sends it.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time

from pipeline import stage
from pipeline.tracking import experiment
from pipeline.tracking.follow import Follower
from pipeline.tracking.tracker import TrackingError
from pipeline.tracking.watcher import LAST_SECONDS, publishing

TURN_SECONDS = 2.0
LONGEST_WAIT = 60.0
"""Between two tries to reach a server that is away."""
LEFT = 3
"""Exit status of a watcher that could not send everything."""


def watch() -> int:
    """Follow the journals until standard input ends and everything is sent; the exit status."""
    follower, away, wait, ended_at = None, "", TURN_SECONDS, None
    while True:
        ready, _, _ = select.select([sys.stdin], [], [], 0.2 if ended_at is not None else wait)
        if ended_at is None and ready and not os.read(sys.stdin.fileno(), 1):
            ended_at = time.monotonic()
        try:
            if follower is None:
                follower = Follower(experiment.open_tracker())
            idle = follower.turn()
        except TrackingError as error:
            wait = min(LONGEST_WAIT, 2 * wait)
            if not away:
                print(f"\nMLflow: {error}; the study goes on, what it tells is kept", file=sys.stderr, flush=True)
            away = str(error)
            if ended_at is not None:
                time.sleep(1.0)
        else:
            if away:
                print("\nMLflow: it can be reached again", file=sys.stderr, flush=True)
            away, wait = "", TURN_SECONDS
            if idle and ended_at is not None:
                return 0
        if ended_at is not None and time.monotonic() - ended_at > LAST_SECONDS:
            print(f"MLflow: not everything was sent ({away or 'too slow'}); {experiment.LATER}", file=sys.stderr)
            return LEFT


if __name__ == "__main__":
    stage.on_interrupt(stage.END_AT_ONCE)
    with contextlib.suppress(OSError):
        os.nice(5)
    with publishing(LAST_SECONDS + 10.0) as alone:
        sys.exit(watch() if alone else LEFT)
