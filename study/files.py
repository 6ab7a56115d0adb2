"""Files and folders that are whole or not there, whenever a process ends.

What is being written has a name that says by which process of which machine. Several machines may work in one shared
folder: each removes only what its own dead processes left.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ENDING = "tmp"


class Owner(NamedTuple):
    """Who writes it."""

    host: str
    pid: int


def host() -> str:
    """This machine's name, of letters, digits, `_` and `-`."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:63]


def beside(path: Path, *, hidden: bool = False) -> Path:
    """A name next to `path`, this process's own, to write under before it is moved to `path`.

    Args:
        path: what it becomes.
        hidden: whether its name begins with a dot.
    """
    return path.with_name(f"{'.' if hidden else ''}{path.name}.{host()}.{os.getpid()}.{ENDING}")


def owner(path: Path) -> Owner | None:
    """Whose a name of `beside` is; None for any other name."""
    *name, machine, pid, ending = ["", "", "", *path.name.split(".")][-4:]
    if not any(name) or not machine or not pid.isdigit() or ending != ENDING:
        return None
    return Owner(machine, int(pid))


def abandoned(path: Path) -> bool:
    """Whether a process of this machine that is no more left it."""
    found = owner(path)
    return found is not None and found.host == host() and not _alive(found.pid)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what becomes `path` once the block ends well; after an error the file is as it was.

    Two writers never share a name, and what a killed one left is known as such (`abandoned`). The folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path, hidden=True)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
