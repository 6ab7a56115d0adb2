"""The questions of a part as a study asks them, and what became of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from study.data.base import CorpusError
from study.data.prepared import HELD_BACK
from study.data.published.choices import composed
from study.data.published.sources import Asking, LeftOut, Part, Question, QuestionSource
from study.seeds import stream

MOST_NAMED = 5
"""Ids that the card names of those left out for a reason."""


class Reading:
    """Texts brought to NFC, without space around them, and whose options differ; drawn, where `items` says so."""

    def __init__(self, source: QuestionSource, part: Part, languages: Sequence[str]) -> None:
        self._source, self._part, self._languages = source, part, languages
        self._left_out: dict[str, list[str]] = {}
        self._normalised = self._kept = self._held_back = 0

    def questions(self) -> list[Question]:
        """In the publisher's order; if the part has `items`, that many of them, drawn with its seed.

        Raises:
            CorpusError: a text is empty, `items` is more than there are, or from the source.
        """
        found = list(self._asked())
        items = self._part.items
        if items is not None and items > len(found):
            raise CorpusError(f"{self._part.source}: items is {items}, but {len(found)} questions can be asked")
        if items is not None:
            random = stream("questions", self._part.source, self._part.seed)
            found = [found[place] for place in sorted(random.choice(len(found), items, replace=False))]
        self._kept, self._held_back = len(found), sum(question.answer == HELD_BACK for question in found)
        return found

    @property
    def facts(self) -> dict[str, Any]:
        """For the corpus card, once `questions` has run."""
        return {
            "source": self._part.source,
            "questions": self._kept,
            "answers held back": self._held_back,
            "texts brought to NFC": self._normalised,
            "left out": {
                why: {"questions": len(keys), "for example": keys[:MOST_NAMED]} for why, keys in self._left_out.items()
            },
        }

    def _asked(self) -> Iterator[Question]:
        for question in self._source.questions(self._part, self._languages):
            if isinstance(question, LeftOut):
                self._left_out.setdefault(question.why, []).append(question.key)
                continue
            texts = {language: self._composed(text, question.where) for language, text in question.texts.items()}
            # Two options may be translated alike; where they are, none of them is the right one.
            distinct = {code: text for code, text in texts.items() if len(set(text.options)) == len(text.options)}
            for language in sorted(texts.keys() - distinct.keys()):
                self._left_out.setdefault(f"two options read the same in {language}", []).append(question.key)
            if distinct:
                where, image, kind = question.where, question.image, question.type
                yield Question(question.key, where, image, kind, question.answer, distinct)

    def _composed(self, text: Asking, where: str) -> Asking:
        own = [text.prompt, *text.options]
        clean = [composed(one) for one in own]
        if not all(clean):
            raise CorpusError(f"{where}: the question or an option is empty")
        self._normalised += sum(one.strip() != after for one, after in zip(own, clean, strict=True))
        return Asking(clean[0], clean[1:])
