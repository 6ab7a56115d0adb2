"""A table of the user's, CSV or parquet, as rows that know where they stand."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from study import lfs
from study.corpora.base import CorpusError, nearest

NOT_WHOLE = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What pyarrow raises over parquet that is cut or changed; the last, where a column's name is no UTF-8."""
MOST_OPTIONS = 127
"""Results keep the number of an option in eight bits."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. In a CSV rows count as in a spreadsheet, the header is row 1; in parquet from 1."""

    file: str
    number: int
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.file}, row {self.number}"

    def error(self, problem: str) -> CorpusError:
        return CorpusError(f"{self}: {problem}")

    def text(self, column: str) -> str:
        """A text of that column: not empty, in Unicode's form NFC, as everything that is read later."""
        value = self.values[column]
        return self._composed(column, str(value) if _is_integer(value) else value)

    def path(self, column: str) -> str:
        """A path of that column: in whatever form its file's name has."""
        return self._filled(column, self.values[column])

    def name(self, column: str, known: Iterable[str]) -> str:
        """A text that is one of `known`."""
        known, value = list(known), self.text(column)
        if value not in known:
            raise self.error(f"unknown {column} {value!r}; {nearest(value, known)}")
        return value

    def integer(self, column: str) -> int:
        value = self.values[column]
        try:
            # A whole float: what pandas makes of integers where another row has none.
            if isinstance(value, str) or _is_integer(value) or (isinstance(value, float) and value.is_integer()):
                return int(value)
        except ValueError:
            pass
        raise self.error(f"{column} is {value!r}, it must be a whole number")

    def texts(self, column: str) -> list[str]:
        """Two or more different texts; in a CSV they stand as a JSON list."""
        value = self.values[column]
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError) as error:
                raise self.error(f'{column} is {value!r}, no JSON list such as ["a cat", "a dog"]: {error}') from None
        if not isinstance(value, list):
            raise self.error(f"{column} is {value!r}, it must be a list of texts")
        if not 2 <= len(value) <= MOST_OPTIONS:
            raise self.error(f"{column} has {len(value)} entries, there must be 2 to {MOST_OPTIONS}")
        found = [self._composed(f"entry {place} (from 0) of {column}", text) for place, text in enumerate(value)]
        if len(set(found)) < len(found):
            raise self.error(f"{column} has an entry twice: {value}")
        return found

    def _filled(self, what: str, value: Any) -> str:
        if value is None or (isinstance(value, str) and not value.strip()):
            raise self.error(f"{what} is empty")
        if not isinstance(value, str):
            raise self.error(f"{what} is {value!r} ({type(value).__name__}), it must be text")
        return value

    def _composed(self, what: str, value: Any) -> str:
        text = self._filled(what, value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise self.error(f"{what} has half of a surrogate pair, which is no character: {text!a}")
        if not unicodedata.is_normalized("NFC", text):
            raise self.error(f"{what} is not in Unicode's form NFC: {text!a}; normalise it first")
        return text


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def read_rows(file: str, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a .csv (UTF-8, comma, header) or .parquet file: `columns`, and those of `optional` that it has.

    Other columns are ignored.

    Raises:
        CorpusError: the file is missing, of another kind, not whole, or lacks a column.
    """
    path = Path(file)
    readers = {".csv": _csv_rows, ".parquet": _parquet_rows}
    if path.suffix.lower() not in readers:
        raise CorpusError(f"{file}: the name must end in .csv or .parquet")
    if not path.is_file():
        raise CorpusError(f"{file}: no such file in {Path.cwd()}")
    if lfs.points(path):
        raise CorpusError(f"{file} {lfs.PROBLEM}")
    empty = True
    for row in readers[path.suffix.lower()](file, columns, optional):
        empty = False
        yield row
    if empty:
        raise CorpusError(f"{file}: it has no rows")


def first_line(error: BaseException) -> str:
    """An error's first line, or its class where it says nothing."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def batch_rows(batch: pa.RecordBatch, file: str, before: int) -> list[dict[str, Any]]:
    """A batch of a parquet file as rows, `before` of which come before it.

    Raises:
        CorpusError: a text is not UTF-8, which parquet does not check; names file and row.
    """
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError:
        for place in range(len(batch)):
            try:
                batch.slice(place, 1).to_pylist()
            except UnicodeDecodeError as error:
                raise CorpusError(f"{file}, row {before + place + 1}: a text is not UTF-8: {error.reason}") from None
        raise


def check_columns(file: str, found: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse a table that lacks one of the `wanted` columns, or has it twice; raises CorpusError."""
    for column in wanted:
        if found.count(column) > 1:
            raise CorpusError(f"{file}: column {column!r} is there {found.count(column)} times")
        if column not in found:
            raise CorpusError(
                f"{file}: column {column!r} is missing; {nearest(column, [name or '(empty)' for name in found])}"
            )


def _present(file: str, found: Sequence[str], wanted: Sequence[str], optional: Sequence[str]) -> list[str]:
    """The `wanted` columns and those of `optional` that are there; raises as `check_columns`."""
    columns = [*wanted, *(column for column in optional if column in found)]
    check_columns(file, found, columns)
    return columns


def _csv_rows(file: str, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
    with Path(file).open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        number = 1
        try:
            header = next(reader, [])
            columns = _present(file, header, columns, optional)
            for number, cells in enumerate(reader, start=2):
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise CorpusError(f"{file}, row {number}: {len(cells)} cells, the header has {len(header)}")
                values = dict(zip(header, cells, strict=True))
                yield Row(file, number, {column: values[column] for column in columns})
        except csv.Error as error:
            raise CorpusError(f"{file}, after row {number}: no valid CSV: {error}") from None
        except UnicodeDecodeError as error:
            raise CorpusError(f"{file}, after row {number}: not UTF-8: {error.reason}") from None


def _parquet_rows(file: str, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    try:
        with pq.ParquetFile(file) as table:
            columns = _present(file, table.schema_arrow.names, columns, optional)
            number = 0
            for batch in table.iter_batches(columns=list(columns)):
                for values in batch_rows(batch, file, number):
                    number += 1
                    yield Row(file, number, values)
    except NOT_WHOLE as error:
        raise CorpusError(f"{file}: not a whole parquet file: {first_line(error)}") from None
