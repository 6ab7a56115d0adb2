"""The corpora: one file or folder each, registered here.

`corpus("emoji").build(...)` prepares one; `layout.PreparedCorpus` reads any prepared one.
"""

from __future__ import annotations

from typing import Any, Protocol, get_args, runtime_checkable

from study.data.alike import Asked
from study.data.base import Corpus, CorpusError, CorpusSettings, DatasetInfo, Requirement, nearest
from study.data.emoji import CORPUS as EMOJI
from study.data.images import Broken
from study.data.manifest import CORPUS as MANIFEST
from study.data.prepared import CaptionSplit, PreparedCorpus
from study.data.published import CORPUS as PUBLISHED

__all__ = [
    "CORPORA",
    "Corpus",
    "CorpusError",
    "CorpusSettings",
    "DatasetInfo",
    "PreparedCorpus",
    "Requirement",
    "corpus",
    "known_languages",
    "known_splits",
    "own_questions",
    "refuses_questions",
]

CORPORA: dict[str, Corpus[Any]] = {entry.record.name: entry for entry in (EMOJI, MANIFEST, PUBLISHED)}


def corpus(name: str) -> Corpus[Any]:
    """The corpus called `name`; an unknown name is refused with the nearest known one."""
    if name not in CORPORA:
        raise CorpusError(f"unknown corpus {name!r}; {nearest(name, CORPORA)}")
    return CORPORA[name]


@runtime_checkable
class HasLanguages(Protocol):
    """Settings of a corpus whose languages are known from its data only."""

    def known_languages(self) -> tuple[tuple[str, ...], tuple[str, ...]]: ...


def known_languages(name: str, settings: CorpusSettings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Languages that captions and questions of the corpus `name` can be had in under `settings`.

    Raises:
        CorpusError: the data that say so cannot be read.
    """
    if isinstance(settings, HasLanguages):
        return settings.known_languages()
    record = corpus(name).record
    return record.languages, record.vqa_languages


@runtime_checkable
class HasSplits(Protocol):
    """Settings of a corpus that may lack splits: what it has is known from its declaration or data only."""

    def known_splits(self) -> tuple[str, ...]: ...


@runtime_checkable
class HasQuestions(Protocol):
    """Settings of a corpus whose questions the user has written, and can mend."""

    broken: Broken

    def asked(self) -> list[Asked]: ...


def own_questions(settings: CorpusSettings) -> list[Asked]:
    """The user's own questions, as far as they can be read, if what cannot be used is to be refused."""
    return settings.asked() if refuses_questions(settings) else []  # type: ignore[attr-defined]


def refuses_questions(settings: CorpusSettings) -> bool:
    """Whether a question that cannot be answered is refused; otherwise it is left out and counted."""
    return isinstance(settings, HasQuestions) and settings.broken == "refuse"


def known_splits(settings: CorpusSettings) -> tuple[str, ...]:
    """Splits of captions that a corpus will have under `settings`.

    Raises:
        CorpusError: the data that say so cannot be read.
    """
    return settings.known_splits() if isinstance(settings, HasSplits) else get_args(CaptionSplit)
