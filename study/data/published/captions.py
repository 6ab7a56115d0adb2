"""The captioned images of one split, written one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.data.base import CorpusError, Progress
from study.data.pairing import BLANK, paired
from study.data.prepared import CaptionSplit
from study.data.published.gallery import Gallery
from study.data.published.leakage import LeakageCheck
from study.data.published.sampling import PartFacts, items_of
from study.data.published.sources import Part
from study.data.writer import CaptionTable, CorpusWriter

GALLERY, SHARED = 3, 2
"""Consistency is defined from this many images on: in all, and captioned in all languages."""

Captions = Mapping[str, Sequence[str]]


class Tally:
    """Whether a split can be scored: images, and how many of them each language describes."""

    def __init__(self, languages: Sequence[str]) -> None:
        self._languages = languages
        self._described: Counter[str] = Counter()
        self._images = self._shared = 0

    def add(self, captions: Captions) -> None:
        self._images += 1
        self._described.update(captions.keys())
        self._shared += all(language in captions for language in self._languages)

    def check(self, split: str) -> None:
        """Raises CorpusError: no caption in any language; for the test, in one of them, or too few images."""
        if not self._described:
            raise CorpusError(f"{split}: no caption in any of {', '.join(self._languages)}")
        if split != "test":
            return
        for language in self._languages:
            if not self._described[language]:
                raise CorpusError(f"{split}: no caption in {language!r}: leave it out of languages")
        if self._images < GALLERY or self._shared < SHARED:
            fewest = min(self._languages, key=lambda language: self._described[language])
            raise CorpusError(
                f"test: {self._images} images, {self._shared} of them with captions in all of "
                f"{', '.join(self._languages)}; consistency needs {GALLERY} and {SHARED} (fewest: {fewest!r}, "
                f"{self._described[fewest]} images)"
            )


@dataclass(frozen=True)
class Into:
    """The corpus that splits are written into, in these languages, and what watches over their images."""

    writer: CorpusWriter
    languages: Sequence[str]
    pivot: str
    leakage: LeakageCheck
    gallery: Gallery
    progress: Progress


def write_split(into: Into, split: CaptionSplit, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Write images and captions of a split; returns each part's facts.

    An image that is duplicated in a split is one image, with the captions of both. One that cannot be used is told
    to the gallery, and left out.

    Raises:
        CorpusError: an image is used for another purpose too, or has no caption in the pivot
            language (distil); a language is missing; too few images (test).
    """
    languages, pivot, gallery = into.languages, into.pivot, into.gallery
    facts: list[PartFacts] = []
    wanted = list(dict.fromkeys([*languages, pivot])) if split == "distil" else list(languages)
    tally = Tally(languages)
    numbers: dict[bytes, int] = {}

    def contents(table: CaptionTable) -> Iterator[bytes]:
        for item, captions, part in items_of(parts, wanted, facts):
            content, where = item.image.read(), item.image.where
            if not gallery.usable(content, where):
                part.broken += 1
                continue
            digest = into.leakage.claim(content, split, where)
            fresh = digest not in numbers
            number = numbers.setdefault(digest, len(numbers))
            for row in _distil_rows(captions, pivot, where) if split == "distil" else _rows(captions):
                if row[0] in languages:
                    table.add(number, *row)
                    part.captions[row[0]] += 1
            tally.add(captions)
            if fresh:
                part.images += 1
                if len(numbers) % 500 == 0:
                    into.progress(f"{split}: images and captions", 0.0)
                yield content
            else:
                part.repeated += 1

    with into.writer.caption_table(split) as table:
        into.writer.encoded(split, contents(table))
    # Where images are refused, they are the reason, and are named when all have been seen.
    if split != "teacher" and not gallery.problems:
        tally.check(split)
    return [found.card(part) for part, found in zip(parts, facts, strict=True)]


def _rows(captions: Captions) -> Iterator[tuple[str, ...]]:
    """Language and text."""
    for language, texts in captions.items():
        yield from ((language, text) for text in texts if text != BLANK)


def _distil_rows(captions: Captions, pivot: str, where: str) -> Iterator[tuple[str, ...]]:
    """Language, text and the pivot caption that belongs to it (`pairing.paired`); each different text once."""
    if pivot not in captions:
        raise CorpusError(
            f"{where}: the image has no caption in {pivot!r}: every image of split 'distil' needs one in the pivot "
            "language"
        )
    for language, texts in captions.items():
        for text, beside in paired(texts, captions[pivot]):
            yield language, text, text if language == pivot else beside
