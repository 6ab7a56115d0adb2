"""The prepared corpus on disk: the same for every corpus, read by everything after `prepare`.

corpus.json               the card: record, settings, counts, licences, a sha256 of every file
images/<set>.npy          uint8 [n, height, width, 3], memory-mapped; or, where models fit images themselves,
images/<set>.bin          the image files one after another, and
images/<set>.ends.npy     int64 [n], where in it each of them ends
captions/<split>.parquet  image (row in the image set of that name), language, text; captions of an image
                          in a language in the publisher's order
captions/distil.parquet   one row per training item: image, language, text, english (the image's caption in the
                          pivot language, mostly English, that belongs to text; text itself where it is in that
                          language). The emoji corpus has one row per image, others one row per caption
questions.parquet         question, split, image (row in images/vqa_<split>.npy), type, answer (-1: the publisher
                          keeps it, the question is asked and never scored), options (ids)
texts.parquet             question, language, prompt, options (the same options, in that language)

A corpus may lack a set (no teacher split, no questions); an image may have several captions in a
language or none; a question may be in some of the languages only. `verify` holds what must be true
of all of them; what is true of one corpus (parallel captions) is its own promise.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from study.data.base import CorpusError, nearest
from study.data.pictures import EncodedPictures, Pictures, PixelPictures
from study.strict import Strict

ImageSet = Literal["teacher", "distil", "validation", "test", "vqa_validation", "vqa_test"]
CaptionSplit = Literal["teacher", "distil", "validation", "test"]
QuestionSplit = Literal["validation", "test"]

CAPTION_COLUMNS = ("image", "language", "text")
DISTIL_COLUMNS = ("image", "language", "text", "english")
QUESTION_COLUMNS = ("question", "split", "image", "type", "answer", "options")
TEXT_COLUMNS = ("question", "language", "prompt", "options")
LAYOUT_VERSION = 1
HELD_BACK = -1
"""The answer of a question whose publisher keeps it."""


class LicenceCard(Strict, strict=False):
    """A licence as written to the card."""

    covers: str
    name: str
    attribution: str


class DatasetCard(BaseModel):
    """corpus.json."""

    layout: int
    corpus: str
    description: str
    source: str
    revision: str
    licences: list[LicenceCard]
    in_domain: str
    out_of_domain: str
    notes: list[str]
    languages: list[str]
    vqa_languages: list[str]
    settings: dict[str, Any]
    images: dict[str, int]
    captions: dict[str, dict[str, int]]
    questions: dict[str, dict[str, int]]
    facts: dict[str, Any]
    files: dict[str, str]
    content: str


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hash(files: dict[str, str]) -> str:
    """One hash over all files' hashes: two corpora are the same when these are."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def scored_text(prompt: str, option: str) -> str:
    """The text that is scored against the image for an option of a question."""
    return f"{prompt} {option}"


class PreparedCorpus:
    """Reader of a prepared corpus."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not (self.path / "corpus.json").is_file():
            raise CorpusError(f"{self.path} is no prepared corpus: it has no corpus.json")

    @cached_property
    def card(self) -> DatasetCard:
        try:
            return DatasetCard.model_validate_json((self.path / "corpus.json").read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            raise CorpusError(f"{self.path / 'corpus.json'}: {error}") from error

    @property
    def languages(self) -> list[str]:
        return self.card.languages

    @property
    def vqa_languages(self) -> list[str]:
        return self.card.vqa_languages

    def images(self, name: ImageSet) -> np.ndarray:
        """uint8 [n, height, width, 3], memory-mapped and read-only."""
        return np.load(self._file(f"images/{name}.npy"), mmap_mode="r")

    def pictures(self, name: ImageSet) -> Pictures:
        """The same, or the encoded image files of a corpus that keeps those."""
        if f"images/{name}.bin" not in self.card.files:
            return PixelPictures(self.images(name))
        content = np.memmap(self._file(f"images/{name}.bin"), dtype=np.uint8, mode="r")
        return EncodedPictures(content, np.load(self._file(f"images/{name}.ends.npy")))

    def captions(self, split: CaptionSplit) -> pd.DataFrame:
        """Columns image, language, text; for `distil` one row per training item, with `english` besides."""
        return pd.read_parquet(self._file(f"captions/{split}.parquet"))

    def text_blocks(self, split: CaptionSplit, column: str, rows: int) -> Iterator[list[str]]:
        """A text column of `captions` in blocks of `rows`, of which one is in memory at a time."""
        block: list[str] = []
        for batch in pq.ParquetFile(self._file(f"captions/{split}.parquet")).iter_batches(rows, columns=[column]):
            block += batch.column(0).to_pylist()
            while len(block) >= rows:
                yield block[:rows]
                block = block[rows:]
        if block:
            yield block

    def questions(self, split: QuestionSplit | None = None) -> pd.DataFrame:
        """Columns question, split, image, type, answer, options (canonical ids)."""
        frame = pd.read_parquet(self._file("questions.parquet"))
        return frame if split is None else frame[frame["split"] == split].reset_index(drop=True)

    def texts(self, language: str | None = None, split: QuestionSplit | None = None) -> pd.DataFrame:
        """Columns question, language, prompt, options, in the order of `questions`."""
        frame = pd.read_parquet(self._file("texts.parquet"))
        if language is not None:
            if language not in self.vqa_languages:
                raise CorpusError(f"no questions in {language!r}; {nearest(language, self.vqa_languages)}")
            frame = frame[frame["language"] == language]
        if split is not None:
            frame = frame[frame["question"].isin(self.questions(split)["question"])]
        return frame.reset_index(drop=True)

    def verify(self, hashes: bool = True) -> None:
        """Raise `CorpusError` naming the first thing that is not as the layout and the card say."""
        if self.card.layout != LAYOUT_VERSION:
            raise CorpusError(f"layout {self.card.layout}, this code reads {LAYOUT_VERSION}: prepare again")
        for name, expected in self.card.files.items():
            path = self._file(name)
            if hashes and file_hash(path) != expected:
                raise CorpusError(f"{path} has changed since it was prepared")
        for name, count in self.card.images.items():
            self._verify_images(name, count)
        for split, counts in self.card.captions.items():
            self._verify_captions(split, counts)
        if self.card.questions:
            self._verify_questions()

    def _file(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            has = ", ".join(self.card.files)
            raise CorpusError(f"{self.path} has no {name}; it has {has}")
        return path

    def _verify_images(self, name: str, count: int) -> None:
        if f"images/{name}.bin" in self.card.files:
            size, ends = self._file(f"images/{name}.bin").stat().st_size, np.load(self._file(f"images/{name}.ends.npy"))
            whole = len(ends) == count and ends[-1] == size and (np.diff(ends, prepend=0) > 0).all()
            _check(f"images/{name}", bool(whole), "the ends of the images are not those of the file")
            return
        images = self.images(name)  # type: ignore[arg-type]
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or len(images) != count:
            raise CorpusError(f"images/{name}.npy: {images.dtype} {images.shape}, not uint8 [{count}, h, w, 3]")

    def _images(self, name: str) -> int:
        """Images of a set, by the card."""
        _check("corpus.json", name in self.card.images, f"images has no set {name!r}, which the tables speak of")
        return self.card.images[name]

    def _verify_captions(self, split: str, counts: dict[str, int]) -> None:
        frame = pd.read_parquet(self._file(f"captions/{split}.parquet"))
        expected = DISTIL_COLUMNS if split == "distil" else CAPTION_COLUMNS
        _check(f"captions/{split}", tuple(frame.columns) == expected, f"columns are {list(frame.columns)}")
        seen = frame["language"].astype(str).value_counts().to_dict()
        _check(f"captions/{split}", seen == counts, "the counts a language are not the card's")
        _check(f"captions/{split}", set(seen) <= set(self.languages), "languages outside the card's")
        inside = frame["image"].between(0, self._images(split) - 1).all()
        _check(f"captions/{split}", bool(inside), "an image is out of range")
        for column in expected[2:]:
            _check_texts(f"captions/{split}", frame[column])

    def _verify_questions(self) -> None:
        questions, texts = self.questions(), self.texts()
        _check("questions", tuple(questions.columns) == QUESTION_COLUMNS, f"columns are {list(questions.columns)}")
        _check("texts", tuple(texts.columns) == TEXT_COLUMNS, f"columns are {list(texts.columns)}")
        _check("questions", questions["question"].is_unique, "an id is duplicated")
        _check("texts", not texts.duplicated(["question", "language"]).any(), "a question is duplicated in a language")
        _check("texts", set(texts["question"]) == set(questions["question"]), "ids differ from questions.parquet")
        _check("texts", set(texts["language"]) <= set(self.vqa_languages), "languages outside the card's")
        for name, split, image, answer, options in zip(
            *(questions[column] for column in ("question", "split", "image", "answer", "options")), strict=True
        ):
            _check("questions", len(set(options)) == len(options) >= 2, f"{name}: options repeat")
            known = 0 <= answer < len(options) or answer == HELD_BACK
            _check("questions", known, f"{name}: no such answer")
            _check("questions", 0 <= image < self._images(f"vqa_{split}"), f"{name}: image out of range")
        width = dict(zip(questions["question"], questions["options"].map(len), strict=True))
        for question, options in zip(texts["question"], texts["options"], strict=True):
            _check("texts", len(options) == width[question], f"{question}: number of options")
            _check("texts", len(set(options)) == len(options), f"{question}: two options read the same")
        _check_texts("texts", texts["prompt"])
        _check_texts("texts", texts["options"].explode())


def _check(where: str, holds: bool, problem: str) -> None:
    if not holds:
        raise CorpusError(f"{where}: {problem}")


def _check_texts(where: str, texts: pd.Series) -> None:
    for text in texts:
        _check(where, bool(text) and unicodedata.is_normalized("NFC", text), f"empty or not NFC: {text!r}")
