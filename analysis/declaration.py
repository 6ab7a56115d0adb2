"""What was decided before the results were seen, on file: the settings, with the time, the commit and the version."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from analysis.settings import AnalysisError, AnalysisSettings, canonical, nearest, parse, read_json

PACKAGE = "small-polyglots"

FIELDS = ("settings", "sha256", "declared_at", "commit", "uncommitted_changes", "version")


@dataclass(frozen=True)
class Declaration:
    """A declaration as it was written.

    `settings` are `settings.canonical`, `sha256` is theirs; `declared_at` is UTC; `commit` is the one that was checked
    out, empty outside a git repository, and `uncommitted_changes` says whether tracked files differed from it;
    `version` is that of this package. `recorded` is not in the file: the commit that the file itself entered git with,
    as it is now, and that commit's time; None if it is in none.
    """

    settings: Mapping[str, Any]
    sha256: str
    declared_at: datetime
    commit: str
    uncommitted_changes: bool
    version: str
    recorded: tuple[str, datetime] | None = field(default=None, compare=False)

    def changed(self, settings: AnalysisSettings) -> list[str]:
        """Names of the choices that are other ones in `settings`; of planned runs only if some were declared."""
        declared, used = canonical(parse(self.settings)), canonical(settings)
        if "planned" not in declared:
            used.pop("planned", None)
        return [name for name in {**declared, **used} if declared.get(name) != used.get(name)]


@dataclass(frozen=True)
class Standing:
    """What a declaration is worth for the settings and the results in use.

    `counts`: whether the choices may be called declared. `changed` are the names of choices that are not the declared
    ones. `late`: the results were there before the declaration. `text` says all of it to the reader.
    """

    found: Declaration | None
    changed: tuple[str, ...]
    late: bool
    counts: bool
    text: str


def fingerprint(settings: Mapping[str, Any]) -> str:
    """SHA-256 of canonical settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def declare(values: Mapping[str, Any], out: Path, source: str = "settings") -> Declaration:
    """Write the declaration of the settings `values` to `out`, which must not exist: what was declared stays.

    Raises:
        AnalysisError: the settings cannot be used, or `out` exists or cannot be written.
    """
    settings = canonical(parse(values, source))
    now = datetime.now(UTC).replace(microsecond=0)
    found = Declaration(settings, fingerprint(settings), now, *_checked_out(), metadata.version(PACKAGE))
    content = {name: getattr(found, name) for name in FIELDS} | {"declared_at": now.isoformat()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("x", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    except FileExistsError:
        raise AnalysisError(
            f"{out}: exists; a declaration is made once. To declare anew, remove it or give another name: version "
            "control keeps the earlier one"
        ) from None
    except OSError as error:
        raise AnalysisError(f"{out}: cannot be written: {error.strerror}") from None
    return found


def read(path: Path) -> Declaration:
    """A declaration that `declare` wrote.

    Raises:
        AnalysisError: the file is absent, is none, or its settings were changed since.
    """
    values = read_json(path)
    for name in values:
        if name not in FIELDS:
            raise AnalysisError(f"{path}: not a declaration: unknown key {name!r}{nearest(name, FIELDS)}")
    if lacking := [name for name in FIELDS if name not in values]:
        raise AnalysisError(f"{path}: not a declaration: {lacking[0]!r} is missing; `declare` writes {list(FIELDS)}")
    settings = values["settings"]
    if not isinstance(settings, dict) or fingerprint(settings) != values["sha256"]:
        raise AnalysisError(f"{path}: its settings do not have its SHA-256: it was changed after it was written")
    parse(settings, str(path))
    try:
        declared_at = datetime.fromisoformat(values["declared_at"])
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"{path}: 'declared_at' is not a time: {error}") from None
    if declared_at.tzinfo is None:
        raise AnalysisError(f"{path}: 'declared_at' has no time zone")
    return Declaration(**{**values, "declared_at": declared_at.astimezone(UTC)}, recorded=_recorded(path))


def standing(found: Declaration | None, settings: AnalysisSettings, results_at: datetime | None) -> Standing:
    """What can be said of the order of declaration and results.

    Args:
        found: the declaration; None where there is none.
        settings: those in use.
        results_at: when the first of the results was written; None if unknown.
    """
    if found is None:
        text = (
            "No dated declaration: that these choices were made before the results were seen rests on the word of "
            "whoever made them."
        )
        return Standing(None, (), False, True, text)
    changed = tuple(found.changed(settings))
    late = results_at is not None and found.declared_at >= results_at
    commit = f" at commit {found.commit[:12]}" if found.commit else ""
    commit += " with uncommitted changes" if found.uncommitted_changes and found.commit else ""
    parts = [
        f"Declared {_utc(found.declared_at)}{commit}, version {found.version}, settings {found.sha256[:12]}"
        + ("" if found.settings.get("planned") else "; no list of runs was declared")
    ]
    if changed:
        names = ", ".join(changed)
        parts.append(f"The settings in use are not the declared ones ({names} changed), so nothing counts as declared")
    if late and results_at is not None:
        parts.append("The results are older, as the times of files tell, so nothing counts as declared")
    elif results_at is not None and not changed:
        parts.append("The results are younger, as far as the times of files can tell")
    if found.recorded:
        parts.append(f"The declaration is in git since commit {found.recorded[0][:12]} ({_utc(found.recorded[1])})")
    else:
        parts.append("The declaration is not in git as it is here, so its time rests on the word of whoever made it")
    return Standing(found, changed, late, not changed and not late, ". ".join(parts) + ".")


def judged(settings: AnalysisSettings, found: Declaration | None, results_at: datetime | None) -> AnalysisSettings:
    """`settings` with what the report says of their declaration, and whether they count as declared.

    Args:
        settings: those in use.
        found: the declaration, if there is one.
        results_at: when the first of the results was written; None if unknown.
    """
    if not settings.is_declared and found is None:
        return replace(settings, declaration="No settings were given, so nothing here was declared.")
    told = standing(found, settings, results_at)
    return replace(settings, declaration=told.text, is_declared=told.counts)


def first_written(*files: Path) -> datetime | None:
    """The oldest time at which one of the files that are there was written; None if none is.

    A file's time is weak evidence: copying or checking out makes it younger, and anybody can set it.
    """
    times = [path.stat().st_mtime for path in files if path.is_file()]
    return datetime.fromtimestamp(min(times), UTC) if times else None


def _utc(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def _checked_out() -> tuple[str, bool]:
    """The commit that is checked out, and whether tracked files differ from it; ("", False) outside a repository."""
    here = Path.cwd()
    try:
        return _git(here, "rev-parse", "HEAD"), bool(_git(here, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return "", False


def _recorded(path: Path) -> tuple[str, datetime] | None:
    """The last commit that changed the file and its time; None if the file differs from it or is in no repository."""
    folder, name = path.resolve().parent, path.name
    try:
        if _git(folder, "status", "--porcelain", "--", name):
            return None
        commit, _, time = _git(folder, "log", "-1", "--format=%H %cI", "--", name).partition(" ")
    except (OSError, subprocess.SubprocessError):
        return None
    return (commit, datetime.fromisoformat(time).astimezone(UTC)) if commit else None
