"""A table of the user's, CSV or parquet, as rows that know where they stand."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from study import lfs, places
from study.data.base import CorpusError, nearest

NOT_WHOLE = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What pyarrow raises over parquet that is cut or changed; the last, where a column's name is no UTF-8."""
MOST_OPTIONS = 127
"""Results keep the number of an option in eight bits."""
UNDECODED = re.compile("[\udc80-\udcff]")
"""What Python makes of bytes that are not UTF-8, so that the rows around them can be read."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")

Wrong = Callable[[CorpusError], None]
"""Told of a row that cannot be read; the rows after it still are."""


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
        """A text of that column: not empty, in Unicode's form NFC, as everything that is read later.

        Space around it is no part of it: no model reads it.
        """
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
        if value is None or value == "":
            raise self.error(f"{column} is empty")
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
        if "\0" in text:
            raise self.error(f"{what} holds the character U+0000: {text!a}")
        return text.strip()


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _raised(error: CorpusError) -> None:
    raise error


def read_rows(file: str, columns: Sequence[str], optional: Sequence[str] = (), wrong: Wrong = _raised) -> Iterator[Row]:
    """The rows of a .csv (UTF-8, comma, header) or .parquet file: `columns`, and those of `optional` that it has.

    Other columns are ignored. A row that cannot be read is told to `wrong`, which raises if there is no other.

    Raises:
        CorpusError: the file is missing, of another kind, not whole, or lacks a column.
    """
    path = Path(file)
    readers = {".csv": _csv_rows, ".parquet": _parquet_rows}
    if path.suffix.lower() not in readers:
        raise CorpusError(f"{file}: the name must end in .csv or .parquet")
    if not places.is_file(path):
        raise CorpusError(f"{file}: no such file in {Path.cwd()}")
    if lfs.points(path):
        raise CorpusError(f"{file} {lfs.PROBLEM}")
    empty = True

    def told(error: CorpusError) -> None:
        nonlocal empty
        empty = False
        wrong(error)

    try:
        for row in readers[path.suffix.lower()](file, columns, optional, told):
            empty = False
            yield row
    except OSError as error:
        raise CorpusError(f"{file}: cannot be read: {error.strerror or error}") from None
    if empty:
        raise CorpusError(f"{file}: it has no rows")


def first_line(error: BaseException) -> str:
    """An error's first line, or its class where it says nothing."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def batch_rows(
    batch: pa.RecordBatch, file: str, before: int, wrong: Wrong = _raised
) -> list[tuple[int, dict[str, Any]]]:
    """A batch of a parquet file as rows with their numbers, `before` of which come before it.

    A row with a text that is not UTF-8, which parquet does not check, is told to `wrong`, with file and row.

    Raises:
        CorpusError: there is such a row, and no other `wrong`.
    """
    try:
        return list(enumerate(batch.to_pylist(), start=before + 1))
    except UnicodeDecodeError:
        found = []
        for place in range(len(batch)):
            number = before + place + 1
            try:
                found += [(number, values) for values in batch.slice(place, 1).to_pylist()]
            except UnicodeDecodeError as error:
                wrong(CorpusError(f"{file}, row {number}: a text is not UTF-8: {error.reason}"))
        return found


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


def _csv_rows(file: str, columns: Sequence[str], optional: Sequence[str], wrong: Wrong) -> Iterator[Row]:
    with Path(file).open("rb") as stream:
        if stream.read(2) in UTF_16:
            raise CorpusError(f"{file}: not UTF-8 but UTF-16: save it as UTF-8")
    # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
    with Path(file).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        number = 1
        try:
            header = next(reader, [])
            columns = _present(file, header, columns, optional)
            for number, cells in enumerate(reader, start=2):
                if not cells:
                    continue
                if len(cells) != len(header):
                    wrong(CorpusError(f"{file}, row {number}: {len(cells)} cells, the header has {len(header)}"))
                    continue
                values = dict(zip(header, cells, strict=True))
                row = Row(file, number, {column: values[column] for column in columns})
                if (column := next((name for name in columns if UNDECODED.search(values[name])), None)) is not None:
                    wrong(_not_utf8(row, column))
                else:
                    yield row
        except csv.Error as error:
            raise CorpusError(f"{file}, after row {number}: no valid CSV: {error}") from None


def _not_utf8(row: Row, column: str) -> CorpusError:
    value = str(row.values[column])
    byte = ord(UNDECODED.findall(value)[0]) - 0xDC00
    return row.error(f"{column} is not UTF-8 (byte 0x{byte:02x}): save the table as UTF-8")


def _parquet_rows(file: str, columns: Sequence[str], optional: Sequence[str], wrong: Wrong) -> Iterator[Row]:
    try:
        with pq.ParquetFile(file) as table:
            columns = _present(file, table.schema_arrow.names, columns, optional)
            number = 0
            for batch in table.iter_batches(columns=list(columns)):
                for place, values in batch_rows(batch, file, number, wrong):
                    yield Row(file, place, values)
                number += len(batch)
    except NOT_WHOLE as error:
        raise CorpusError(f"{file}: not a whole parquet file: {first_line(error)}") from None
