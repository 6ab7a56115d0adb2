"""Tar shards, read member by member without unpacking them, and refused where they are not whole."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from study import lfs
from study.data.base import CorpusError

BLOCK = tarfile.BLOCKSIZE
COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ\x00": ("xz", "unxz"),
}
"""First bytes of compressed files, the format's name and the command that undoes it."""


MOST_TEXT = 1 << 24
"""Bytes of a sample's captions: a header may claim any size."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a shard: `key` is its path up to the name's first dot, `ending` what follows, as written."""

    name: str
    key: str
    ending: str
    start: int
    size: int
    content: bytes | None
    """The bytes, if they were asked for."""


def read_members(shard: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """The files of a shard in order; contents of those whose ending is `wanted`.

    Hidden files are passed over: macOS puts a ._name beside every file.

    Raises:
        CorpusError: the shard is no tar, is compressed or ends too early; names it and the last whole member.
    """
    _check_plain(shard)
    last, end = "its beginning", 0
    try:
        with tarfile.open(shard, "r:") as archive:
            while (entry := archive.next()) is not None:
                # Else the archive remembers every member that it has met.
                archive.members = []  # type: ignore[attr-defined]
                end = entry.offset_data + -(-entry.size // BLOCK) * BLOCK
                path = PurePosixPath(entry.name)
                if entry.isfile() and not path.name.startswith("."):
                    stem, _, ending = path.name.partition(".")
                    content = _content(archive, entry) if wanted(ending) else None
                    key = (path.parent / stem).as_posix()
                    yield Member(entry.name, key, ending, entry.offset_data, entry.size, content)
                last = entry.name
    except (tarfile.TarError, OSError, EOFError) as error:
        raise CorpusError(f"{shard}: not a whole tar, after {last}: {error}") from None
    _check_end(shard, last, end)


def _check_plain(shard: Path) -> None:
    """Images are read where they lie in the file, which a compressed one does not allow."""
    try:
        with shard.open("rb") as file:
            start = file.read(len(lfs.START))
    except OSError as error:
        raise CorpusError(f"{shard}: {error.strerror}") from None
    if lfs.is_pointer(start):
        raise CorpusError(f"{shard} {lfs.PROBLEM}")
    for magic, (name, command) in COMPRESSED.items():
        if start.startswith(magic):
            raise CorpusError(
                f"{shard}: compressed with {name}; shards are read without unpacking: `{command}` it first"
            )


def read_range(shard: Path, member: Member) -> bytes:
    """A member's bytes.

    Raises:
        CorpusError: the shard ends within it; names shard and member.
    """
    with shard.open("rb") as file:
        file.seek(member.start)
        content = file.read(member.size)
    if len(content) < member.size:
        raise CorpusError(f"{shard}: not a whole tar, it ends within {member.name}")
    return content


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    if entry.size > MOST_TEXT:
        raise tarfile.ReadError(f"{entry.name} says it is {entry.size:,} bytes long, at most {MOST_TEXT:,} are read")
    file = archive.extractfile(entry)
    content = b"" if file is None else file.read()
    if len(content) < entry.size:
        raise tarfile.ReadError(f"it ends within {entry.name}")
    return content


def _check_end(shard: Path, last: str, end: int) -> None:
    """tarfile takes a header that is cut or damaged for the end: the real end is a block of zeros."""
    with shard.open("rb") as file:
        file.seek(end)
        block = file.read(BLOCK)
    if block != bytes(BLOCK):
        what = "it ends there" if len(block) < BLOCK else "what follows is no header"
        raise CorpusError(f"{shard}: not a whole tar, after {last}: {what}")
