"""Text files whose lines belong to the lines of another file, and images in folders."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from study import lfs, places
from study.data.base import CorpusError
from study.data.published.sources import Image
from study.names import nearest

MOST_BYTES = 1 << 30
"""Of a file of captions: a gzip file can grow a thousandfold."""


def read_lines(file: Path) -> list[str]:
    """The lines of a UTF-8 text, gzipped if its name ends in .gz; the last newline may be missing.

    Only newlines divide lines (other separators of Unicode occur within captions); CRLF is read as well.

    Raises:
        CorpusError: the file is missing, not whole or not UTF-8, or a line is empty; names file and row.
    """
    content = read_bytes(file)
    if file.suffix == ".gz":
        try:
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(MOST_BYTES + 1)
        except (EOFError, OSError, zlib.error) as error:
            raise CorpusError(f"{file}: not a whole gzip file: {error}") from None
        if len(content) > MOST_BYTES:
            raise CorpusError(f"{file}: more than {MOST_BYTES:,} bytes when unpacked, which no file of captions has")
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise CorpusError(f"{file}, row {row}: not UTF-8: {error.reason}") from None
    if lines[-1] == "":
        lines.pop()
    for row, line in enumerate(lines, start=1):
        if not line.strip():
            raise CorpusError(f"{file}, row {row}: the line is empty")
    return [line.removesuffix("\r") for line in lines]


def read_bytes(file: Path) -> bytes:
    """A file's bytes; raises CorpusError, with the nearest name, if it is not there."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise CorpusError(f"there is no file {file}{meant(file)}") from None
    except OSError as error:
        raise CorpusError(f"{file} cannot be read: {error.strerror}") from None
    if lfs.is_pointer(content):
        raise CorpusError(f"{file} {lfs.PROBLEM}")
    return content


def check_aligned(names: Path, rows: int, texts: Path, found: int) -> None:
    """Refuse a file of texts that has not one line for each line of `names`; raises CorpusError."""
    if found != rows:
        raise CorpusError(
            f"{texts} has {found} lines and {names} has {rows}: line n of one belongs to line n of the other "
            f"(row {min(found, rows) + 1} is the first without a partner)"
        )


def check_unique(file: Path, keys: Sequence[str]) -> None:
    """Refuse a list of images that has one twice; raises CorpusError, which names both rows."""
    first: dict[str, int] = {}
    for row, key in enumerate(keys, start=1):
        if key in first:
            raise CorpusError(f"{file}, row {row}: image {key!r} is in row {first[key]} already")
        first[key] = row


@dataclass(frozen=True)
class ImageFolder:
    """Images below `root`, each in the first of `folders` that has it."""

    root: Path
    folders: tuple[str, ...]

    def image(self, name: str, key: str, where: str) -> Image:
        """The image file `name`; raises CorpusError, naming `where`, if no folder has it, or it leads out of them."""
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise CorpusError(f"{where}: image {name!r} is outside of {self.root / self.folders[0]}")
        candidates = [self.root / folder / name for folder in self.folders]
        for path in candidates:
            if places.is_file(path):
                return Image(key, where, partial(read_bytes, path))
        also = f" (nor in {', '.join(self.folders[1:])})" if len(self.folders) > 1 else ""
        raise CorpusError(f"{where}: there is no image {candidates[0]}{also}{meant(candidates[0])}")


def meant(path: Path) -> str:
    """`; did you mean ...?` with the nearest name beside a path that does not exist."""
    close = nearest(path.name, places.names_beside(path))
    return f"; did you mean {path.with_name(close)}?" if close else ""
