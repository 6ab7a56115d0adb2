"""What is shown of a run, before any tracker sees it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VALUE_LENGTH = 5000
"""Longer parameter values are cut: MLflow refuses more than 6000 characters."""

Curves = Mapping[str, Sequence[tuple[int, float]]]
"""Name to (step, value)."""


@dataclass(frozen=True)
class Dataset:
    """What a run was trained on."""

    name: str
    digest: str
    """Of its content."""
    source: str


@dataclass(frozen=True)
class RunRecord:
    """What MLflow shows of one cell, or of the report."""

    name: str
    fingerprint: str
    """Of the model, or of the report: two runs with the same one show the same thing."""
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Curves = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    """Where a file stands among the run's artifacts, to the file itself, of the same name."""
    dataset: Dataset | None = None
    started: int | None = None
    """When its training started and its scoring ended, in milliseconds since 1970, where that is known."""
    ended: int | None = None
    failure: str = ""
    """Why it ended without a result: an outcome of the study, like a score."""

    @property
    def status(self) -> str:
        """As MLflow names it."""
        return "FAILED" if self.failure else "FINISHED"

    def content(self) -> str:
        """A hash of everything above but the two times, the files' contents included."""
        digest = hashlib.sha256()
        shown: list[Any] = [self.name, self.fingerprint, self.tags, self.params, self.metrics, self.curves]
        if self.failure:
            shown.append(self.failure)
        digest.update(json.dumps(shown, sort_keys=True, default=dict).encode())
        for place, path in self.files.items():
            digest.update(place.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:32]


def curves_of(rows: Sequence[Mapping[str, float]]) -> dict[str, list[tuple[int, float]]]:
    """Curves from rows of a training's history; a step that is told again and what is not finite are left out."""
    curves: dict[str, list[tuple[int, float]]] = {}
    last = -1
    for row in rows:
        step = int(row["step"])
        if step <= last:
            continue
        last = step
        for name, value in row.items():
            if name != "step" and math.isfinite(value):
                curves.setdefault(metric_name("training", name), []).append((step, float(value)))
    return curves


def curves_hash(curves: Curves) -> str:
    """Tells whether two runs show the same curves."""
    text = json.dumps({name: list(curve) for name, curve in curves.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def flatten(settings: Any, prefix: str = "") -> dict[str, str]:
    """Nested settings as `a.b.c` to text; lists stay whole, in JSON."""
    if isinstance(settings, Mapping) and settings:
        flat: dict[str, str] = {}
        for key, value in settings.items():
            flat |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
        return flat
    text = settings if isinstance(settings, str) else json.dumps(settings, ensure_ascii=False)
    return {_key(prefix): text[:VALUE_LENGTH]}


def metric_name(group: str, *parts: str) -> str:
    """`retrieval`, `map@10`, `de` -> `retrieval/map_at_10.de`: MLflow groups by what `/` ends and knows no `@`."""
    return _key(f"{group}/{'.'.join(parts)}".replace("@", "_at_"))


def _key(name: str) -> str:
    return re.sub(r"[^\w.\-:/ ]", "_", name)
