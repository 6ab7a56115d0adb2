"""Questions of published data sets, written into a prepared corpus."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from study.data.base import CorpusError, check_languages, nearest
from study.data.prepared import ImageSet, QuestionSplit
from study.data.published import cvqa, maxm, xgqa
from study.data.published.gallery import Gallery
from study.data.published.question_reader import Reading
from study.data.published.sources import Part, Question, QuestionSource
from study.data.writer import CorpusWriter

Claim = Callable[[bytes, str, str], None]
"""`claim(content, split, where)` raises CorpusError if the image `content` is in a training split too."""

Parts = Mapping[QuestionSplit, Sequence[Part]]
Asked = dict[QuestionSplit, list[tuple[str, Question]]]
"""Questions of each split, each with the name of its source."""

QUESTION_SOURCES: dict[str, QuestionSource] = {"cvqa": cvqa.SOURCE, "maxm": maxm.SOURCE, "xgqa": xgqa.SOURCE}
"""Name in a part's `source` -> the data set."""

IMAGE_SETS: Mapping[QuestionSplit, ImageSet] = {"validation": "vqa_validation", "test": "vqa_test"}


def question_source(name: str) -> QuestionSource:
    """The data set registered as `name`; raises CorpusError, with the nearest name."""
    if name not in QUESTION_SOURCES:
        raise CorpusError(f"unknown source of questions {name!r}; {nearest(name, QUESTION_SOURCES)}")
    return QUESTION_SOURCES[name]


def question_languages(parts: Parts) -> tuple[str, ...]:
    """Languages that can be tested, those of any part of split test, in order of their codes; raises CorpusError."""
    tested = parts.get("test", ())
    return tuple(sorted({language for part in tested for language in question_source(part.source).languages(part)}))


def check_questions(parts: Parts, languages: Sequence[str]) -> None:
    """Refuse what cannot be obtained, before anything is downloaded. Local tables are read whole, images not opened.

    Raises:
        CorpusError: an unknown source or split, a folder that does not hold it, a language that no part of split
            test has, a part that has none of the languages, or local data that `write_questions` would refuse.
    """
    for part in _all(parts):
        question_source(part.source).split(part)
        _spoken(part, languages)
    check_languages(languages, question_languages(parts), "vqa_languages")
    local = {split: [part for part in own if part.hub is None] for split, own in parts.items()}
    asked, _ = _read(local, languages)
    _check_together(asked)
    if _all(local) == _all(parts):
        _check_tested(asked, languages)


def write_questions(
    writer: CorpusWriter, parts: Parts, languages: Sequence[str], claim: Claim, gallery: Gallery
) -> dict[str, Any]:
    """Read the questions of all parts, write their images (each once) and tables; returns facts for the card.

    Questions are called `<source>:<id>` and their type is `<source>:<type>`, so that sources stay distinct
    in every table. Texts are kept in memory; images stream from the source to the corpus. A question about an image
    that cannot be used, which is told to `gallery`, is left out.

    Raises:
        CorpusError: data that cannot be used (file and row are named), a question that is duplicated, parts
            with different numbers of options, a language without questions; or from `claim`.
    """
    asked, facts = _read(parts, languages)
    _check_together(asked)
    _check_tested(asked, languages)
    tables = _Tables(gallery)
    for split, questions in asked.items():
        if questions:
            writer.encoded(IMAGE_SETS[split], tables.fill(questions, split, claim))
    if not gallery.problems:
        _check_left(tables, languages)
    writer.questions(tables.questions, tables.texts)
    times = Counter(tables.texts["question"])
    return {
        "parts": facts,
        "left out with their images": tables.left_out,
        "questions in several languages": sum(count > 1 for count in times.values()),
    }


def _read(parts: Parts, languages: Sequence[str]) -> tuple[Asked, dict[str, Any]]:
    """The questions of all parts, and facts of each part."""
    asked: Asked = {split: [] for split in IMAGE_SETS}
    facts: dict[str, Any] = {}
    for split in IMAGE_SETS:
        for number, part in enumerate(parts.get(split, ()), start=1):
            reading = Reading(question_source(part.source), part, _spoken(part, languages))
            asked[split].extend((part.source, question) for question in reading.questions())
            facts[f"{split} {number}"] = reading.facts
    return asked, facts


def _all(parts: Parts) -> list[Part]:
    return [part for own in parts.values() for part in own]


def _spoken(part: Part, languages: Sequence[str]) -> list[str]:
    """Those of `languages` that the part has."""
    known = question_source(part.source).languages(part)
    spoken = [language for language in languages if language in known]
    if not spoken:
        raise CorpusError(f"{part.source} asks in {', '.join(known)}, in none of {', '.join(languages)}")
    return spoken


def _columns(*names: str) -> dict[str, list[Any]]:
    return {name: [] for name in names}


@dataclass
class _Tables:
    """The columns of questions.parquet and texts.parquet, filled while the images are written."""

    gallery: Gallery
    left_out: int = 0
    """Questions about images that cannot be used."""
    questions: dict[str, list[Any]] = field(
        default_factory=lambda: _columns("question", "split", "image", "type", "answer", "options")
    )
    texts: dict[str, list[Any]] = field(default_factory=lambda: _columns("question", "language", "prompt", "options"))

    def fill(self, asked: Sequence[tuple[str, Question]], split: QuestionSplit, claim: Claim) -> Iterator[bytes]:
        """Add the questions of a split; yields the file of each image when it comes up first."""
        place: dict[tuple[str, str], int | None] = {}
        written: dict[bytes, int | None] = {}
        shown = 0
        for source, question in asked:
            key = (source, question.image.key)
            if key not in place:
                content = question.image.read()
                digest = hashlib.sha256(content).digest()
                # Some sources bring a copy of the image with each question about it.
                if digest not in written and not self.gallery.usable(content, question.image.where):
                    written[digest] = None
                if digest not in written:
                    claim(content, split, question.image.where)
                    written[digest], shown = shown, shown + 1
                    yield content
                place[key] = written[digest]
            if (image := place[key]) is None:
                self.left_out += 1
            else:
                self._add(source, split, image, question)

    def _add(self, source: str, split: QuestionSplit, image: int, question: Question) -> None:
        name = f"{source}:{question.key}"
        numbers = [str(number) for number in range(_width(question))]
        row: tuple[Any, ...] = (name, split, image, f"{source}:{question.type}", question.answer, numbers)
        for column, value in zip(self.questions.values(), row, strict=True):
            column.append(value)
        for language, text in question.texts.items():
            words: tuple[Any, ...] = (name, language, text.prompt, list(text.options))
            for column, value in zip(self.texts.values(), words, strict=True):
                column.append(value)


def _width(question: Question) -> int:
    return len(next(iter(question.texts.values())).options)


def _check_together(asked: Asked) -> None:
    """Refuse questions that cannot stand in one corpus."""
    where: dict[tuple[str, str], str] = {}
    widths: dict[int, str] = {}
    for source, question in (pair for questions in asked.values() for pair in questions):
        key = (source, question.key)
        if key in where:
            raise CorpusError(f"{question.where}: question {question.key!r} of {source} is in {where[key]} too")
        where[key] = question.where
        widths.setdefault(_width(question), source)
        if len(widths) > 1:
            shown = " and ".join(f"{width} ({source})" for width, source in widths.items())
            raise CorpusError(f"{question.where}: numbers of options differ, {shown}: chance would, too")


def _check_tested(asked: Asked, languages: Sequence[str]) -> None:
    """Refuse a language that has no question in split test: it could not be scored."""
    tested = {language for _, question in asked["test"] for language in question.texts}
    if missing := [language for language in languages if language not in tested]:
        raise CorpusError(f"vqa_languages: no question to be tested in {', '.join(missing)}: leave it out")


def _check_left(tables: _Tables, languages: Sequence[str]) -> None:
    """Refuse a language whose questions in split test were all about images that cannot be used."""
    splits = dict(zip(tables.questions["question"], tables.questions["split"], strict=True))
    said = zip(tables.texts["question"], tables.texts["language"], strict=True)
    tested = {language for question, language in said if splits[question] == "test"}
    if missing := [language for language in languages if language not in tested]:
        raise CorpusError(f"vqa_languages: no question with an image that can be used in {', '.join(missing)}")
