"""A tiny study that was run to its end by `make repro`, and states in which such a run would have been on its way.

A state is that of a first run at the moment at which a stage begins: DVC writes its lock in the order of the stages,
so the lock is cut before that stage, and what that stage and all after it make is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.prepare import CACHE
from pipeline.sources import ROOT
from tests.pipeline.studies import copy_tree, edit, git

NAME = "tiny"
TINY: dict[str, Any] = {
    "study.name": NAME,
    "grid": {"archs": ["clip"], "sizes": ["half"], "methods": ["none", "fd"], "seeds": [0, 1]},
    "corpus.languages": ["de", "en", "zh"],
    "corpus.vqa_languages": ["de", "en"],
    "corpus.settings.concepts": 16,
    "corpus.settings.share": {"en": 60.0, "de": 30.0, "zh": 10.0},
    "corpus.settings.scenes": {"teacher": 300, "distil": 120, "validation": 20, "test": 20},
    "corpus.settings.questions": {"validation": 8, "test": 16},
    "corpus.settings.captions_per_scene": 3,
    "teachers.clip.vocabulary": 1000,
    "teachers.clip.training.steps": 12,
    "students.training.steps": 12,
    "students.training.batch": 20,
    "sizes.half": 0.75,
    "execution": {"device": "cpu", "workers": 2, "threads": 1},
}
COMPARED = (
    "corpus", "teachers", "embeddings", "runs", "scores", "results", "report",
    "dvc.lock", "published.json", "resolved.json", "pool-teachers.stamp", "pool.stamp",
)  # fmt: skip
"""What an undisturbed run leaves, and one that was killed and run again has to leave too."""
RUNNING = re.compile(r"^Running stage '(?:.*:)?([a-z-]+)(?:@[^']*)?':", re.MULTILINE)
"""What DVC says when a stage begins."""
ENGINES: Mapping[str, Mapping[str, Any]] = {
    "local": {},
    "slurm": {"engine": "slurm", "slurm": {"cluster": "local", "elements": 2, "minutes": 5}},
    "ray": {"engine": "ray"},
}


@dataclass
class Ground:
    """A folder with the tree as it is run, and for each engine one as it was at its end.

    Args:
        folder: an empty one, or one of an earlier `make`.
        changes: of the tiny study's params.yaml, by dotted key.
        until: the last stage that runs; all if empty.
    """

    folder: Path
    changes: Mapping[str, Any] = field(default_factory=dict)
    until: str = ""
    truth: dict[str, dict[str, str]] = field(default_factory=dict)
    """By engine, what an undisturbed run left: path to a hash of its bytes."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What each stage took there, DVC's part included; of several of a kind the mean."""

    @property
    def tree(self) -> Path:
        """The checkout in which everything runs; always the same path, as DVC notes paths."""
        return self.folder / "tree"

    @property
    def study(self) -> Path:
        return self.tree / "studies" / NAME

    def make(self) -> None:
        """Build the tree and run the study undisturbed, unless the folder holds all that."""
        noted = self.folder / "ground.json"
        if noted.is_file():
            known = json.loads(noted.read_text())
            self.truth, self.seconds = known["truth"], known["seconds"]
            return
        copy_tree(self.tree)
        for part in ("Makefile", ".gitignore", "requirements", ".dvc/plots"):
            source, target = ROOT / part, self.tree / part
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        shutil.copytree(self.tree / "studies" / "smoke", self.study)
        edit(self.study / "params.yaml", TINY | dict(self.changes))
        _venv(self.tree / ".venv")
        git(self.tree, "add", "-A")
        git(self.tree, "commit", "-qm", "a study")
        self._finished("local")
        noted.write_text(json.dumps({"truth": self.truth, "seconds": self.seconds}))

    def with_engine(self, engine: str) -> None:
        """Make sure that there is a finished study with that engine; results are those of the first."""
        if engine not in self.truth:
            self._restore("local")
            edit(self.study / "params.yaml", {"execution": TINY["execution"] | ENGINES[engine]})
            self._finished(engine)

    def _finished(self, engine: str) -> None:
        self.timed()
        self.truth[engine] = self.contents()
        shutil.copytree(self.tree, self.folder / engine, symlinks=True)

    def timed(self) -> None:
        """`make repro` to its end, noting what the stages took.

        Raises:
            RuntimeError: it failed.
        """
        marks: list[tuple[str, float]] = [("check", time.monotonic())]
        lines = []
        with subprocess.Popen(
            self.command(), cwd=self.tree, env=self.environment(), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if begun := RUNNING.match(line):
                    marks.append((begun[1], time.monotonic()))
        printed = "".join(lines)
        if process.returncode:
            raise RuntimeError(f"the undisturbed run failed:\n{printed[-3000:]}")
        marks.append(("end", time.monotonic()))
        taken: dict[str, list[float]] = {}
        for (stage, begun_at), (_, ended) in pairwise(marks):
            taken.setdefault(stage, []).append(ended - begun_at)
        self.seconds |= {stage: sum(each) / len(each) for stage, each in taken.items() if stage not in self.seconds}

    def command(self, *tool: str, straight: bool = False) -> list[str]:
        """What a user types, or a tool.

        Args:
            tool: its arguments; none for `make repro`.
            straight: without what make runs before and after DVC.
        """
        if tool:
            return [sys.executable, "-m", "pipeline", *tool]
        if straight or self.until:
            return ["sh", "-c", f"cd studies/{NAME} && exec python -m pipeline repro {self.until}"]
        return ["make", "repro", f"STUDY={NAME}"]

    def environment(self, **more: str) -> dict[str, str]:
        """As a user's, with this tree's code, no network, and DVC's notes of the machine kept here."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "DVC_"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        return kept | {
            "PATH": path,
            "PYTHONPATH": str(self.tree),
            "PYTHONHASHSEED": "0",
            "POLYGLOTS_CACHE": str(CACHE),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.folder / "site"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        } | more  # fmt: skip

    def contents(self) -> dict[str, str]:
        """Of what is compared, path to a hash of its bytes."""
        found: dict[str, str] = {}
        for name in COMPARED:
            place = self.study / name
            files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
            found |= {
                path.relative_to(self.study).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
            }
        return found

    def _restore(self, engine: str) -> None:
        shutil.rmtree(self.tree, ignore_errors=True)
        shutil.copytree(self.folder / engine, self.tree, symlinks=True)

    def at_end(self, engine: str = "local") -> None:
        """The study as it was at its end."""
        self.with_engine(engine)
        self._restore(engine)

    def before(
        self, stage: str, engine: str = "local", *, entry: int = 0, made: bool = True, bare: bool = False
    ) -> None:
        """The study as it was when that stage began.

        Args:
            stage: as dvc.yaml names it.
            engine: of the declaration.
            entry: which of the stage's, where it has several.
            made: whether models that other stages make are in the scratch already.
            bare: whether DVC knows nothing of later stages; else it takes from its cache what comes out alike.
        """
        self.at_end(engine)
        lock = self.study / "dvc.lock"
        text = lock.read_text()
        starts = [match.start() for match in re.finditer(rf"^  {re.escape(stage)}(@.*)?:$", text, re.MULTILINE)]
        cut = starts[entry % len(starts)]
        gone = YAML(typ="safe").load("stages:\n" + text[cut:])["stages"]
        if made:
            self._fill_scratch(gone, stage)
        for name, recorded in gone.items():
            for out in recorded["outs"]:
                place = self.study / out["path"]
                shutil.rmtree(place, ignore_errors=True) if place.is_dir() else place.unlink(missing_ok=True)
                if name.partition("@")[0] == stage or bare:
                    self._forget(out["md5"])
        kept = text[:cut]
        lock.write_text(kept) if kept.strip().endswith("stages:") is False else lock.unlink()
        again = {stage, "publish"}  # MLflow knows nothing of a first run's models
        commands = {recorded["cmd"] for name, recorded in gone.items() if bare or name.partition("@")[0] in again}
        for known in (self.tree / ".dvc" / "cache" / "runs").glob("*/*/*"):
            if YAML(typ="safe").load(known)["cmd"] in commands:
                known.unlink()
                with contextlib.suppress(OSError):  # of other values, too
                    known.parent.rmdir()  # DVC takes no empty one; see pipeline/mend.py
        if stage not in ("analyse", "publish", "collect"):
            shutil.rmtree(self.study / "logs", ignore_errors=True)
            shutil.rmtree(self.study / ".scratch" / "live", ignore_errors=True)
            _forget_runs(self.study / "mlflow.db")

    def _fill_scratch(self, gone: Mapping[str, Any], stage: str) -> None:
        """As the pool leaves it, unless it is the stage's own: models that are not in place yet are finished."""
        pooled = {"teacher": "pool-teachers", "student": "pool", "evaluate": "pool"}
        for name in gone:
            kind = name.partition("@")[0]
            if kind in pooled and pooled[kind] != stage:
                for out in gone[name]["outs"]:
                    place = self.study / out["path"]
                    task = {"teachers": "teacher", "runs": "distil", "scores": "evaluate"}[place.parent.name]
                    folder = self.study / ".scratch" / task / (place / "fingerprint").read_text().strip()
                    shutil.copytree(place, folder)
                    (folder / "DONE").touch()

    def _forget(self, md5: str) -> None:
        objects = self.tree / ".dvc" / "cache" / "files" / "md5"
        place = objects / md5[:2] / md5[2:]
        if md5.endswith(".dir") and place.is_file():
            for file in json.loads(place.read_text()):
                (objects / file["md5"][:2] / file["md5"][2:]).unlink(missing_ok=True)
        place.unlink(missing_ok=True)

    def runs(self) -> dict[str, list[str]]:
        """Status of MLflow's runs, by their name."""
        found: dict[str, list[str]] = {}
        store = self.study / "mlflow.db"
        if store.is_file():
            with contextlib.closing(sqlite3.connect(store)) as base:
                rows = base.execute("select name, status from runs where lifecycle_stage = 'active'").fetchall()
            for name, status in rows:
                found.setdefault(str(name), []).append(str(status))
        return found


def _venv(folder: Path) -> None:
    """What the Makefile takes for an installed environment: this one."""
    folder.mkdir()
    for part in ("bin", "lib"):
        (folder / part).symlink_to(Path(sys.prefix) / part)
    if (configuration := Path(sys.prefix) / "pyvenv.cfg").is_file():
        shutil.copy(configuration, folder)
    (folder / ".installed").touch()


def _forget_runs(store: Path) -> None:
    """An experiment without runs, as there is before the first."""
    with contextlib.closing(sqlite3.connect(store)) as base:
        for table in ("latest_metrics", "metrics", "params", "tags", "runs"):
            base.execute(f"delete from {table}")
        base.commit()
