"""The experiment made equal to what the study declares: one ended run a record, of ours; others stay."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.tracking.follow import CURVES_TAG, REASON_TAG, RUNNING
from pipeline.tracking.run_record import RunRecord, curves_hash
from pipeline.tracking.tracker import FINGERPRINT_TAG, NOTE_TAG, Shown, Tracker

CONTENT_TAG = "content"
"""A hash of all that a run shows; written last, so a run that has it is whole."""
FINISHED, FAILED = "FINISHED", "FAILED"


@dataclass(frozen=True)
class Changes:
    """Names of runs, by what a sync did to them."""

    created: list[str]
    completed: list[str]
    """Shown while they were made; what is known of the whole study only was added."""
    replaced: list[str]
    kept: list[str]
    removed: list[str]

    def __str__(self) -> str:
        counts = {what: len(names) for what, names in vars(self).items() if names}
        return ", ".join(f"{count} {what}" for what, count in counts.items()) or "no runs"


def sync(records: Sequence[RunRecord], tracker: Tracker) -> tuple[Changes, dict[str, str]]:
    """Make our runs of the experiment exactly one run for each record, finished, or failed if the record says so.

    A run that shows what its record says is kept, one that shows a part of it is completed, any other run of ours,
    be it outdated, failed or unfinished, goes to MLflow's bin.

    Args:
        records: one a cell; names are unique.
        tracker: the experiment.

    Returns:
        What was done, and the run of each fingerprint.

    Raises:
        TrackingError: MLflow does not do what it is asked to.
    """
    wanted = {record.name: record for record in records}
    if len(wanted) < len(records):
        raise ValueError("two records have the same name")
    contents = {name: record.content() for name, record in wanted.items()}
    ours = tracker.runs()
    done: dict[str, dict[str, str]] = {"kept": {}, "completed": {}, "replaced": {}, "created": {}}
    spare = []
    for run in ours:
        if run.name not in done["kept"] and _whole(run) and run.tags.get(CONTENT_TAG) == contents.get(run.name, ""):
            done["kept"][run.name] = run.run
        else:
            spare.append(run)
    old = {run.name for run in spare if _whole(run) and CONTENT_TAG in run.tags}
    for name, record in wanted.items():
        if name in done["kept"]:
            continue
        part = next((run for run in spare if _is_part(run, record)), None)
        if part is not None:
            spare.remove(part)
            _complete(tracker, part, record, contents[name])
            done["replaced" if name in old else "completed"][name] = part.run
        else:
            began = next((run.started for run in spare if run.tags.get(FINGERPRINT_TAG) == record.fingerprint), None)
            run_id = _create(tracker, record, contents[name], began)
            done["replaced" if name in old else "created"][name] = run_id
    for run in spare:
        tracker.discard(run.run)
    made = {name: run for names in done.values() for name, run in names.items()}
    named = {what: [name for name in wanted if name in names] for what, names in done.items()}
    changes = Changes(**named, removed=sorted(old - set(wanted)))
    return changes, {wanted[name].fingerprint: run for name, run in made.items()}


def _whole(run: Shown) -> bool:
    """Whether it shows all of a record: one of a training that diverged has failed, and is whole all the same."""
    return run.status == FINISHED or (run.status == FAILED and CONTENT_TAG in run.tags)


def _is_part(run: Shown, record: RunRecord) -> bool:
    """Whether what a run shows is true of the record, so that adding the rest makes it whole."""
    if run.name != record.name or run.tags.get(FINGERPRINT_TAG) != record.fingerprint:
        return False
    if record.curves and run.tags.get(CURVES_TAG) != curves_hash(record.curves):
        return False
    same = all(record.params.get(name) == value for name, value in run.params.items())
    return same and run.metrics <= {*record.metrics, *record.curves}


def _create(tracker: Tracker, record: RunRecord, content: str, began: int | None) -> str:
    now = round(time.time() * 1000)
    started = record.started or began or now
    ended = record.ended or started
    run = tracker.create(record.name, started, record.tags, record.dataset)
    curves = [
        (name, value, started, step)
        for name, curve in record.curves.items() for step, value in curve if math.isfinite(value)
    ]  # fmt: skip
    tracker.log(run, curves, record.params, {CURVES_TAG: curves_hash(record.curves)} if record.curves else {})
    _finish(tracker, run, record, content, {})
    tracker.end(run, record.status, max(ended, started))
    return run


def _complete(tracker: Tracker, run: Shown, record: RunRecord, content: str) -> None:
    missing = {name: value for name, value in record.params.items() if name not in run.params}
    _finish(tracker, run.run, record, content, missing)
    if run.tags.get(REASON_TAG) and not record.failure:
        tracker.log(run.run, tags={REASON_TAG: "", NOTE_TAG: ""})
    if run.status != record.status:
        tracker.end(run.run, record.status, record.ended if run.status == RUNNING else run.ended)


def _finish(tracker: Tracker, run: str, record: RunRecord, content: str, params: Mapping[str, str]) -> None:
    now = round(time.time() * 1000)
    scores = [(name, value, now, 0) for name, value in record.metrics.items() if math.isfinite(value)]
    tracker.log(run, scores, params, record.tags)
    if record.failure:
        tracker.log(run, tags={REASON_TAG: record.failure, NOTE_TAG: f"**Stopped.** {record.failure}"})
    tracker.upload(run, record.files)
    tracker.log(run, tags={CONTENT_TAG: content})
