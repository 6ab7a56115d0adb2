"""Texts that a model reads as one: options of a question, and captions of different images.

A model cleans a text, cuts it into tokens and reads as many as fit. What is one text after that cannot be told
apart, whatever the model sees: such a question has no right answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from study.data.prepared import scored_text

Read = Callable[[Sequence[str]], Sequence[Hashable]]
"""What a model reads of each text; equal where it cannot tell two apart."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in one language; `where` is its file and row."""

    where: str
    question: str
    language: str
    prompt: str
    options: Sequence[str]
    answer: int


@dataclass(frozen=True, slots=True)
class Alike:
    """Two options of a question that are one text to the model of teacher `reader`, by their numbers from 0."""

    asked: Asked
    first: int
    second: int
    reader: str

    def __str__(self) -> str:
        options = self.asked.options
        return (
            f"{self.asked.where}: question {self.asked.question!r} in {self.asked.language!r}: options {self.first} "
            f"and {self.second} (from 0), {options[self.first]!r} and {options[self.second]!r}, are the same text to "
            f"teacher {self.reader}, once it has cleaned and cut them"
        )


def options_alike(asked: Iterable[Asked], readers: Mapping[str, Read]) -> Iterator[Alike]:
    """The first two options alike of each question and language, to the first of the readers that has such.

    Args:
        asked: questions; every text is read as it is scored, behind its prompt.
        readers: teacher -> how it reads.
    """
    questions = list(asked)
    flat = [scored_text(one.prompt, option) for one in questions for option in one.options]
    found: dict[int, Alike] = {}
    for name, read in readers.items():
        seen, start = read(flat), 0
        for number, one in enumerate(questions):
            own = seen[start : start + len(one.options)]
            start += len(one.options)
            if number not in found and (pair := _equal(own)) is not None:
                found[number] = Alike(one, *pair, name)
    for number in sorted(found):
        yield found[number]


def _equal(values: Sequence[Hashable]) -> tuple[int, int] | None:
    first: dict[Hashable, int] = {}
    for place, value in enumerate(values):
        if value in first:
            return first[value], place
        first[value] = place
    return None


def captions_shared(captions: Iterable[tuple[int, str, str]], readers: Mapping[str, Read]) -> dict[str, dict[str, int]]:
    """Captions that say of their image what another image's caption says too: reader -> language -> how many.

    Args:
        captions: image, language and text of each.
        readers: as above; what is the same as written counts as `as written`.
    """
    rows = list(captions)
    texts = [text for _, _, text in rows]
    counts: dict[str, dict[str, int]] = {}
    for name, read in {"as written": _same, **readers}.items():
        images: dict[tuple[str, Hashable], set[int]] = defaultdict(set)
        seen = read(texts)
        for (image, language, _), value in zip(rows, seen, strict=True):
            images[language, value].add(image)
        shared = Counter(
            language for (_, language, _), value in zip(rows, seen, strict=True) if len(images[language, value]) > 1
        )
        counts[name] = dict(sorted(shared.items()))
    return counts


def _same(texts: Sequence[str]) -> Sequence[Hashable]:
    return texts
