"""Names of files and folders that are being written: they say by which process of which machine.

Several machines may work in one shared folder. Each removes only what its own dead processes left.
"""

from __future__ import annotations

import os
import re
import socket
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
