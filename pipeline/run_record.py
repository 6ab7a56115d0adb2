"""What is shown of a run, before any tracker sees it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VALUE_LENGTH = 5000
"""Longer parameter values are cut: MLflow refuses more than 6000 characters."""


@dataclass(frozen=True)
class RunRecord:
    """What MLflow shows of one cell."""

    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    """Name to (step, value)."""
    artifacts: Sequence[Path] = ()
    seconds: float = 0.0
    """Shown as the run's duration."""

    def content(self) -> str:
        """A hash of everything above, the files' contents included."""
        digest = hashlib.sha256()
        shown = [self.name, self.tags, self.params, self.metrics, self.curves, self.seconds]
        digest.update(json.dumps(shown, sort_keys=True, default=dict).encode())
        for path in self.artifacts:
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:32]


def flatten(settings: Any, prefix: str = "") -> dict[str, str]:
    """Nested settings as `a.b.c` to text; lists stay whole, in JSON."""
    if isinstance(settings, Mapping) and settings:
        flat: dict[str, str] = {}
        for key, value in settings.items():
            flat |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
        return flat
    text = settings if isinstance(settings, str) else json.dumps(settings, ensure_ascii=False)
    return {_key(prefix): text[:VALUE_LENGTH]}


def metric_name(*parts: str) -> str:
    """`map@10`, `de` -> `map_at_10.de`: MLflow allows no `@`."""
    return _key(".".join(parts).replace("@", "_at_"))


def _key(name: str) -> str:
    return re.sub(r"[^\w.\-:/ ]", "_", name)
