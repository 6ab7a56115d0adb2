"""The captioned images of one split: drawn, cleaned, counted and written one by one."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from study.corpora.base import CorpusError, Progress
from study.corpora.layout import CaptionSplit
from study.corpora.published.ledger import Ledger
from study.corpora.published.registry import caption_source
from study.corpora.published.sources import Captioned, Part
from study.corpora.writing import CaptionTable, CorpusWriter
from study.pictures import PictureError, decode
from study.seeds import stream

GALLERY, SHARED = 3, 2
"""Consistency is defined from this many images on: in all, and captioned in all languages."""

Captions = Mapping[str, Sequence[str]]


@dataclass
class PartFacts:
    """What was read of a part, for the card."""

    images: int = 0
    captions: Counter[str] = field(default_factory=Counter)
    normalised: Counter[str] = field(default_factory=Counter)
    """Captions that were not in Unicode's form NFC, by language; they were normalised."""
    blank: Counter[str] = field(default_factory=Counter)
    """Empty captions on the hub, by language; they were left out."""
    uncaptioned: int = 0
    """Images without a caption in the languages asked for; they were left out."""
    repeated: int = 0
    """Images with the content of an earlier one of the split; their captions were given to that one."""

    def card(self, part: Part) -> dict[str, Any]:
        """As written to the card."""
        source = caption_source(part.source)
        found: dict[str, Any] = {
            "source": part.source,
            "place": part.path or part.hub,
            "revision": part.revision,
            "split": source.split(part),
            "items": part.items,
            "seed": part.seed,
        }
        for name, value in vars(self).items():
            found[name] = dict(sorted(value.items())) if isinstance(value, Counter) else value
        return found


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


def drawn(part: Part, languages: Sequence[str]) -> Iterator[Captioned]:
    """A part's images: all, or `part.items` of them drawn with its seed, in the publisher's order.

    Raises:
        CorpusError: it has fewer images than that; or from the source.
    """
    source = caption_source(part.source)
    own = [language for language in languages if language in source.languages(part)]
    if part.items is None:
        yield from source.items(part, own)
        return
    total = source.count(part)
    if part.items > total:
        raise CorpusError(f"{part.source}, {part.place}: {part.items} items are asked for, there are {total}")
    names = (part.source, source.split(part), part.seed)
    chosen = set(stream("published", *names).permutation(total)[: part.items].tolist())
    yield from (item for number, item in enumerate(source.items(part, own)) if number in chosen)


def cleaned(item: Captioned, part: Part, facts: PartFacts) -> dict[str, list[str]]:
    """The item's captions in Unicode's form NFC and without space around them; languages without any left out.

    Raises:
        CorpusError: a caption is empty (on the hub, where nobody can mend it, it is left out and counted) or no
            text; the message names its row.
    """
    found: dict[str, list[str]] = {}
    for language, texts in item.captions.items():
        for number, text in enumerate(texts, start=1):
            at = f"{item.image.where}: caption {number} in {language!r}"
            composed = unicodedata.normalize("NFC", text)
            if composed != text:
                facts.normalised[language] += 1
            if any("\ud800" <= character <= "\udfff" for character in composed):
                raise CorpusError(f"{at} has half of a surrogate pair, which is no character: {text!a}")
            if composed.strip():
                found.setdefault(language, []).append(composed.strip())
            elif part.hub is not None:
                facts.blank[language] += 1
            else:
                raise CorpusError(f"{at} is empty")
    return found


def items_of(
    parts: Sequence[Part], languages: Sequence[str], facts: list[PartFacts]
) -> Iterator[tuple[Captioned, dict[str, list[str]], PartFacts]]:
    """Every image of all parts with its cleaned captions; `facts` gets an entry a part."""
    for part in parts:
        facts.append(PartFacts())
        for item in drawn(part, languages):
            captions = cleaned(item, part, facts[-1])
            if captions:
                yield item, captions, facts[-1]
            else:
                facts[-1].uncaptioned += 1


def write_split(
    writer: CorpusWriter,
    split: CaptionSplit,
    parts: Sequence[Part],
    languages: Sequence[str],
    pivot: str,
    ledger: Ledger,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Write images and captions of a split; returns each part's facts.

    An image that is there twice in a split is one image, with the captions of both.

    Raises:
        CorpusError: an image cannot be decoded, is used for another purpose too, or has no caption in the pivot
            language (distil); a language is missing; too few images (test).
    """
    facts: list[PartFacts] = []
    wanted = list(dict.fromkeys([*languages, pivot])) if split == "distil" else list(languages)
    tally = Tally(languages)
    numbers: dict[bytes, int] = {}

    def contents(table: CaptionTable) -> Iterator[bytes]:
        for item, captions, part in items_of(parts, wanted, facts):
            content, where = item.image.read(), item.image.where
            _check_image(content, where)
            digest = ledger.claim(content, split, where)
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
                    progress(f"{split}: images and captions", 0.0)
                yield content
            else:
                part.repeated += 1

    with writer.caption_table(split) as table:
        writer.encoded(split, contents(table))
    if split != "teacher":
        tally.check(split)
    return [found.card(part) for part, found in zip(parts, facts, strict=True)]


def _rows(captions: Captions) -> Iterator[tuple[str, ...]]:
    """Language and text."""
    for language, texts in captions.items():
        yield from ((language, text) for text in texts)


def _distil_rows(captions: Captions, pivot: str, where: str) -> Iterator[tuple[str, ...]]:
    """Language, text and the pivot caption that belongs to it; a text once an image and language.

    The k-th caption goes with the k-th in the pivot language, or with the first where there are fewer:
    translations stand in the order of what they translate.
    """
    if pivot not in captions:
        raise CorpusError(
            f"{where}: the image has no caption in {pivot!r}: every image of split 'distil' needs one in the pivot "
            "language"
        )
    pivots = captions[pivot]
    for language, texts in captions.items():
        for text in dict.fromkeys(texts):
            place = texts.index(text)
            yield language, text, text if language == pivot else pivots[place if place < len(pivots) else 0]


def _check_image(content: bytes, where: str) -> None:
    try:
        decode(content)
    except PictureError as error:
        raise CorpusError(f"{where}: the image {error}") from None
