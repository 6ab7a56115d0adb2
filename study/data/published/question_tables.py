"""Questions that are rows of parquet files with the images inside, in a folder or on the hub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from study.data.base import CorpusError
from study.data.manifest.tables import NOT_WHOLE, Row, batch_rows, check_columns, first_line
from study.data.published.hub import check_fetched, split_files
from study.data.published.question_files import local_folder
from study.data.published.sources import Image, Part

SHARD = re.compile(r".*-(\d{5})-of-(\d{5})\.parquet")
IMAGE = "image"
IMAGES_AT_ONCE = 16


def table_files(part: Part, split: str) -> list[str]:
    """The files of a split, in order.

    Raises:
        CorpusError: the folder or data set has none, or lacks one.
    """
    if part.hub is not None:
        return split_files(part.hub, part.revision, split)
    folder = local_folder(part, f"{split}-00000-of-0000n.parquet, in it or in its folder data")
    found = sorted(file for place in (folder, folder / "data") for file in place.glob(f"{split}-*.parquet"))
    numbers = [match for file in found if (match := SHARD.fullmatch(file.name))]
    if not numbers:
        others = sorted(file.name for place in (folder, folder / "data") for file in place.glob("*.parquet"))
        raise CorpusError(f"{folder}: no file {split}-00000-of-0000n.parquet; it has {', '.join(others) or 'none'}")
    total = int(numbers[0].group(2))
    have = [(int(match.group(1)), int(match.group(2))) for match in numbers]
    if have != [(number, total) for number in range(total)]:
        names = ", ".join(file.name for file in found)
        raise CorpusError(f"{folder}: of the {total} files of split {split!r} there are only {names}")
    return [str(file) for file in found]


def table_rows(files: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[Row, Image]]:
    """The rows of all files, these columns of them; rows count from 1 in each file.

    The column `image` (bytes and path, as `datasets` writes it) is read when an image is asked for.

    Raises:
        CorpusError: a file is not whole or lacks a column; the message names it.
    """
    for file in files:
        images = _Images(file)
        for number, values in _values(file, columns):
            row = Row(file, number, values)
            yield row, Image(str(row), str(row), _Reader(images, number - 1, row))


def _values(file: str, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with _whole(file), _open(file) as table:
        check_columns(file, table.schema_arrow.names, (*columns, IMAGE))
        before = 0
        for batch in table.iter_batches(columns=list(columns)):
            yield from batch_rows(batch, file, before)
            before += len(batch)


@dataclass
class _Images:
    """The images of a file from front to back, a few in memory at a time."""

    file: str
    _next: int = 0
    _batches: Iterator[Any] = field(default_factory=lambda: iter(()))
    _loaded: list[Any] = field(default_factory=list)

    def read(self, number: int) -> Any:
        """The column's value in row `number`; a row before those loaded starts the file again."""
        if not self._next or number < self._next - len(self._loaded):
            self._batches, self._next, self._loaded = self._read(), 0, []
        while number >= self._next:
            loaded = next(self._batches, None)
            if loaded is None:
                raise CorpusError(f"{self.file}, row {number + 1}: not a whole parquet file: it has no such image")
            self._loaded = loaded
            self._next += len(self._loaded)
        return self._loaded[number - self._next]

    def _read(self) -> Iterator[list[Any]]:
        with _whole(self.file), _open(self.file) as table:
            # One row group after another: read in one go, memory would grow with the file.
            for group in range(table.num_row_groups):
                for batch in table.iter_batches(IMAGES_AT_ONCE, row_groups=[group], columns=[IMAGE]):
                    column = batch.column(0)
                    if not (pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0):
                        raise CorpusError(f"{self.file}: column {IMAGE!r} is {column.type}, it must have bytes in it")
                    # The bytes alone: a path beside them may be no UTF-8, and is not needed.
                    yield pc.struct_field(column, "bytes").to_pylist()


@dataclass(frozen=True)
class _Reader:
    images: _Images
    number: int
    row: Row

    def __call__(self) -> bytes:
        content = self.images.read(self.number)
        if not content:
            raise self.row.error("the image has no bytes: it is missing")
        return bytes(content)


@contextmanager
def _whole(file: str) -> Iterator[None]:
    try:
        yield
    except NOT_WHOLE as error:
        raise CorpusError(f"{file}: not a whole parquet file: {first_line(error)}") from None


@contextmanager
def _open(file: str) -> Iterator[pq.ParquetFile]:
    check_fetched(file)
    # A buffer, so that a column of images is not read whole.
    with fsspec.open(file, "rb") as stream, pq.ParquetFile(stream, buffer_size=1 << 20) as table:
        yield table
