"""Whether what a stage reads is what DVC recorded when it was made.

DVC restores an object of its cache without looking into it where its time and size are as they were, and skips a
stage whose folder looks untouched. So who reads results compares their bytes with dvc.lock, which has their hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from pipeline import params, paths, stage

LOCK = Path("dvc.lock")
FOLDER = ".dir"
"""How the hash of a folder ends; DVC's object of that name lists the folder's files with theirs."""
SHOWN = 5
RECORDS = ("*.json", "*.csv")
"""Of a model, what is read where its weights are not."""


def verify(*paths: Path, files: Sequence[str] = ("*",)) -> None:
    """Compare results with what dvc.lock says of them; what it says nothing of, or is not there, is passed over.

    Args:
        paths: outputs of stages, or folders of outputs.
        files: patterns of those that matter, below an output.

    Raises:
        StageError: some hold other bytes; the message names them and what to remove.
    """
    cache, found = _cache(), []
    for out, hashes in _outs().items():
        if out.exists() and any(path == out or path in out.parents for path in paths):
            changed = [(md5, _changed(out, md5, files, cache)) for md5 in hashes]
            if all(names for _, names in changed):
                found += [(out, name, md5) for md5, names in changed[-1:] for name in names]
    if found:
        outs = sorted({(out.as_posix(), md5) for out, _, md5 in found})
        names = [(out / name).as_posix() for out, name, _ in found]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        cached = [path for out, name, md5 in found[:SHOWN] if (path := _object(out, name, md5, cache))]
        raise stage.StageError(
            f"{', '.join(names[:SHOWN])}{more}: not the bytes that {LOCK} records, so changed since, here or in DVC's "
            f"cache. Remove {' '.join(dict.fromkeys([out for out, _ in outs[:SHOWN]] + cached))} and run `make repro`, "
            "which makes them anew"
        )


def verify_models(scores: bool = False) -> None:
    """Compare what is read of the declared models beside their weights.

    Args:
        scores: whether their scores are, too.

    Raises:
        StageError: as `verify`.
    """
    from pipeline.collect import model_folder  # loads pandas

    grid = params.grid()
    names = [*grid.teachers, *grid.cells]
    verify(*map(model_folder, names), files=RECORDS)
    if scores:
        verify(*(paths.SCORES / name for name in names))


def _cache() -> Path | None:
    """DVC's objects, where they lie in the checkout."""
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), None)
    return None if root is None else root / ".dvc" / "cache" / "files" / "md5"


def _outs() -> dict[Path, list[str]]:
    """Outputs of all stages with their hashes, as far as dvc.lock can be read: one that is cut is for `mend`.

    DVC keeps what it recorded of stages that dvc.yaml does not have any more, so an output may have several.
    """
    from ruamel.yaml import YAML, YAMLError

    found: dict[Path, list[str]] = {}
    try:
        for entry in YAML(typ="safe").load(LOCK)["stages"].values():
            for out in entry.get("outs", ()):
                if out.get("hash") == "md5" and "md5" in out:
                    found.setdefault(Path(out["path"]), []).append(str(out["md5"]))
    except (OSError, YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        pass
    return found


def _changed(out: Path, md5: str, files: Sequence[str], cache: Path | None) -> list[str]:
    """Files below an output with other bytes than recorded; `.` for all of it where it cannot be said which."""
    if not md5.endswith(FOLDER):
        return [] if _md5(out) == md5 else ["."]
    listed = _listed(md5, cache)
    if listed is None:
        return [] if _tree(out) == md5 else ["."]
    matter = {name: wanted for name, wanted in listed.items() if any(fnmatch(name, pattern) for pattern in files)}
    return sorted(name for name, wanted in matter.items() if _md5(out / name) != wanted)


def _listed(md5: str, cache: Path | None) -> dict[str, str] | None:
    """The files of a folder and their hashes, as DVC's own object has them; None if it is not there or not whole."""
    if cache is None:
        return None
    try:
        content = (cache / md5[:2] / md5[2:]).read_bytes()
    except OSError:
        return None
    if hashlib.md5(content, usedforsecurity=False).hexdigest() + FOLDER != md5:
        return None
    return {file["relpath"]: file["md5"] for file in json.loads(content)}


def _tree(out: Path) -> str:
    """A folder's hash as DVC makes it."""
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    listed = [{"md5": _md5(files[name]), "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + FOLDER


def _md5(file: Path) -> str | None:
    """None where there is no file."""
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError:
        return None


def _object(out: Path, name: str, md5: str, cache: Path | None) -> str | None:
    """DVC's object of a file, if it holds the changed bytes too."""
    if cache is None:
        return None
    wanted = (_listed(md5, cache) or {}).get(name, md5)
    place = cache / wanted[:2] / wanted[2:]
    return str(place) if place.is_file() and _md5(place) not in (wanted, wanted.removesuffix(FOLDER)) else None
