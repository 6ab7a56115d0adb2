"""What every stage does: write a folder whole or not at all, fail in one clear line.

A folder of results is made in a scratch place named by the fingerprint of everything that determines
it, and moved into place when it is whole. Who made it (the stage itself, or a worker of the pool
before it) makes no difference.
"""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from study.files import abandoned, beside, host, write_text

STARTED_BY = os.getppid()
"""Read as early as a stage can, so that a parent that ends while the stage starts is missed."""
STARTED_FOR = {"DVC_STAGE", "MAKELEVEL"}
"""Variables of the environment that DVC and make set."""
SCRATCH = Path(".scratch")
DONE = "DONE"
LINES, LETTERS = 100, 1000
"""Of an error that is told, and of each of its lines, at most."""
SPARE_BYTES = 1 << 20
"""A disk with less than this left is a full one."""

REMEDY = "remove the file and run `dvc repro`, which makes it anew"

Interrupts = Callable[[int, FrameType | None], Any] | signal.Handlers
RAISE: Interrupts = signal.default_int_handler
"""KeyboardInterrupt, which `main` tells of in one line."""
END_AT_ONCE: Interrupts = signal.SIG_DFL
"""Nothing is printed; for moments in which Python would print a traceback."""

Make = Callable[[Path], None]
"""Fills the folder it is given."""


class StageError(RuntimeError):
    """A stage cannot go on; the message is for the user."""


def limit_threads(threads: int) -> None:
    """At most `threads` for torch and for numpy's linear algebra.

    Workers that each start a thread a core for a matrix product wait for one another most of the time.
    """
    import numpy  # noqa: F401  its libraries must be loaded to be limited
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    threadpool_limits(threads)


def read_json(path: Path, **kinds: type) -> Any:
    """A JSON file written by an earlier stage.

    Args:
        path: the file.
        kinds: keys that it must have, and the types of their values.

    Raises:
        StageError: it is not there, no JSON, or lacks a key; the message names it.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(f"{path} is not there: run `dvc repro`, or the stage that makes it") from None
    except (ValueError, RecursionError) as error:
        raise StageError(f"{path} is no whole JSON file ({error}): remove it and run `dvc repro`") from None
    except OSError as error:
        raise StageError(f"{path} cannot be read: {error.strerror}") from None
    wrong = [key for key, kind in kinds.items() if not isinstance(found, dict) or not isinstance(found.get(key), kind)]
    if wrong:
        raise StageError(f"{path}: {', '.join(wrong)} missing, or no value that a stage writes: {REMEDY}")
    return found


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def tree_hash(paths: Iterable[Path]) -> str:
    """A hash over the contents of files and folders; compiled Python files do not count."""
    digest = hashlib.sha256()
    for path in paths:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        if not files:
            raise StageError(f"{path} is not there or empty: run `dvc repro`, or the stage that makes it")
        for file in files:
            if "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(path)).encode())
                with file.open("rb") as content:
                    digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def declared_hash(declared: Mapping[str, Any], *inputs: str) -> str:
    """A fingerprint: a declaration, and the hashes of what it is applied to."""
    text = "\n".join([json.dumps(dict(declared), sort_keys=True), *inputs])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def scratch(kind: str, key: str) -> Path:
    """Where the result with that fingerprint is made."""
    return SCRATCH / kind / key


def is_done(folder: Path) -> bool:
    return (folder / DONE).is_file()


def make(folder: Path, maker: Make) -> None:
    """Fill `folder` by `maker` through a temporary one beside it; nothing to do if it is done."""
    if is_done(folder):
        return
    working = beside(folder)
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    try:
        maker(working)
        (working / DONE).touch()
        _move(working, folder)
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _move(working: Path, folder: Path) -> None:
    """Put a finished folder in its place, unless another machine has put the same there meanwhile."""
    if is_done(folder):
        return
    shutil.rmtree(folder, ignore_errors=True)
    try:
        os.replace(working, folder)
    except OSError:
        if not is_done(folder):
            raise


def sweep(*outputs: Path) -> None:
    """Remove what this machine's processes that are no more left half-made, in the scratch and beside outputs there.

    What other machines write in the same folder, or have left in it, stays.
    """
    for working in [*SCRATCH.rglob("*.tmp"), *(path for folder in outputs for path in folder.glob(".*.tmp"))]:
        if abandoned(working):
            if working.is_dir():
                shutil.rmtree(working, ignore_errors=True)
            else:
                working.unlink(missing_ok=True)


def adopt(folder: Path, out: Path) -> None:
    """Move a finished scratch folder to where DVC expects it."""
    if not is_done(folder):
        raise StageError(f"{folder} is not finished")
    (folder / DONE).unlink()
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    os.replace(folder, out)


def deliver(folder: Path, out: Path) -> None:
    """Put a finished scratch folder where DVC expects it, and keep it too, by hard links where the disk has them.

    DVC empties a stage's outputs before it runs it. A stage that ends between this and DVC's own record of it would
    lose the work; `collect`, which comes after all records, clears the scratch.
    """
    if not is_done(folder):
        raise StageError(f"{folder} is not finished")
    working = beside(out, hidden=True)
    shutil.rmtree(working, ignore_errors=True)
    shutil.copytree(folder, working, copy_function=_link, ignore=shutil.ignore_patterns(DONE))
    shutil.rmtree(out, ignore_errors=True)
    os.replace(working, out)


def keep(out: Path, folder: Path) -> None:
    """Make a finished output a finished scratch folder too, by hard links where the disk has them."""

    def maker(working: Path) -> None:
        shutil.copytree(out, working, copy_function=_link, dirs_exist_ok=True)

    make(folder, maker)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def clear_scratch(kind: str, keys: Iterable[str]) -> None:
    """Remove what was made of a kind and has been delivered; what else lies there is kept."""
    for key in keys:
        shutil.rmtree(SCRATCH / kind / key, ignore_errors=True)


def write_folder(out: Path, maker: Make) -> None:
    """A stage's output folder, whole or not at all."""
    key = hashlib.sha256(str(out).encode()).hexdigest()[:16]
    folder = scratch("out", f"{key}-{host()}-{os.getpid()}")
    make(folder, maker)
    adopt(folder, out)


def on_interrupt(what: Interrupts) -> None:
    """What Ctrl-C does from here on; who was started to ignore it, as shells do in the background, ignores it.

    Args:
        what: RAISE or END_AT_ONCE.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, what)


@contextmanager
def main(name: str, *, hide_faults: bool = False) -> Iterator[None]:
    """Run a stage: one line for an expected error, and no child that outlives an interrupted stage.

    With `hide_faults`, errors that are nobody's mistake but this program's are one line, too.
    """
    die_with_parent()
    on_interrupt(RAISE)
    try:
        yield
        # From here to the end of the process an interrupt would print a traceback and end with 0.
        on_interrupt(END_AT_ONCE)
    except KeyboardInterrupt:
        sys.exit(f"{name}: interrupted; what is finished is kept, `dvc repro` goes on from there")
    except Exception as error:
        if (said := expected(error)) is not None:
            sys.exit(f"{name}: {said}")
        if not hide_faults:
            raise
        sys.exit(f"{name}: {told(fault(error))}")


def expected(error: Exception) -> str | None:
    """What a user is told of an error that is addressed to them; None for a fault of this program."""
    if out_of_space(error):
        return f"no space left on the disk that holds {Path.cwd()}; nothing was left half-written"
    ours = type(error).__module__.partition(".")[0] in ("study", "pipeline", "analysis")
    return told(error) if ours else None


def told(error: object) -> str:
    """An error's lines as a terminal can show them: what files hold is quoted in them, control characters included."""
    text = "".join(c if c in "\n\t" or c.isprintable() or c == " " else _escaped(c) for c in str(error))
    lines = [line if len(line) <= LETTERS else f"{line[: LETTERS - 3]}..." for line in text.splitlines()]
    return "\n".join(lines if len(lines) <= LINES else [*lines[:LINES], f"... and {len(lines) - LINES} lines more"])


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def fault(error: Exception) -> str:
    """One line on an error that is not addressed to the user: an unreadable file, or a fault of this program."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return f"{what} (in {Path(place.filename).name}, line {place.lineno}); please report this with your params.yaml"


def out_of_space(error: BaseException) -> bool:
    """Whether a full disk is behind an error; torch and safetensors raise their own classes for it."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return shutil.disk_usage(".").free < SPARE_BYTES and isinstance(error, RuntimeError | ValueError | SystemError)


def die_with_parent(by: signal.Signals = signal.SIGTERM) -> None:
    """Of a stage that DVC or make runs, and of a worker: ask the kernel to end it when its parent ends (Linux).

    A command that was started by hand may outlive its shell.

    Args:
        by: the signal that the kernel sends.

    Raises:
        SystemExit: the parent has ended already, of which the kernel says nothing.
    """
    parent = multiprocessing.parent_process()
    if sys.platform == "linux" and (parent is not None or not STARTED_FOR.isdisjoint(os.environ)):
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(1, by)
        if os.getppid() != (STARTED_BY if parent is None else parent.pid):
            sys.exit("the process that started this one has ended")
