"""What a corpus of published data sets needs before anything is done: files, disk, licences."""

from __future__ import annotations

from collections.abc import Callable

from study.corpora.base import CorpusError, Need
from study.corpora.published.asked import question_source
from study.corpora.published.registry import caption_source
from study.corpora.published.settings import PublishedSettings
from study.corpora.published.sources import CaptionSource, Part, QuestionSource


def needs(settings: PublishedSettings) -> list[Need]:
    """What each part needs, each data set, place and split once. Nothing is downloaded, images are not decoded.

    Raises:
        CorpusError: a source or split is unknown.
    """
    found: dict[tuple[str, str, str], Need] = {}
    for key, part in settings.places():
        asked = key.startswith("questions.")
        source = question_source(part.source) if asked else caption_source(part.source)
        split = source.split(part)
        if (part.source, part.place, split) not in found:
            found[part.source, part.place, split] = _need(source, part, split)
    return list(found.values())


def _need(source: CaptionSource | QuestionSource, part: Part, split: str) -> Need:
    record = source.record
    problem = "" if part.hub is not None else _problem(_trial(source, part))
    return Need(
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
