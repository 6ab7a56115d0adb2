"""Questions of published data sets, written into a prepared corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from study.corpora.base import CorpusError
from study.corpora.layout import QuestionSplit
from study.corpora.published.sources import Part, QuestionSource
from study.corpora.writing import CorpusWriter
from study.names import hint

Claim = Callable[[bytes, str, str], None]
"""`claim(content, split, where)` raises CorpusError if the image `content` is in a training split too."""

Parts = Mapping[QuestionSplit, Sequence[Part]]

QUESTION_SOURCES: dict[str, QuestionSource] = {}
"""Name in a part's `source` -> the data set."""


def question_source(name: str) -> QuestionSource:
    """The data set registered as `name`; raises CorpusError, with the nearest name."""
    try:
        return QUESTION_SOURCES[name]
    except KeyError:
        raise CorpusError(f"unknown source of questions {name!r}{hint(name, QUESTION_SOURCES)}") from None


def question_languages(parts: Parts) -> tuple[str, ...]:
    """Languages in which any part has questions, in order of their codes; raises CorpusError."""
    return tuple(
        sorted({language for part in _all(parts) for language in question_source(part.source).languages(part)})
    )


def check_questions(parts: Parts, languages: Sequence[str]) -> None:
    """Refuse what cannot be had, before anything is downloaded: a source, split or language that is not there."""
    raise NotImplementedError


def write_questions(writer: CorpusWriter, parts: Parts, languages: Sequence[str], claim: Claim) -> dict[str, Any]:
    """Read the questions of all parts, write their images (each once) and tables; returns facts for the card.

    Image sets are `vqa_validation` and `vqa_test`. Questions are called `<source>:<id>` and their type is
    `<source>:<type>`, so that sources can be told apart in every table.

    Raises:
        CorpusError: data that cannot be used (file and row are named), a question that is there twice, parts
            with different numbers of options, a language without questions; or from `claim`.
    """
    raise NotImplementedError


def _all(parts: Parts) -> list[Part]:
    return [part for split in parts.values() for part in split]
