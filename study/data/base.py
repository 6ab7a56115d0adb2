"""What a corpus is: its record, its settings and the function that prepares it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from study.strict import Strict

Progress = Callable[[str, float], None]
"""Called with the step's name and the fraction of it that is done."""


class CorpusError(ValueError):
    """A corpus cannot be prepared or read as asked; the message says what to change."""


class CorpusSettings(Strict):
    """Base of every corpus's settings: unknown keys and wrong types are refused."""


@dataclass(frozen=True)
class Licence:
    """A part of the corpus, its licence (SPDX where there is one) and whom to credit."""

    covers: str
    name: str
    attribution: str


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a corpus before anything is read."""

    name: str
    description: str
    source: str
    revision: str
    licences: tuple[Licence, ...]
    languages: tuple[str, ...]
    vqa_languages: tuple[str, ...]
    in_domain: str
    out_of_domain: str
    notes: tuple[str, ...] = ()
    disk: Mapping[str, int] = field(default_factory=dict)
    """Bytes that a split takes, its images included, roughly; a split that is not named: unknown."""
    how: str = ""
    """How to obtain the files, in words."""


Languages = Sequence[str]

S = TypeVar("S", bound=CorpusSettings)
S_contra = TypeVar("S_contra", bound=CorpusSettings, contravariant=True)


class Build(Protocol[S_contra]):
    """Prepare the corpus in `out` (an empty folder of the caller's, moved into place by the caller).

    `cache` is kept between runs: downloads go there.
    """

    def __call__(
        self,
        settings: S_contra,
        languages: Sequence[str],
        vqa_languages: Sequence[str],
        out: Path,
        cache: Path,
        progress: Progress,
    ) -> None: ...


@dataclass(frozen=True)
class Requirement:
    """Something that others published and a study reads.

    what: data set and split, or model. where: folder, or hub name and commit. present: it is there, and can be
    read. bytes: on disk, roughly; 0 if unknown. how: words on how to get it. network: it is read from the hub.
    """

    what: str
    where: str
    present: bool
    bytes: int
    licence: str
    how: str
    network: bool = False
    problem: str = ""
    """Why it is not present: file and row."""


@dataclass(frozen=True)
class Corpus(Generic[S]):
    """A registered corpus: what it is, what can be set, how it is prepared."""

    record: DatasetInfo
    Settings: type[S]
    build: Build[S]
    check: Callable[[S, Languages, Languages], None]
    """Refuse what cannot be built, before anything is downloaded; raises `CorpusError`."""
    needs: Callable[[S], list[Requirement]] | None = None
    """What it reads that others published; nothing, where it has none."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an error message: the known names closest to `name`, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}"


def check_languages(wanted: Sequence[str], known: Sequence[str], what: str) -> None:
    """Refuse unknown, repeated or no languages, by name."""
    if not wanted:
        raise CorpusError(f"{what}: no language given")
    for language in wanted:
        if language not in known:
            raise CorpusError(f"{what}: unknown language {language!r}; {nearest(language, known)}")
    if len(set(wanted)) < len(wanted):
        repeated = sorted({language for language in wanted if list(wanted).count(language) > 1})
        raise CorpusError(f"{what}: given more than once: {', '.join(repeated)}")
