"""What DVC's cache has of a task: made here before, or made on another machine and fetched from DVC's remote.

DVC keeps a record of each stage that ran, with the hashes of its outputs, and the files of those outputs by their
hashes. A finished folder of ours holds the fingerprint of all that it depends on; so a record whose folder has the
fingerprint of a task is that task's result, whoever made it. To look for it nothing is imported from DVC, which takes a
second to import; the layout of its cache is that of DVC 3.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from pipeline import stage
from pipeline.work.task import Task

FINGERPRINT = "fingerprint"


def cache() -> Path | None:
    """The folder of DVC's cache; None outside of a DVC repository."""
    try:
        folder = dvc("cache", "dir").strip()
    except stage.StageError:
        return None
    return Path(folder) if folder and Path(folder).is_dir() else None


def fetched(tasks: Iterable[Task]) -> list[str]:
    """As `recalled`, once DVC's remote has been asked; of tasks that other machines made only theirs are fetched.

    Raises:
        StageError: DVC failed, as without a remote; its words are told.
    """
    wanted = list(tasks)
    if not wanted:
        return []
    dvc("fetch", "--run-cache")
    folder = cache()
    if folder is None:
        return []
    outs = {task.out.as_posix() for task in wanted}
    hashes = {md5 for out, md5 in _outputs(folder / "runs", {Path(out).name for out in outs}) if out in outs}
    # `dvc fetch --run-cache` brings the records of what ran. The listings of folders come after them, and files last.
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo

    with Repo() as repo:
        repo.cloud.pull({HashInfo("md5", md5) for md5 in hashes if not _listing(folder, md5)})
        files = {md5 for listing in hashes for md5 in _listing(folder, listing).values()}
        repo.cloud.pull({HashInfo("md5", md5) for md5 in files if not _place(folder, md5).is_file()})
    return recalled(wanted, folder)


def dvc(*command: str) -> str:
    """What a command of DVC printed.

    Raises:
        StageError: it failed; its words are told.
    """
    env = os.environ | {"DVC_NO_ANALYTICS": "1"}
    done = subprocess.run([sys.executable, "-m", "dvc", *command], capture_output=True, text=True, env=env, check=False)
    if done.returncode != 0:
        raise stage.StageError(f"dvc {command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def recalled(tasks: Iterable[Task], folder: Path | None = None) -> list[str]:
    """Make tasks' scratch folders of what a cache has of them, so far as it is whole; their names.

    Args:
        tasks: those that are missing.
        folder: the cache; the repository's own if left out.
    """
    wanted = {(task.out.as_posix(), task.fingerprint): task for task in tasks}
    folder = (cache() if folder is None else folder) if wanted else None
    if folder is None:
        return []
    found = []
    ends = {out.rpartition("/")[2] for out, _ in wanted}
    for out, md5 in _outputs(folder / "runs", ends):
        files = _listing(folder, md5)
        fingerprint = _read(folder, files.get(FINGERPRINT, "")).decode(errors="replace").strip()
        task = wanted.get((out, fingerprint))
        if task is not None and not stage.is_done(task.folder) and _taken(task, folder, files):
            found.append(task.name)
    return found


def _outputs(runs: Path, names: set[str]) -> Iterator[tuple[str, str]]:
    """Path, from its stage's folder, and hash of the outputs with these names that DVC has recorded, newest first."""
    records = [path for path in runs.glob("??/*/*") if path.is_file()]
    for record in sorted(records, key=lambda path: path.stat().st_mtime, reverse=True):
        text = record.read_text(encoding="utf-8", errors="replace")
        if not any(name in text for name in names):
            continue  # most of them, where other studies share the cache; YAML is slow to read
        try:
            outs = YAML(typ="safe").load(text)["outs"]
            yield from ((str(out["path"]), str(out["md5"])) for out in outs)
        except (YAMLError, KeyError, TypeError):
            continue  # DVC removes a broken record when it meets it


def _place(folder: Path, md5: str) -> Path:
    return folder / "files" / "md5" / md5[:2] / md5[2:]


def _read(folder: Path, md5: str) -> bytes:
    """A file of the cache; nothing where it is not there."""
    try:
        return _place(folder, md5).read_bytes() if md5 else b""
    except OSError:
        return b""


def _listing(folder: Path, md5: str) -> Mapping[str, str]:
    """Path and hash of each file of a folder in the cache."""
    if not md5.endswith(".dir"):
        return {}
    try:
        entries: list[dict[str, Any]] = json.loads(_read(folder, md5))
        return {str(entry["relpath"]): str(entry["md5"]) for entry in entries}
    except (ValueError, KeyError, TypeError):
        return {}


def _taken(task: Task, folder: Path, files: Mapping[str, str]) -> bool:
    """Whether a task's scratch folder could be filled: a cache may have a record, and not all of its files."""
    if not all(_place(folder, md5).is_file() for md5 in files.values()):
        return False

    def maker(working: Path) -> None:
        for name, md5 in files.items():
            target = working / name
            if not target.resolve().is_relative_to(working.resolve()):
                raise stage.StageError(f"{_place(folder, md5)} belongs to a folder with a file {name!r} outside of it")
            target.parent.mkdir(parents=True, exist_ok=True)
            # Copied: a link would let whoever writes to a result write into the cache.
            target.write_bytes(_place(folder, md5).read_bytes())

    stage.make(task.folder, maker)
    return True
