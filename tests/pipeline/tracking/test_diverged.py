"""A training that diverged as an outcome is a run that failed, with its reason and its curves; it is published once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.tracking import journal
from pipeline.tracking.destination import Destination
from pipeline.tracking.follow import Follower
from pipeline.tracking.sync import sync
from pipeline.tracking.tracker import Tracker
from tests.pipeline.tracking.written import STUDENTS, TEACHER, records

LOST = STUDENTS[0]


def diverge(study: Path, reason: str) -> None:
    path = study / "runs" / LOST / "run.json"
    run = json.loads(path.read_text())
    kept = {key: run["row"][key] for key in ("cell", "arch", "size", "method", "seed", "device", "fingerprint")}
    run |= {"status": "diverged", "row": {**kept, "reason": reason, "step": 21, "learning_rate": 0.03}}
    path.write_text(json.dumps(run))
    for table in (study / "results").glob("*.parquet"):
        frame = pd.read_parquet(table)
        frame[frame["cell"] != LOST].to_parquet(table)


def shown(tracker: Tracker) -> Any:
    (run,) = [run for run in tracker._client.search_runs([tracker.place]) if run.info.run_name == LOST]
    return run


def test_it_is_shown_as_failed_and_kept(study: Path) -> None:
    tracker = Tracker(Destination.of(study, "tiny", {}))
    sync(records(study), tracker)
    diverge(study, "the loss is nan at step 21")
    assert sync(records(study), tracker)[0].replaced == [LOST]
    run = shown(tracker)
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == "diverged in training: the loss is nan at step 21"
    assert run.data.metrics["training/loss"] > 0
    assert not [name for name in run.data.metrics if not name.startswith("training/")]
    assert sync(records(study), tracker)[0].kept == [TEACHER, *STUDENTS]
    diverge(study, "the loss is inf at step 21")
    assert sync(records(study), tracker)[0].replaced == [LOST]


def test_what_was_seen_live_is_completed(study: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(study)
    diverge(study, "the loss is nan at step 21")
    (record,) = [record for record in records(study) if record.name == LOST]
    tracker = Tracker(Destination.of(study, "tiny", {}))
    with journal.writing(record.fingerprint) as told:
        told.write(journal.START, cell=LOST, tags={key: record.tags[key] for key in ("cell", "fingerprint", "method")},
                   params={}, dataset={"name": "emoji", "digest": "d", "source": "npm"})  # fmt: skip
        steps = [step for step, _ in record.curves["training/loss"]]
        for index, step in enumerate(steps):
            values = {name.removeprefix("training/"): dict(curve)[step] for name, curve in record.curves.items()
                      if step in dict(curve)}  # fmt: skip
            told.row({"step": step, **values}, 60)
            told.step(step + index % 2, 60)
        told.fail("the loss is nan at step 21")
    assert Follower(tracker).turn()
    assert shown(tracker).info.status == "FAILED"
    before = shown(tracker).info.run_id
    assert LOST in sync(records(study), tracker)[0].completed
    assert (shown(tracker).info.run_id, shown(tracker).info.status) == (before, "FAILED")
