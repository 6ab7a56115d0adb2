"""What a tracker is told of a model: before its training from its plan, afterwards from its run.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline import paths, stage
from pipeline.tracking.run_record import Dataset, flatten, metric_name
from pipeline.work.distil import DistilTask
from pipeline.work.task import Task
from pipeline.work.teach import TeacherTask

COSTS = ("flops", "items", "captions", "parameters", "text_parameters", "text_fraction")
"""Columns of `cells` that are metrics as well, so that MLflow can draw scores over them."""

FACTORS = ("role", "arch", "size", "method", "seed")
"""Tags and parameters alike: MLflow filters by the first and compares the second."""

IDENTITY = ("cell", *FACTORS, "fingerprint")


def identity_tags(row: Mapping[str, Any]) -> dict[str, str]:
    """Tags from the columns of a run's row that say which run it is."""
    return {column: str(row[column]) for column in IDENTITY}


def settings_params(row: Mapping[str, Any], settings: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, str]:
    """Parameters that are known before the training."""
    factors = {factor: row[factor] for factor in FACTORS}
    return flatten({**factors, "settings": settings, "versions": versions})


def count_params(row: Mapping[str, Any]) -> dict[str, str]:
    """Parameters that are known after it: sizes and counts."""
    return flatten({column: value for column, value in row.items() if column not in IDENTITY})


def cost_metrics(row: Mapping[str, Any]) -> dict[str, float]:
    return {metric_name("cost", column): float(row[column]) for column in COSTS}


def dataset() -> Dataset:
    """The prepared corpus."""
    card = stage.read_json(paths.CORPUS / "corpus.json")
    return Dataset(str(card["corpus"]), str(card["content"]), str(card.get("source", "")))


def announced(task: Task) -> dict[str, Any]:
    """Of a training that starts: `tags`, `params`, `dataset` for a tracker; nothing of other kinds of work."""
    if isinstance(task, DistilTask):
        cell, settings = task.cell, task.settings
        row = {"role": "student", "arch": cell.arch, "size": cell.size, "method": cell.method, "seed": cell.seed}
    elif isinstance(task, TeacherTask):
        settings = task.settings
        row = {"role": "teacher", "arch": task.arch, "size": "full", "method": "teacher",
               "seed": settings.get("seed", 0)}  # fmt: skip
    else:
        return {}
    from pipeline.work.run_files import versions

    row |= {"cell": task.name, "fingerprint": task.fingerprint}
    corpus = dataset()
    return {
        "tags": identity_tags(row),
        "params": settings_params(row, settings, versions()),
        "dataset": {"name": corpus.name, "digest": corpus.digest, "source": corpus.source},
    }
