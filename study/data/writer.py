"""Writing a prepared corpus in the layout that `layout.py` reads."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from study.data.base import CorpusSettings, DatasetInfo
from study.data.prepared import (
    CAPTION_COLUMNS,
    DISTIL_COLUMNS,
    LAYOUT_VERSION,
    CaptionSplit,
    DatasetCard,
    ImageSet,
    LicenceCard,
    content_hash,
    file_hash,
)

_LANGUAGE = pa.dictionary(pa.int8(), pa.string())
_TYPES: dict[str, pa.DataType] = {
    "image": pa.int32(),
    "language": _LANGUAGE,
    "text": pa.string(),
    "english": pa.string(),
    "question": pa.string(),
    "split": pa.string(),
    "type": pa.string(),
    "answer": pa.int8(),
    "prompt": pa.string(),
    "options": pa.list_(pa.string()),
}
ROW_GROUP = 100_000
"""Captions in memory at a time."""


class CaptionTable:
    """A table of captions that grows row by row and is written in groups of rows."""

    def __init__(self, writer: pq.ParquetWriter, columns: tuple[str, ...]) -> None:
        self._writer, self._columns = writer, columns
        self._rows: list[tuple[Any, ...]] = []
        self.languages: Counter[str] = Counter()
        """Captions so far, by language."""

    def add(self, *row: Any) -> None:
        """`image`, `language`, `text`, and for `distil` also `english`."""
        self._rows.append(row)
        self.languages[row[1]] += 1
        if len(self._rows) >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            columns = dict(zip(self._columns, zip(*self._rows, strict=True), strict=True))
            arrays = {column: pa.array(values, type=_TYPES[column]) for column, values in columns.items()}
            self._writer.write_table(pa.table(arrays))
            self._rows.clear()


class CorpusWriter:
    """Writes the parts one by one, counts them, and ends with the card.

    The caller owns `out` and moves it into place when `finish` has returned.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._images: dict[str, int] = {}
        self._captions: dict[str, dict[str, int]] = {}
        self._questions: dict[str, dict[str, int]] = {}
        for folder in ("images", "captions"):
            (out / folder).mkdir(parents=True, exist_ok=True)

    def images(self, name: ImageSet, count: int, height: int, width: int) -> np.memmap:
        """An array on disk, uint8 [count, height, width, 3], for the caller to fill."""
        self._images[name] = count
        path = self.out / "images" / f"{name}.npy"
        with path.open("wb") as file:
            # A memory map is sparse: on a full disk, writing into it would kill the process without a word.
            os.posix_fallocate(file.fileno(), 0, count * height * width * 3)
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, height, width, 3))

    def encoded(self, name: ImageSet, contents: Iterable[bytes]) -> int:
        """Image files as they are, one after another; returns their number. Nothing of them is kept in memory."""
        ends: list[int] = []
        with (self.out / "images" / f"{name}.bin").open("wb") as file:
            for content in contents:
                file.write(content)
                ends.append(file.tell())
        np.save(self.out / "images" / f"{name}.ends.npy", np.asarray(ends, dtype=np.int64))
        self._images[name] = len(ends)
        return len(ends)

    def captions(self, split: CaptionSplit, columns: dict[str, list[Any] | np.ndarray]) -> None:
        """`image`, `language`, `text`, and for `distil` also `english`."""
        self._table(f"captions/{split}.parquet", columns)
        counts = pd.Series(list(columns["language"])).value_counts()
        self._captions[split] = {str(language): int(counts[language]) for language in sorted(counts.index)}

    @contextmanager
    def caption_table(self, split: CaptionSplit) -> Iterator[CaptionTable]:
        """The same, row by row, for more captions than memory should hold."""
        names = DISTIL_COLUMNS if split == "distil" else CAPTION_COLUMNS
        schema = pa.schema([(name, _TYPES[name]) for name in names])
        with pq.ParquetWriter(self.out / f"captions/{split}.parquet", schema, compression="zstd") as writer:
            table = CaptionTable(writer, names)
            yield table
            table.flush()
        self._captions[split] = {language: table.languages[language] for language in sorted(table.languages)}

    def questions(self, questions: dict[str, list[Any]], texts: dict[str, list[Any]]) -> None:
        """The questions of all splits and their texts in all languages."""
        self._table("questions.parquet", questions)
        self._table("texts.parquet", texts)
        for split, kind in zip(questions["split"], questions["type"], strict=True):
            counts = self._questions.setdefault(split, {})
            counts[kind] = counts.get(kind, 0) + 1

    def finish(
        self,
        record: DatasetInfo,
        settings: CorpusSettings,
        languages: list[str],
        vqa_languages: list[str],
        facts: dict[str, Any],
    ) -> DatasetCard:
        """Hash what was written and write the card, last: a folder without it is no corpus."""
        paths = sorted(path for path in self.out.rglob("*") if path.is_file())
        files = {path.relative_to(self.out).as_posix(): file_hash(path) for path in paths}
        card = DatasetCard(
            layout=LAYOUT_VERSION,
            corpus=record.name,
            description=record.description,
            source=record.source,
            revision=record.revision,
            licences=[LicenceCard(**asdict(licence)) for licence in record.licences],
            in_domain=record.in_domain,
            out_of_domain=record.out_of_domain,
            notes=list(record.notes),
            languages=languages,
            vqa_languages=vqa_languages,
            settings=settings.model_dump(mode="json"),
            images=self._images,
            captions=self._captions,
            questions=self._questions,
            facts=facts,
            files=files,
            content=content_hash(files),
        )
        text = json.dumps(card.model_dump(mode="json"), ensure_ascii=False, indent=1)
        (self.out / "corpus.json").write_text(text + "\n", encoding="utf-8")
        return card

    def _table(self, name: str, columns: dict[str, Any]) -> None:
        write_table(self.out / name, columns)


def write_table(file: Path, columns: Mapping[str, Any]) -> None:
    """A table of the layout, its columns in the types that every corpus has."""
    arrays = {column: pa.array(values, type=_TYPES[column]) for column, values in columns.items()}
    pq.write_table(pa.table(arrays), file, compression="zstd")
