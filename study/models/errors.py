"""The error of checkpoints that others published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class PretrainedError(ValueError):
    """A published checkpoint cannot be used; the message says which, where and why."""


@contextmanager
def reading(where: object) -> Iterator[None]:
    """Turn what libraries raise over a file's content into one line: on what is no configuration, tokenizer or image
    processor they meet TypeError, KeyError, RecursionError and classes of their own, anywhere in their code.

    This project's own errors, full disks and exhausted memory pass.

    Raises:
        PretrainedError: names `where`; the library's error is its cause.
    """
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] == __name__.partition(".")[0]:
            raise
        said = " ".join(str(error).split())[:300]
        raise PretrainedError(f"{where}: cannot be read: {type(error).__name__}: {said}") from error
