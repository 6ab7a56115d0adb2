"""What the user's tables say, checked row by row."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from study import places
from study.corpora.layout import CaptionSplit, QuestionSplit
from study.corpora.manifest.tables import Row, read_rows
from study.names import nearest
from study.records import ALL_LANGUAGES

CAPTION_SPLITS: tuple[CaptionSplit, ...] = ("teacher", "distil", "validation", "test")
QUESTION_SPLITS: tuple[QuestionSplit, ...] = ("validation", "test")
CAPTION_COLUMNS = ("image", "language", "text", "split")
PAIR = "pair"
"""Optional column of the captions: those of an image with the same value belong together."""
QUESTION_COLUMNS = ("question", "split", "image", "type", "language", "prompt", "answer", "options")
CODE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class Caption:
    """One caption; `image` is the file's path."""

    row: Row
    image: str
    language: str
    text: str
    split: str
    pair: str | None
    """None: the table has no such column."""


@dataclass(frozen=True, slots=True)
class Text:
    """One question in one language."""

    row: Row
    question: str
    split: str
    image: str
    type: str
    language: str
    prompt: str
    answer: int
    options: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """All of the user's data but the pixels."""

    captions: list[Caption]
    texts: list[Text]

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(sorted({caption.language for caption in self.captions}))

    @property
    def vqa_languages(self) -> tuple[str, ...]:
        return tuple(sorted({text.language for text in self.texts}))


@dataclass
class _Images:
    """Where each image was met first: an image in two splits would be trained on and scored."""

    first: dict[str, tuple[str, Row]] = field(default_factory=dict)

    def path(self, row: Row, split: str) -> str:
        name = row.path("image")
        path = os.path.normpath(Path(row.file).parent / name)
        if path not in self.first:
            _must_exist(row, name, Path(path))
            self.first[path] = split, row
        other, where = self.first[path]
        if other != split:
            raise row.error(
                f"image {name} is in split {split!r} and, in {where}, in split {other!r}: it must be in one"
            )
        return path


def _must_exist(row: Row, name: str, path: Path) -> None:
    if places.is_file(path):
        return
    close = nearest(path.name, places.names_beside(path))
    meant = f"; did you mean {Path(name).with_name(close)}?" if close else ""
    raise row.error(f"there is no image {path}{meant}")


OTHERS_NAMES = {
    "train": "distil",
    "training": "distil",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
}
"""What most data sets call a split, and what it is here."""


def _split(row: Row, known: Sequence[str]) -> str:
    given = row.text("split")
    if given not in known and given.lower() in OTHERS_NAMES:
        meant = OTHERS_NAMES[given.lower()]
        raise row.error(f"unknown split {given!r}; here it is called {meant!r}, and the splits are {', '.join(known)}")
    return row.name("split", known)


def _language(row: Row) -> str:
    code = row.text("language")
    if not CODE.fullmatch(code) or code == ALL_LANGUAGES:
        raise row.error(f"language {code!r} is no language code such as 'en' or 'pt-BR'")
    return code


def read(captions: str, questions: str | None) -> Contents:
    """Read and check both tables.

    Raises:
        CorpusError: something in them cannot be used; the message names file and row.
    """
    images = _Images()
    return Contents(_captions(captions, images), _texts(questions, images) if questions is not None else [])


def _captions(file: str, images: _Images) -> list[Caption]:
    found: dict[tuple[str, ...], Caption] = {}
    for row in read_rows(file, CAPTION_COLUMNS, (PAIR,)):
        split = _split(row, CAPTION_SPLITS)
        pair = row.text(PAIR) if PAIR in row.values and split == "distil" else None
        caption = Caption(row, images.path(row, split), _language(row), row.text("text"), split, pair)
        key = (caption.image, caption.language, caption.text)
        if key in found:
            raise row.error(f"the same image, language, text and split as in {found[key].row}")
        found[key] = caption
    return list(found.values())


def _texts(file: str, images: _Images) -> list[Text]:
    found: dict[tuple[str, str], Text] = {}
    first: dict[str, Text] = {}
    for row in read_rows(file, QUESTION_COLUMNS):
        split, options = _split(row, QUESTION_SPLITS), tuple(row.texts("options"))
        text = Text(
            row,
            row.text("question"),
            split,
            images.path(row, split),
            row.text("type"),
            _language(row),
            row.text("prompt"),
            _answer(row, len(options)),
            options,
        )
        key = (text.question, text.language)
        if key in found:
            raise row.error(f"question {text.question!r} in {text.language!r} is in {found[key].row} already")
        found[key] = text
        _same_question(text, first.setdefault(text.question, text))
        width = len(next(iter(first.values())).options)
        if len(options) != width:
            raise row.error(f"{len(options)} options, the questions before have {width}: all must have the same number")
    return list(found.values())


def _answer(row: Row, options: int) -> int:
    answer = row.integer("answer")
    if answer == -1:
        raise row.error("answer is -1, held back: such a question cannot be scored; leave its rows out")
    if not 0 <= answer < options:
        raise row.error(f"answer is {answer}, but options count from 0 to {options - 1}")
    return answer


def _same_question(text: Text, first: Text) -> None:
    """A question is the same in all languages but for its words: options stand in the same order."""
    for what in ("split", "image", "type", "answer"):
        own, other = getattr(text, what), getattr(first, what)
        if own != other:
            raise text.row.error(f"question {text.question!r} has {what} {own!r} here and {other!r} in {first.row}")
