"""An array on disk in shards: written as it comes, resumed after a kill, read through memory maps.

A folder holds 00000.npy, 00001.npy, ... [rows, ...], one after another the rows of one array, and index.json:
the type of the values, the number of rows, and for each finished shard its rows, the sha256 of its file and
the key of what it was made from. numpy knows no bfloat16: such values lie in the files as uint16.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from study.config.embedding import Dtype
from study.data.prepared import file_hash
from study.files import replacing, write_text
from study.strict import Strict

INDEX = "index.json"

STORED: dict[Dtype, tuple[torch.dtype, str]] = {
    "float32": (torch.float32, "<f4"),
    "float16": (torch.float16, "<f2"),
    "bfloat16": (torch.bfloat16, "<u2"),
}
"""Type of the values, and numpy's name of what is in the file."""


class ShardError(ValueError):
    """An array on disk is not whole, not what it was, or cannot hold its values; the message names the file."""


class Shard(Strict, strict=False):
    """A finished file."""

    file: str
    rows: int
    sha256: str
    key: str


class Index(Strict, strict=False):
    """index.json; of a whole array the rows of the shards add up to `rows`."""

    dtype: Dtype
    rows: int
    shards: list[Shard]


@dataclass(frozen=True)
class ShardSource:
    """The rows of one shard: the key of what they are made from, and how they are made, block by block."""

    key: str
    rows: int
    blocks: Callable[[], Iterable[Tensor]]


def digest(*parts: object) -> str:
    """sha256 of the parts' texts, which are kept apart from one another."""
    made = hashlib.sha256()
    for part in parts:
        content = str(part).encode()
        made.update(f"{len(content)}:".encode() + content)
    return made.hexdigest()


def read_index(folder: Path) -> Index:
    """index.json of `folder`.

    Raises:
        ShardError: it is not there, or is no such index.
    """
    try:
        return Index.model_validate_json((folder / INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ShardError(f"{folder} has no {INDEX}: embed again") from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise ShardError(f"{folder / INDEX} cannot be read, embed again: {error}") from None


def damage(folder: Path, shard: Shard) -> str | None:
    """What is wrong with a shard's file, if anything."""
    path = folder / shard.file
    if not path.is_file():
        return f"{path} is not there"
    return None if file_hash(path) == shard.sha256 else f"{path} has changed since it was written"


def write_array(
    folder: Path, dtype: Dtype, rows: int, parts: Iterable[ShardSource], report: Callable[[int], None] | None = None
) -> None:
    """Write the shards of an array of `rows` rows; `report` is called with the rows that are there.

    What an earlier call finished is kept, if its key and its checksum are right. Kill it at any time.

    Raises:
        ShardError: a value is not finite, or is not in the type declared.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _known(folder)
    shards: list[Shard] = []
    for number, part in enumerate(parts):
        file = f"{number:05d}.npy"
        shard = known.get(file)
        if shard is None or shard.key != part.key or damage(folder, shard) is not None:
            shard = Shard(file=file, rows=part.rows, sha256=_write(folder / file, dtype, part), key=part.key)
        shards.append(shard)
        later = [other for name, other in known.items() if name > file]
        _write_index(folder, Index(dtype=dtype, rows=rows, shards=[*shards, *later]))
        if report is not None:
            report(sum(done.rows for done in shards))
    _write_index(folder, Index(dtype=dtype, rows=rows, shards=shards))
    for path in folder.iterdir():
        if path.name not in {INDEX, *(shard.file for shard in shards)}:
            path.unlink()


def write_shard(folder: Path, dtype: Dtype, number: int, part: ShardSource) -> None:
    """Write shard `number` of an array alone, for a `write_array` to come; other processes may write the others.

    Raises:
        ShardError: as `write_array`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = f"{number:05d}.npy"
    shard = _known(folder).get(file)
    if shard is not None and shard.key == part.key and damage(folder, shard) is None:
        return
    shard = Shard(file=file, rows=part.rows, sha256=_write(folder / file, dtype, part), key=part.key)
    write_text(folder / f"{file}.json", shard.model_dump_json() + "\n")


def _known(folder: Path) -> dict[str, Shard]:
    """File to shard, of those that were finished: of an index, and of shards that were written alone."""
    known: dict[str, Shard] = {}
    with contextlib.suppress(ShardError):
        known = {shard.file: shard for shard in read_index(folder).shards}
    for path in folder.glob("*.npy.json"):
        with contextlib.suppress(ValidationError, UnicodeDecodeError):
            shard = Shard.model_validate_json(path.read_text(encoding="utf-8"))
            known[shard.file] = shard
    return known


def _write(path: Path, dtype: Dtype, part: ShardSource) -> str:
    """Write a file whole or not at all; returns its sha256. No more than a block is held."""
    stored, name = STORED[dtype]
    made, written = hashlib.sha256(), 0
    with replacing(path) as temporary, temporary.open("wb") as file:

        def put(content: bytes | memoryview) -> None:
            file.write(content)
            made.update(content)

        for block in part.blocks():
            values = block.to(stored)
            if not torch.isfinite(values).all():
                why = "the model's output is not finite"
                if torch.isfinite(block).all():
                    why = f"{float(block.abs().max()):.3g} is more than {dtype} holds: declare embedding.dtype bfloat16"
                raise ShardError(f"{path}, rows {written} to {written + len(block) - 1}: {why}")
            if not written:
                shape = (part.rows, *block.shape[1:])
                header = io.BytesIO()
                np.lib.format.write_array_header_1_0(header, {"descr": name, "fortran_order": False, "shape": shape})
                put(header.getvalue())
            put(values.contiguous().view(torch.uint8).reshape(-1).numpy().data)
            written += len(block)
        if written != part.rows:
            raise ShardError(f"{path}: {written} rows were made, not {part.rows}")
    return made.hexdigest()


def _write_index(folder: Path, index: Index) -> None:
    write_text(folder / INDEX, index.model_dump_json(indent=1) + "\n")


class ShardedArray:
    """A whole array of `write_array`, its checksums verified; its values are float32, whatever lies in the files."""

    def __init__(self, folder: Path) -> None:
        """Raises `ShardError`: a shard is missing, has changed, or is of another shape."""
        index = read_index(folder)
        there = sum(shard.rows for shard in index.shards)
        if there != index.rows:
            raise ShardError(f"{folder} is not whole: {there} of {index.rows} rows are there; embed again")
        found = [damage(folder, shard) for shard in index.shards]
        if wrong := [problem for problem in found if problem is not None]:
            raise ShardError(f"{'; '.join(wrong)}: embed again")
        self._dtype, name = STORED[index.dtype]
        self._files = [folder / shard.file for shard in index.shards]
        self._maps = [np.load(file, mmap_mode="r", allow_pickle=False) for file in self._files]
        self.row = self._maps[0].shape[1:] if self._maps else ()
        for shard, values in zip(index.shards, self._maps, strict=True):
            if values.dtype != np.dtype(name) or values.shape != (shard.rows, *self.row):
                raise ShardError(f"{folder / shard.file}: {values.dtype} {values.shape}, not as {INDEX} says")
        self._starts = np.cumsum([0, *(shard.rows for shard in index.shards)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def nbytes(self) -> int:
        """Bytes of the whole as float32."""
        return len(self) * int(np.prod(self.row, dtype=np.int64)) * 4

    def whole(self) -> Tensor:
        """[rows, ...] float32."""
        out = torch.empty((len(self), *self.row))
        for start, file in zip(self._starts, self._files, strict=False):
            # Not through the map, whose pages would stay with this process.
            values = self._values(np.load(file, allow_pickle=False))
            out[start : start + len(values)] = values
        return out

    def take(self, rows: np.ndarray | Sequence[int]) -> Tensor:
        """[len(rows), ...] float32: those rows, read from the files."""
        wanted = np.asarray(rows, dtype=np.int64)
        out = torch.empty((len(wanted), *self.row))
        for place, values in self._by_shard(wanted):
            out[torch.from_numpy(place)] = values
        return out

    def _by_shard(self, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, Tensor]]:
        shard_of = np.searchsorted(self._starts, wanted, side="right") - 1
        for number in np.unique(shard_of):
            place = np.flatnonzero(shard_of == number)
            yield place, self._values(np.array(self._maps[number][wanted[place] - self._starts[number]]))

    def _values(self, stored: np.ndarray) -> Tensor:
        return torch.from_numpy(stored).view(self._dtype).float()
