"""What a report says of its study's origin beside the result tables: corpus, teachers, tuning, code and machine."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline import params, paths, stage
from pipeline.sources import PACKAGES, ROOT
from pipeline.tuned import untuned


def gather(tuned: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """The mapping that `analysis.report.studied` reads; what a study lacks is left out.

    Args:
        tuned: architecture to size to method to tuned values, as resolved.json has them.
    """
    found: dict[str, Any] = {
        "version": metadata.version("small-polyglots"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "teachers": {}, "encoders": {}, "tuned": {},
    }  # fmt: skip
    corpus = paths.CORPUS / "corpus.json"
    if corpus.is_file():
        kept = ("corpus", "description", "source", "revision", "in_domain", "out_of_domain", "licences", "images",
                "questions")  # fmt: skip
        content = stage.read_json(corpus)
        found["corpus"] = {key: content[key] for key in kept if key in content}
    grid = params.grid()
    for arch in grid.archs:
        run = paths.TEACHERS / arch / "run.json"
        if not run.is_file():
            continue
        spec = stage.read_json(run)["settings"]
        found["teachers"][arch] = {
            "family": spec.get("family"), "model": spec.get("model"), "steps": spec.get("training", {}).get("steps"),
            "checkpoint": spec.get("checkpoint"), "revision": spec.get("revision"),
            **_evidence(run),
        }  # fmt: skip
    for size in grid.sizes:
        for trained in sorted(paths.RUNS.glob(f"*-{size}-*/run.json"))[:1]:
            if (encoder := stage.read_json(trained)["settings"].get("encoder")) is not None:
                found["encoders"][size] = {"checkpoint": encoder["encoder"], "revision": encoder["revision"],
                                           **_evidence(trained)}  # fmt: skip
    cells = {
        f"{arch}-{size}-{method}": bool(values)
        for arch, sizes in tuned.items()
        for size, methods in sizes.items()
        for method, values in methods.items()
    }
    for cell, done in cells.items():
        method = cell.rpartition("-")[2]
        before, count = found["tuned"].get(method, (0, 0))
        found["tuned"][method] = (before + done, count + 1)
    found["untuned"] = untuned(cells)
    return {**found, **commit()}


def _evidence(run: Path) -> dict[str, Any]:
    """What a run.json says of how a published checkpoint was read."""
    return stage.read_json(run).get("checkpoint", {}) if run.is_file() else {}


def commit() -> dict[str, Any]:
    """The last commit of the code, its date and whether files differ from it; nothing outside a git clone.

    Commits of other files, a dvc.lock for one, make no other report.
    """
    try:
        commit, date = _git("log", "-1", "--format=%H %cs", "--", *PACKAGES).split()
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", *PACKAGES)
        return {"commit": commit, "date": date, "dirty": bool(changed)}
    except (OSError, subprocess.CalledProcessError, ValueError):
        return {}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()
