"""What was decided before the results were seen, on file: the settings, with the time and the commit."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.settings import AnalysisError, Settings, parse

RUNTIME = ("planned", "language_resources", "study", "description")
"""Settings that the pipeline adds from its own files: they decide nothing about the analysis."""

FIELDS = ("settings", "sha256", "declared_at", "commit", "uncommitted_changes")


@dataclass(frozen=True)
class Declaration:
    """A declaration as it was written.

    `declared_at` is UTC; `commit` is empty outside a git repository; `uncommitted_changes` says whether tracked files
    differed from it.
    """

    settings: Mapping[str, Any]
    sha256: str
    declared_at: datetime
    commit: str
    uncommitted_changes: bool

    def matches(self, settings: Mapping[str, Any]) -> bool:
        """Whether `settings` are the declared ones."""
        return fingerprint(settings) == self.sha256


def fingerprint(settings: Mapping[str, Any]) -> str:
    """SHA-256 of the settings that decide something, whatever the order of their keys."""
    decided = {key: value for key, value in settings.items() if key not in RUNTIME}
    return hashlib.sha256(json.dumps(decided, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def declare(settings: Mapping[str, Any], out: Path, source: str = "settings") -> Declaration:
    """Write the declaration of `settings` to `out`, which must not exist: what was declared stays as it was.

    Raises:
        AnalysisError: the settings cannot be used, or `out` exists.
    """
    parse(settings, source)
    if out.exists():
        raise AnalysisError(f"{out}: exists; a declaration is made once. Declare anew under another name")
    decided = {key: value for key, value in settings.items() if key not in RUNTIME}
    found = Declaration(decided, fingerprint(decided), datetime.now(UTC).replace(microsecond=0), *_commit())
    fields = {**found.__dict__, "declared_at": found.declared_at.isoformat()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(fields, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return found


def read(path: Path) -> Declaration:
    """A declaration that `declare` wrote.

    Raises:
        AnalysisError: the file is absent or was changed since.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AnalysisError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnalysisError(f"{path}: not JSON: {error}") from None
    if not isinstance(values, dict) or set(values) != set(FIELDS):
        raise AnalysisError(f"{path}: not a declaration; its fields must be {list(FIELDS)}")
    try:
        found = Declaration(**{**values, "declared_at": datetime.fromisoformat(values["declared_at"])})
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"{path}: 'declared_at' is not a time: {error}") from None
    if found.declared_at.tzinfo is None:
        raise AnalysisError(f"{path}: 'declared_at' has no time zone")
    if not isinstance(found.settings, dict) or fingerprint(found.settings) != found.sha256:
        raise AnalysisError(f"{path}: its settings do not have its SHA-256: it was changed after it was written")
    return found


def sentence(found: Declaration | None, settings: Mapping[str, Any], results_at: datetime | None) -> str:
    """What can be said of the order of declaration and results.

    Args:
        found: the declaration; None where there is none.
        settings: those in use, as they were given.
        results_at: when the result tables were written last; None if unknown.
    """
    if found is None:
        return (
            "No dated declaration: that these choices were made before the results were seen rests on the word of "
            "whoever made them."
        )
    commit = f", at commit {found.commit[:12]}" if found.commit else ""
    commit += " with uncommitted changes" if found.uncommitted_changes and found.commit else ""
    text = f"Declared {found.declared_at:%Y-%m-%d %H:%M} UTC{commit} (settings {found.sha256[:12]})"
    if not found.matches(settings):
        return text + ". The settings in use are NOT the declared ones, so nothing here counts as declared."
    if results_at is None:
        return text + "."
    order = "before" if found.declared_at < results_at else "AFTER"
    return (
        f"{text}, {order} the result tables were written ({results_at:%Y-%m-%d %H:%M} UTC). A file's time can be set; "
        "a commit that others have seen cannot."
    )


def judged(
    settings: Settings, values: Mapping[str, Any], found: Declaration | None, results_at: datetime | None
) -> Settings:
    """`settings` with what the report says of their declaration; nothing is declared under other settings.

    Args:
        settings: parsed.
        values: the same as they were given.
        found: the declaration, if there is one.
        results_at: when the result tables were written last; None if unknown.
    """
    if not settings.is_declared:
        return replace(settings, declaration="No settings were given, so nothing here was declared.")
    text = sentence(found, values, results_at)
    late = found is not None and results_at is not None and found.declared_at >= results_at
    matches = found is None or found.matches(values)
    return replace(settings, declaration=text, is_declared=matches and not late)


def _commit() -> tuple[str, bool]:
    """The commit that is checked out, and whether tracked files differ from it; ("", False) outside a repository."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=30).stdout

    try:
        return git("rev-parse", "HEAD").strip(), bool(git("status", "--porcelain", "--untracked-files=no").strip())
    except (OSError, subprocess.SubprocessError):
        return "", False
