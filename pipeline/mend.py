"""What a kill of DVC can leave behind and DVC itself does not get over: a cut dvc.lock, an empty rwlock, an entry
of its cache of earlier runs that was begun and not written.

DVC writes both in place. A lock that was cut short keeps the entries that are whole; what it lost is found in DVC's
cache of earlier runs. An rwlock says which paths running commands use; one that is no JSON says nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from pipeline.stage import StageError
from study.files import write_text

ENTRY = re.compile(r"^  \S.*:$", re.MULTILINE)
"""The line on which a stage's entry begins."""
WRITING_SECONDS = 1.0
"""After this an rwlock that is no JSON is not being written, it was left so."""


def mend(folder: Path) -> list[str]:
    """Mend what a kill left in the study `folder` and in its DVC repository; one line on each thing mended.

    Nothing is touched while a DVC command holds its lock there: what looks cut may be in the middle of being written.

    Raises:
        StageError: dvc.lock holds both sides of a merge.
    """
    root = next(
        (parent for parent in (folder.resolve(), *folder.resolve().parents) if (parent / ".dvc").is_dir()), None
    )
    if root is None:
        return []
    with _no_dvc_at_work(root / ".dvc" / "tmp") as alone:
        if not alone:
            return []
        return [line for line in (_mend_lock(folder / "dvc.lock"), _mend_rwlock(root), _mend_runs(root)) if line]


@contextlib.contextmanager
def _no_dvc_at_work(folder: Path) -> Iterator[bool]:
    """Hold DVC's own lock of a repository, under which it writes; False where DVC holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _mend_lock(lock: Path) -> str:
    if not lock.is_file():
        return ""
    text = lock.read_text(encoding="utf-8", errors="replace")
    if re.search(r"^(<<<<<<<|>>>>>>>) ", text, re.MULTILINE):
        raise StageError(
            f"{lock} holds both sides of a merge: take one, `git checkout --ours {lock}` or `--theirs`, and run again; "
            "what that side lacks is made again"
        )
    if _stages(text) is not None:
        return ""
    # The last entry that begins may be cut although it reads as YAML, so it never counts.
    for start in _last_first(text):
        whole = _stages(text[:start])
        if whole is not None:
            write_text(lock, text[:start])
            return f"{lock} was cut short by a kill: its {len(whole)} whole entries are kept"
    lock.unlink()
    return f"{lock} was cut short by a kill and had no whole entry: removed"


def _last_first(text: str) -> Iterator[int]:
    return reversed([match.start() for match in ENTRY.finditer(text)])


def _stages(text: str) -> dict[str, Any] | None:
    """The entries of a lock, or None where it is not whole."""
    try:
        found = YAML(typ="safe").load(text)
    except YAMLError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("stages"), dict) or not text.endswith("\n"):
        return None
    stages: dict[str, Any] = found["stages"]
    whole = all(isinstance(entry, dict) and "cmd" in entry and _listed(entry) for entry in stages.values())
    return stages if whole else None


def _listed(entry: dict[str, Any]) -> bool:
    """Whether dependencies and outputs, where there are some, are lists of paths with something said of each."""
    parts = [entry[key] for key in ("deps", "outs") if key in entry]
    return all(
        isinstance(part, list) and all(isinstance(one, dict) and "path" in one and len(one) > 1 for one in part)
        for part in parts
    )


def _mend_rwlock(root: Path) -> str:
    rwlock = root / ".dvc" / "tmp" / "rwlock"
    if not _broken(rwlock):
        return ""
    time.sleep(WRITING_SECONDS)
    if not _broken(rwlock):
        return ""
    rwlock.unlink(missing_ok=True)
    return f"{rwlock.relative_to(root)} was cut short by a kill: removed"


def _broken(rwlock: Path) -> bool:
    try:
        return not isinstance(json.loads(rwlock.read_text(encoding="utf-8")), dict)
    except FileNotFoundError:
        return False
    except (ValueError, RecursionError):
        return True


def _mend_runs(root: Path) -> str:
    """DVC makes a folder for a stage's earlier runs, then writes one into it; an empty one stops all later commands."""
    runs = root / ".dvc" / "cache" / "runs"
    count = 0
    for folder in runs.glob("??/*"):
        for begun in folder.glob(".*.tmp"):
            begun.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()
            count += 1
    return f"{runs.relative_to(root)} had {count} entries that a kill had left empty: removed" if count else ""
