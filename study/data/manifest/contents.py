"""What the user's tables say, checked row by row."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from study.data.manifest.tables import Row, read_rows
from study.data.prepared import CaptionSplit, QuestionSplit
from study.data.problems import Problems
from study.records import ALL_LANGUAGES

T = TypeVar("T")

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
    spaced: Mapping[str, int] = field(default_factory=dict)
    """Captions that had space around them, by language; it was taken off."""

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(sorted({caption.language for caption in self.captions}))

    @property
    def vqa_languages(self) -> tuple[str, ...]:
        return tuple(sorted({text.language for text in self.texts}))

    def rows(self) -> Iterator[Caption | Text]:
        """Whatever uses an image."""
        yield from self.captions
        yield from self.texts

    def without(self, images: Collection[str]) -> Contents:
        """What does not use any of `images`."""
        captions = [caption for caption in self.captions if caption.image not in images]
        return replace(self, captions=captions, texts=[text for text in self.texts if text.image not in images])


@dataclass
class _Images:
    """Where each image was met first: an image in two splits would be trained on and scored."""

    first: dict[str, tuple[str, Row]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    paths: dict[tuple[str, str], str] = field(default_factory=dict)
    """Of a table and a name in it: an image is named once for each of its captions."""

    def path(self, row: Row, split: str) -> str:
        name = row.path("image")
        path = self.paths.get((row.file, name)) or self.paths.setdefault((row.file, name), _inside(row, name))
        other, where = self.first.setdefault(path, (split, row))
        if other != split and path not in self.told:
            self.told.add(path)
            raise row.error(
                f"image {name} is in split {split!r} and, in {where}, in split {other!r}: it must be in one"
            )
        return path


def _inside(row: Row, name: str) -> str:
    """The path of an image of that name, which stays below the table's folder: data may come from anybody."""
    folder, inner = Path(row.file).parent, Path(os.path.normpath(name))
    if inner.is_absolute() or inner.parts[:1] == (os.pardir,):
        raise row.error(f"image {name} is outside of {folder}/, the table's folder: images lie in it, or below it")
    return os.path.normpath(folder / inner)


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
    """Read and check both tables; images are not looked at.

    Raises:
        CorpusError: something in them cannot be used; it has a line for each problem, which names file and row.
    """
    problems = Problems()
    contents = gather(captions, questions, problems)
    problems.check()
    return contents


def gather(captions: str, questions: str | None, problems: Problems) -> Contents:
    """What can be used of both tables, and what is wrong with the rest as `problems`."""
    images, spaced = _Images(), Counter[str]()
    said: dict[tuple[str, ...], Caption] = {}
    asked: dict[tuple[str, str], Text] = {}
    problems.tried(captions, _captions, captions, images, said, spaced, problems)
    if questions is not None:
        problems.tried(questions, _texts, questions, images, asked, problems)
    return Contents(list(said.values()), list(asked.values()), dict(sorted(spaced.items())))


class _Fields:
    """The fields of a row, asked for one by one: what is wrong with each is a problem of its own."""

    def __init__(self, row: Row, problems: Problems) -> None:
        self.row, self._problems = row, problems
        self.whole = True

    def of(self, column: str, read: Callable[..., T], *values: object) -> T | None:
        """What `read` returns, or None where it raises CorpusError."""
        before = len(self._problems)
        found = self._problems.tried(f"{self.row.file}, {column}", read, *values)
        self.whole &= len(self._problems) == before
        return found


def _captions(
    file: str, images: _Images, found: dict[tuple[str, ...], Caption], spaced: Counter[str], problems: Problems
) -> None:
    for row in read_rows(file, CAPTION_COLUMNS, (PAIR,), lambda error: problems.add(error, f"{file}, rows")):
        fields = _Fields(row, problems)
        split = fields.of("split", _split, row, CAPTION_SPLITS)
        image = fields.of("image", images.path, row, split) if split else fields.of("image", _inside_of, row)
        language, text = fields.of("language", _language, row), fields.of("text", row.text, "text")
        paired = PAIR in row.values and split == "distil"
        pair = fields.of(PAIR, row.text, PAIR) if paired else None
        if not (fields.whole and split and image and language and text):
            continue
        caption = Caption(row, image, language, text, split, pair)
        if text != row.values["text"]:
            spaced[language] += 1
        first = found.setdefault((image, language, text), caption)
        if first is not caption:
            problems.add(row.error(f"the same image, language, text and split as in {first.row}"), f"{file}, twice")


def _inside_of(row: Row) -> str:
    return _inside(row, row.path("image"))


def _texts(file: str, images: _Images, found: dict[tuple[str, str], Text], problems: Problems) -> None:
    first: dict[str, Text] = {}
    for row in read_rows(file, QUESTION_COLUMNS, (), lambda error: problems.add(error, f"{file}, rows")):
        fields = _Fields(row, problems)
        split = fields.of("split", _split, row, QUESTION_SPLITS)
        image = fields.of("image", images.path, row, split) if split else fields.of("image", _inside_of, row)
        question, kind = fields.of("question", row.text, "question"), fields.of("type", row.text, "type")
        language, prompt = fields.of("language", _language, row), fields.of("prompt", row.text, "prompt")
        options = fields.of("options", row.texts, "options")
        answer = fields.of("answer", _answer, row, len(options)) if options else None
        if not (fields.whole and split and image and question and kind and language and prompt and options):
            continue
        assert answer is not None
        text = Text(row, question, split, image, kind, language, prompt, answer, tuple(options))
        known = found.setdefault((question, language), text)
        if known is not text:
            twice = row.error(f"question {question!r} in {language!r} is in {known.row} already")
            problems.add(twice, f"{file}, twice")
            continue
        fields.of("question", _same_question, text, first.setdefault(question, text))
        width = len(next(iter(first.values())).options)
        if len(options) != width:
            few = row.error(f"{len(options)} options, the questions before have {width}: all must have the same number")
            problems.add(few, f"{file}, number of options")


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
