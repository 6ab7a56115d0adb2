"""What a corpus of published data sets needs before anything is done: files, disk, licences."""

from __future__ import annotations

from collections.abc import Callable

from study.data.base import CorpusError, Requirement
from study.data.published.questions import question_source
from study.data.published.registry import caption_source
from study.data.published.settings import PublishedSettings
from study.data.published.sources import CaptionSource, Part, QuestionSource


def needs(settings: PublishedSettings) -> list[Requirement]:
    """What each part needs, each data set, place and split once. Nothing is downloaded, images are not decoded.

    Raises:
        CorpusError: a source or split is unknown.
    """
    found: dict[tuple[str, str, str], Requirement] = {}
    for key, part in settings.places():
        asked = key.startswith("questions.")
        source = question_source(part.source) if asked else caption_source(part.source)
        split = source.split(part)
        if (part.source, part.place, split) not in found:
            found[part.source, part.place, split] = _need(source, part, split)
    return list(found.values())


def _need(source: CaptionSource | QuestionSource, part: Part, split: str) -> Requirement:
    record = source.record
    problem = "" if part.hub is not None else _problem(_trial(source, part))
    return Requirement(
        what=f"{record.name}, split {split}",
        where=part.place,
        present=part.hub is None and not problem,
        bytes=record.disk.get(split, 0),
        licence="; ".join(f"{licence.covers}: {licence.name}" for licence in record.licences),
        how=record.how,
        network=part.hub is not None,
        problem=problem,
    )


def _trial(source: CaptionSource | QuestionSource, part: Part) -> Callable[[], object]:
    """Reads the tables, and looks for the first image."""

    def attempt() -> object:
        languages = source.languages(part)
        return next(iter(source.items(part, languages[:1])), None) if isinstance(source, CaptionSource) else languages

    return attempt


def _problem(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except CorpusError as error:
        return str(error)
    return ""
