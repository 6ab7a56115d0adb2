"""What a kill of DVC can leave behind and DVC itself does not get over: a cut dvc.lock, an empty rwlock.

DVC writes both in place. A lock that was cut short keeps the entries that are whole; what it lost is found in DVC's
cache of earlier runs. An rwlock says which paths running commands use; one that is no JSON says nothing.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from pipeline.stage import StageError

ENTRY = re.compile(r"^  \S.*:$", re.MULTILINE)
"""The line on which a stage's entry begins."""
WRITING_SECONDS = 1.0
"""After this an rwlock that is no JSON is not being written, it was left so."""


def mend(folder: Path) -> list[str]:
    """Mend what a kill left in the study `folder` and in its DVC repository; one line on each thing mended.

    Raises:
        StageError: dvc.lock holds both sides of a merge.
    """
    return [line for line in (_mend_lock(folder / "dvc.lock"), _mend_rwlock(folder)) if line]


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
            temporary = lock.with_name(f".{lock.name}.{os.getpid()}.tmp")
            temporary.write_text(text[:start], encoding="utf-8")
            os.replace(temporary, lock)
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
    whole = all(isinstance(entry, dict) and "cmd" in entry and _parts_whole(entry) for entry in stages.values())
    return stages if whole else None


def _parts_whole(entry: dict[str, Any]) -> bool:
    """Whether each dependency and output has a path and a hash."""
    parts = [part for key in ("deps", "outs") for part in entry.get(key) or [None]]
    return "outs" in entry and all(isinstance(part, dict) and "path" in part and part.get("md5") for part in parts)


def _mend_rwlock(folder: Path) -> str:
    root = next(
        (parent for parent in (folder.resolve(), *folder.resolve().parents) if (parent / ".dvc").is_dir()), None
    )
    if root is None:
        return ""
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
