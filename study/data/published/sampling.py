"""The captioned images of a part as a corpus uses them: drawn, cleaned and counted."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from study.data.base import CorpusError
from study.data.pairing import BLANK
from study.data.published.registry import caption_source
from study.data.published.sources import Captioned, Part
from study.seeds import stream


@dataclass
class PartFacts:
    """What was read of a part, for the card."""

    images: int = 0
    captions: Counter[str] = field(default_factory=Counter)
    normalised: Counter[str] = field(default_factory=Counter)
    """Captions that were not in Unicode's form NFC, by language; they were normalised."""
    blank: Counter[str] = field(default_factory=Counter)
    """Empty captions on the hub, by language; they were left out."""
    broken: int = 0
    """Images that cannot be used; they were left out, with their captions."""
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

    Of a caption that is left out because it is empty, `pairing.BLANK` keeps the place.

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
            if not composed.strip():
                if part.hub is None:
                    raise CorpusError(f"{at} is empty")
                facts.blank[language] += 1
            found.setdefault(language, []).append(composed.strip() or BLANK)
    return {language: texts for language, texts in found.items() if any(texts)}


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
