"""What a report says of its study's origin beside the result tables: corpus, teachers, tuning, code and machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline import paths, stage
from pipeline.tuned import untuned

CODE = Path(__file__).resolve().parent


def gather() -> dict[str, Any]:
    """The mapping that `analysis.report.studied` reads; what a study lacks is left out."""
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
    for path in sorted(paths.PLAN.glob("teacher-*.json")):
        plan = stage.read_json(path)
        spec = plan["spec"]
        found["teachers"][plan["arch"]] = {
            "family": spec.get("family"), "model": spec.get("model"), "steps": spec.get("training", {}).get("steps"),
            "checkpoint": spec.get("checkpoint"), "revision": spec.get("revision"),
            **_evidence(paths.TEACHERS / plan["arch"] / "run.json"),
        }  # fmt: skip
    settled = {path.stem: stage.read_json(path) for path in sorted(paths.SETTLED.glob("*.json"))}
    for cell, plan in settled.items():
        trained = sorted(paths.RUNS.glob(f"{cell}-s*/run.json"))
        if "encoder" in plan and trained:
            size = stage.read_json(trained[0])["row"]["size"]
            found["encoders"][size] = {"checkpoint": plan["encoder"]["encoder"],
                                       "revision": plan["encoder"]["revision"], **_evidence(trained[0])}  # fmt: skip
    tuned = {cell: bool(plan.get("tuned")) for cell, plan in settled.items()}
    for cell, done in tuned.items():
        method = cell.rpartition("-")[2]
        before, cells = found["tuned"].get(method, (0, 0))
        found["tuned"][method] = (before + done, cells + 1)
    found["untuned"] = untuned(tuned)
    return {**found, **commit()}


def _evidence(run: Path) -> dict[str, Any]:
    """What a run.json says of how a published checkpoint was read."""
    return stage.read_json(run).get("checkpoint", {}) if run.is_file() else {}


def commit() -> dict[str, Any]:
    """Commit of the code, its date and whether files differ from it; nothing outside a git clone."""
    try:
        commit, date = _git("log", "-1", "--format=%H %cs").split()
        return {"commit": commit, "date": date, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError, ValueError):
        return {}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=CODE, check=True, capture_output=True, text=True)
    return done.stdout.strip()
