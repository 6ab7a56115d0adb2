"""Journals, followed into MLflow: a run appears when its training starts, grows with it and ends with it.

What was sent of a journal is kept in a file beside it, one for each place that it is sent to. So whoever goes on
after a kill, or after a server was away, sends the rest and nothing twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline import stage
from pipeline.tracking import journal
from pipeline.tracking.destination import Destination
from pipeline.tracking.run_record import Dataset, curves_hash, curves_of, metric_name
from pipeline.tracking.tracker import NOTE_TAG, Point, Shown, Tracker, TrackingError

SEND_SECONDS = 10.0
"""Rows of a run are sent that often; starts, scores and ends at once."""

RUNNING, KILLED = "RUNNING", "KILLED"

CURVES_TAG = "curves"
"""A hash of an ended training's curves, written when all of them are there."""
COMMIT_TAG = "mlflow.source.git.commit"
REASON_TAG = "failure"
STOPPED = "stopped before it was finished; `make repro` goes on from its last checkpoint"


@dataclass
class Sent:
    """What MLflow has of one journal."""

    run: str | None = None
    offset: int = 0
    step: int = -1
    """Of the last row."""
    status: str = ""
    refused: str = ""
    """Why MLflow takes no more of it; publishing makes a run of its own then."""


class Follower:
    """Sends what the journals of the working folder tell to a tracker."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._sent: dict[Path, Sent] = {}
        self._last: dict[Path, float] = {}
        self._known: dict[tuple[str, int | None], Shown] | None = None

    def turn(self) -> bool:
        """Send what is new; whether nothing is left to send and nobody writes.

        Raises:
            TrackingError: MLflow cannot be reached; nothing is lost, the next turn begins where this one stopped.
        """
        idle = True
        for path in journal.journals():
            sent = self._sent.setdefault(path, read_sent(path, self.tracker.destination))
            try:
                idle &= self._follow(path, sent)
            except TrackingError as error:
                self._known = None  # whether the last call came through is not known
                if not error.of_the_run:
                    raise
                sent.refused = str(error)
                write_sent(path, self.tracker.destination, sent)
        return idle

    def _follow(self, path: Path, sent: Sent) -> bool:
        if sent.refused or (path.stat().st_size <= sent.offset and sent.status != RUNNING):
            return True
        written = journal.written_now(path)  # asked first: what is read next is all of it, if nobody writes
        events, offset = journal.events(path, sent.offset)
        early = not events or time.monotonic() - self._last.get(path, 0.0) < SEND_SECONDS
        if written and early and all(event["event"] in (journal.ROW, journal.STEP) for event in events):
            return False
        if events or not written:
            self._send(path, sent, events, written)
            sent.offset = offset
            self._last[path] = time.monotonic()
            write_sent(path, self.tracker.destination, sent)
        return not written

    def _send(self, path: Path, sent: Sent, events: list[dict[str, Any]], written: bool) -> None:
        starts = [event for event in events if event["event"] == journal.START]
        made = sent.run is None
        if sent.run is None:
            if not starts or "tags" not in starts[0]:
                return  # nothing that could be shown
            sent.run, sent.status = self._run(path, starts[0])
        turns = [event for event in events if event["event"] in (journal.START, journal.END)]
        ended = turns[-1] if turns and turns[-1]["event"] == journal.END else None
        running = turns[-1]["event"] == journal.START if turns else sent.status == RUNNING
        if running and sent.status != RUNNING:
            self.tracker.reopen(sent.run)
            sent.status = RUNNING
        points, step = _points(events, sent.step)
        params = {
            name: value for event in events if event["event"] in (journal.START, journal.SCORES)
            for name, value in event.get("params", {}).items()
        }  # fmt: skip
        tags, reason = {}, ""
        if ended is not None:
            rows = [event["row"] for event in journal.events(path)[0] if event["event"] == journal.ROW]
            tags[CURVES_TAG] = curves_hash(curves_of(rows))
            reason = str(ended.get("reason", ""))
        elif running and not written:
            reason = STOPPED
        if reason or (starts and not made):
            tags |= {REASON_TAG: reason, NOTE_TAG: reason and f"**Stopped.** {reason}"}
        if points or params or tags:
            self.tracker.log(sent.run, points, params, tags)
        sent.step = step
        if ended is not None:
            self.tracker.end(sent.run, ended["status"], int(ended["time"]))
            sent.status = ended["status"]
        elif running and not written:
            last = events[-1]["time"] if events else round(path.stat().st_mtime * 1000)
            self.tracker.end(sent.run, KILLED, int(last))
            sent.status = KILLED

    def _run(self, path: Path, start: Mapping[str, Any]) -> tuple[str, str]:
        """The run of a journal and its status; made, unless somebody made it and was killed before he noted it."""
        if self._known is None:
            self._known = {(run.tags.get("fingerprint", ""), run.started): run for run in self.tracker.runs()}
        known = self._known.get((path.stem, int(start["time"])))
        if known is not None:
            return known.run, known.status
        tags = {**start["tags"], **({COMMIT_TAG: start["commit"]} if start.get("commit") else {})}
        made = self.tracker.create(start["cell"], int(start["time"]), tags, Dataset(**start["dataset"]))
        return made, RUNNING


def _points(events: list[dict[str, Any]], step: int) -> tuple[list[Point], int]:
    """Points of rows behind `step` and of scores; and the last row's step."""
    points: list[Point] = []
    for event in events:
        when = int(event["time"])
        if event["event"] == journal.SCORES:
            points += [(name, value, when, 0) for name, value in event["metrics"].items()]
        elif event["event"] == journal.ROW and event["row"]["step"] > step:
            step = int(event["row"]["step"])
            points += [
                (metric_name("training", name), value, when, step)
                for name, value in event["row"].items()
                if name != "step"
            ]
    return points, step


def _beside(path: Path, destination: Destination) -> Path:
    key = hashlib.sha256(f"{destination.uri}\n{destination.experiment}".encode()).hexdigest()[:8]
    return path.with_suffix(f".{key}.json")


def read_sent(path: Path, destination: Destination) -> Sent:
    """What is noted beside a journal; nothing if that cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Sent(**json.loads(_beside(path, destination).read_text(encoding="utf-8")))
    return Sent()


def write_sent(path: Path, destination: Destination, sent: Sent) -> None:
    with contextlib.suppress(OSError):
        stage.write_json(_beside(path, destination), asdict(sent))
