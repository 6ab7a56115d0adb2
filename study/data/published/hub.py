"""Data sets of the hub: parquet files with images in them, read row by row.

`datasets` says which files a split is made of, as the repository's card declares it; no code of a
repository is run. A name may also be a folder with a copy of the repository, which needs no network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq

from study import lfs
from study.data.base import CorpusError
from study.data.manifest.tables import NOT_WHOLE, Row, batch_rows, check_columns, first_line
from study.data.published.sources import Image
from study.names import hint

BATCH = 64
"""Rows in memory at a time: they have images in them."""


@dataclass(frozen=True)
class HubDataset:
    """A data set of the hub: the parquet files of each split, as paths or as addresses that fsspec opens."""

    name: str
    splits: Mapping[str, list[str]]

    def files(self, split: str) -> list[str]:
        """The files of a split, in order; raises CorpusError if there is no such split."""
        if split not in self.splits:
            raise CorpusError(f"data set {self.name} has no split {split!r}{hint(split, self.splits)}")
        return self.splits[split]


def repository(name: str, revision: str | None) -> HubDataset:
    """The data set called `name` at a commit, or in the folder `name`.

    Raises:
        CorpusError: it cannot be reached, or is made of other files.
    """
    import datasets

    try:
        config = datasets.load_dataset_builder(name, revision=revision).config
    except Exception as error:  # `datasets` raises whatever it meets in a card: YAML's errors, KeyError, TypeError
        at = f" at commit {revision}" if revision else ""
        raise CorpusError(f"data set {name}{at} cannot be downloaded: {first_line(error)}") from None
    splits = {str(key): [_shown(file) for file in files] for key, files in (config.data_files or {}).items()}
    for file in (file for files in splits.values() for file in files):
        if not file.endswith(".parquet"):
            raise CorpusError(f"data set {name}: {file} is no parquet file; only those are read")
    return HubDataset(name, splits)


def split_files(name: str, revision: str | None, split: str) -> list[str]:
    """The parquet files of a split, in order; raises as `repository`, and CorpusError if there is no such split."""
    return repository(name, revision).files(split)


def read_rows(files: Sequence[str], columns: Sequence[str]) -> Iterator[Row]:
    """The rows of all files, these columns of them; rows count from 1 in each file.

    Raises:
        CorpusError: a file is not whole or lacks a column; the message names it.
    """
    for file in files:
        number = 0
        try:
            with _open(file) as table:
                check_columns(file, table.schema_arrow.names, columns)
                for batch in table.iter_batches(batch_size=BATCH, columns=list(columns)):
                    for place, values in batch_rows(batch, file, number):
                        number = place
                        yield Row(file, number, values)
        except NOT_WHOLE as error:
            raise _unreadable(f"{file}, after row {number}", error) from None


def count_rows(files: Sequence[str]) -> int:
    """Rows of all files, from their footers."""
    total = 0
    for file in files:
        try:
            with _open(file) as table:
                total += table.metadata.num_rows
        except NOT_WHOLE as error:
            raise _unreadable(file, error) from None
    return total


def column_names(files: Sequence[str]) -> list[str]:
    """Columns of the first file."""
    try:
        with _open(files[0]) as table:
            return list(table.schema_arrow.names)
    except NOT_WHOLE as error:
        raise _unreadable(files[0], error) from None


def image_of(row: Row, key: str, column: str = "image") -> Image:
    """The image in a row: a struct of bytes and path, as `datasets` writes them."""
    value = row.values[column]
    content = value.get("bytes") if isinstance(value, dict) else None
    if not content:
        raise row.error(f"{column} has no bytes: the image is missing")
    return Image(key, str(row), _constant(content))


def texts_of(row: Row, column: str) -> list[str]:
    """A text or a list of texts; nothing where there is none. Blank ones are kept for the caller to judge."""
    value: Any = row.values[column]
    if value is None:
        return []
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(text, str | None) for text in values):
        raise row.error(f"{column} is {value!r}, it must be a text or a list of texts")
    return ["" if text is None else text for text in values]


def _constant(content: bytes) -> Callable[[], bytes]:
    return lambda: content


def check_fetched(file: str) -> None:
    """Refuse what git-lfs left in the place of a file; raises CorpusError. Addresses are not queried."""
    if "://" not in file and lfs.points(Path(file)):
        raise CorpusError(f"{file} {lfs.PROBLEM}")


@contextmanager
def _open(file: str) -> Iterator[pq.ParquetFile]:
    check_fetched(file)
    with fsspec.open(file, "rb") as stream:
        yield pq.ParquetFile(stream)


def _shown(file: str) -> str:
    """A path below the working folder without the way to it; others as they are."""
    path = Path(file)
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_absolute() and path.is_relative_to(here) else file


def _unreadable(where: str, error: BaseException) -> CorpusError:
    problem = "cannot be read" if "://" in where else "not a whole parquet file"
    return CorpusError(f"{where}: {problem}: {first_line(error)}")
