"""Files that a clone without git-lfs leaves out: small texts, called pointers, stand in their place."""

from __future__ import annotations

from pathlib import Path

START = b"version https://git-lfs"
PROBLEM = "is a git-lfs pointer and not the file itself: run `git lfs pull` where it was cloned"


def is_pointer(content: bytes) -> bool:
    """Whether these are the bytes of a pointer."""
    return content.startswith(START)


def points(file: Path) -> bool:
    """Whether `file` is a pointer; False where there is no such file."""
    try:
        with file.open("rb") as stream:
            return is_pointer(stream.read(len(START)))
    except OSError:
        return False
