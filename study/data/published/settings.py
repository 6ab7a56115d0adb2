"""What can be set of a corpus made of published data sets. Paths are relative to the study's folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from study.data.base import CorpusSettings
from study.data.images import Broken
from study.data.prepared import CaptionSplit, QuestionSplit
from study.data.published.questions import question_languages
from study.data.published.registry import caption_source
from study.data.published.sources import Part


def _listed(value: Any) -> Any:
    """One part or none, as a list of them."""
    if value is None:
        return []
    return [value] if isinstance(value, Mapping | Part) else value


Parts = Annotated[list[Part], BeforeValidator(_listed)]
"""One part, a list of parts, or null."""


COCO = "data/multilingual_coco"


class QuestionParts(CorpusSettings):
    """Where questions come from; `test` is scored, `validation` tunes."""

    validation: Parts = Field(default=[], description="questions to look at while a study is designed")
    test: Parts = Field(default=[], description="questions to score on, once")

    def by_split(self) -> dict[QuestionSplit, Sequence[Part]]:
        """The splits that have parts."""
        named: dict[QuestionSplit, Sequence[Part]] = {"validation": self.validation, "test": self.test}
        return {split: parts for split, parts in named.items() if parts}


class PublishedSettings(CorpusSettings):
    """Settings of the corpus `published`."""

    broken: Broken = Field(
        default="refuse", description="an image that cannot be used: refuse the data, or skip and count it"
    )
    pivot: str = Field(default="en", description="language whose captions distillation uses beside every other one")
    teacher: Parts = Field(default=[], description="needed only where a teacher is trained here")
    distil: Parts = Field(
        default=[Part(source="multilingual_coco", path=COCO, split="train")], description="to distil students on"
    )
    validation: Parts = Field(
        default=[Part(source="multilingual_coco", path=COCO, split="val", items=1000)], description="to tune on"
    )
    test: Parts = Field(
        default=[Part(source="crossmodal3600", path="data/crossmodal3600")], description="to score on, once"
    )
    questions: QuestionParts = Field(default=QuestionParts(), description="where questions come from")
    revision: str = Field(default="1", description="change it when local data have changed: they are read anew")
    licence: str = Field(default="not stated", min_length=1, description="of data of one's own (webdataset)")
    attribution: str = Field(default="not stated", min_length=1, description="whom to credit for it")

    def captioned(self) -> dict[CaptionSplit, list[Part]]:
        """The splits of captions that have parts, those that are scored first."""
        named: dict[CaptionSplit, list[Part]] = {
            "test": self.test,
            "validation": self.validation,
            "distil": self.distil,
            "teacher": self.teacher,
        }
        return {split: parts for split, parts in named.items() if parts}

    def places(self) -> Iterator[tuple[str, Part]]:
        """Every part, with the key that it stands under."""
        for split, parts in self.captioned().items():
            yield from ((split, part) for part in parts)
        for asked, found in self.questions.by_split().items():
            yield from ((f"questions.{asked}", part) for part in found)

    def known_languages(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Languages of the test, and those of any question, in order of their codes.

        A student may be tested in languages that it is not distilled in: which of them it forgets is a finding.

        Raises:
            CorpusError: a source is unknown, or local data cannot be read.
        """
        spoken = {language for part in self.test for language in caption_source(part.source).languages(part)}
        return tuple(sorted(spoken)), question_languages(self.questions.by_split())

    def known_splits(self) -> tuple[str, ...]:
        """Splits of captions that the corpus will have."""
        return tuple(self.captioned())
