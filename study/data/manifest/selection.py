"""What a study asks for of the user's data, and whether it can be trained on and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study.data.base import CorpusError, check_languages
from study.data.manifest.contents import CAPTION_SPLITS, PAIR, QUESTION_SPLITS, Caption, Contents, Text
from study.data.pairing import paired
from study.data.prepared import CaptionSplit, QuestionSplit
from study.data.problems import Problems

MOST_LANGUAGES = 127
"""The layout numbers languages in eight bits."""
SHARED_IMAGES = 2
GALLERY = 3
"""Consistency is defined from this many images on: captioned in all languages, and in all."""


@dataclass(frozen=True)
class Selection:
    """What is prepared: captions and texts of the languages asked for, by split.

    Split `teacher` may be empty: published teachers need none.
    """

    captions: Mapping[CaptionSplit, list[Caption]]
    pivots: Sequence[str]
    """Of every caption of the distil split the one in the pivot language that it is distilled beside."""
    texts: Mapping[QuestionSplit, list[Text]]


def select(
    contents: Contents, captions: str, pivot: str, languages: Sequence[str], vqa_languages: Sequence[str]
) -> Selection:
    """The part of `contents` in these languages; `captions` is its file's name, for errors.

    Raises:
        CorpusError: a language is not in the data, or a part that the study needs is missing; a line for each.
    """
    problems = Problems()
    check_languages(languages, contents.languages, "languages")
    if vqa_languages:
        check_languages(vqa_languages, contents.vqa_languages, "vqa_languages")
    if not 2 <= len(languages) <= MOST_LANGUAGES:
        raise CorpusError(f"languages: {len(languages)} given, there must be 2 to {MOST_LANGUAGES}: they are compared")
    chosen = {
        split: [c for c in contents.captions if c.split == split and c.language in languages]
        for split in CAPTION_SPLITS
    }
    for split, rows in chosen.items():
        if not rows and split != "teacher":
            problems.add(f"{captions}: no row of split {split!r} in {', '.join(languages)}")
    for split in QUESTION_SPLITS:
        there = {caption.language for caption in chosen[split]}
        for language in languages:
            if there and language not in there:
                problems.add(f"{captions}: no row of split {split!r} in {language!r}: it could not be scored")
    if not problems:
        problems.tried("parallel", _check_parallel, captions, chosen["test"], languages)
    texts = {
        split: [text for text in contents.texts if text.split == split and text.language in vqa_languages]
        for split in QUESTION_SPLITS
    }
    for language in vqa_languages:
        if not any(text.language == language for text in texts["test"]):
            problems.add(f"questions: none of split 'test' in {language!r}: leave it out of vqa_languages")
    pivots = _pivots(contents, chosen["distil"], pivot, problems)
    problems.check()
    return Selection(chosen, pivots, texts)


def _check_parallel(file: str, test: Sequence[Caption], languages: Sequence[str]) -> None:
    described = {language: {c.image for c in test if c.language == language} for language in languages}
    gallery, shared = set.union(*described.values()), set.intersection(*described.values())
    if len(gallery) < GALLERY or len(shared) < SHARED_IMAGES:
        fewest = min(described, key=lambda language: len(described[language]))
        raise CorpusError(
            f"{file}: split 'test' has {len(gallery)} images, {len(shared)} of them with captions in all of "
            f"{', '.join(languages)}; consistency needs {GALLERY} and {SHARED_IMAGES} (fewest: {fewest!r}, "
            f"{len(described[fewest])} images)"
        )


def _pivots(contents: Contents, distil: Sequence[Caption], pivot: str, problems: Problems) -> list[str]:
    """By the column `pair` where the table has it, else by the captions' order (`pairing.paired`)."""
    check_languages([pivot], contents.languages, "pivot")
    of_image: dict[tuple[str, str], list[Caption]] = {}
    for caption in contents.captions:
        if caption.split == "distil":
            of_image.setdefault((caption.image, caption.language), []).append(caption)
    beside: dict[tuple[str, str], dict[str, str]] = {}
    without: set[str] = set()
    for caption in distil:
        key = caption.image, caption.language
        if key in beside or caption.image in without:
            continue
        captions, pivots = of_image[key], of_image.get((caption.image, pivot))
        if pivots is None:
            without.add(caption.image)
            missing = caption.row.error(
                f"the image has no caption in {pivot!r}: every image of split 'distil' needs one in the pivot language"
            )
            problems.add(missing, "without the pivot language")
        elif caption.language == pivot:
            beside[key] = {own.text: own.text for own in captions}
        elif caption.pair is not None:
            found = {own.text: problems.tried(PAIR, _of_the_pair, own, pivots, pivot) for own in captions}
            beside[key] = {text: other or "" for text, other in found.items()}
        else:
            beside[key] = dict(paired([own.text for own in captions], [own.text for own in pivots]))
    problems.check()
    return [beside[caption.image, caption.language][caption.text] for caption in distil]


def _of_the_pair(caption: Caption, pivots: Sequence[Caption], pivot: str) -> str:
    found = [other.text for other in pivots if other.pair == caption.pair]
    if len(found) != 1:
        raise caption.row.error(f"{len(found)} captions of the image in {pivot!r} have pair {caption.pair!r}, not one")
    return found[0]
