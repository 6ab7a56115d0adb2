"""Paths that people declare or that their tables hold: a name that no file can have is refused, not met as an error."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

LONGEST_NAME = 240
"""Bytes of a file's or folder's name; file systems allow 255, and endings are added to some."""


def _possible(path: str) -> str:
    for name in path.split("/"):
        if (size := len(name.encode("utf-8", "surrogatepass"))) > LONGEST_NAME:
            raise ValueError(f"a name in it has {size:,} bytes, at most {LONGEST_NAME} are possible")
    if "\0" in path:
        raise ValueError("no path has a NUL in it")
    return path


Declared = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_possible)]
"""A path, or a name that may be one: of a checkpoint, of a configuration."""


def names_beside(path: Path) -> list[str]:
    """Of all that lies in the folder of `path`; nothing where there is no such folder, or cannot be."""
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):  # ValueError: of a NUL
        return []


def is_file(path: Path) -> bool:
    """Whether there is such a file; False for a path that there cannot be."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a NUL in it
        return False
