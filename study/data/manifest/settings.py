"""What can be set of a corpus of one's own. Paths are relative to the study's folder."""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path

from pydantic import Field

from study import places
from study.data.alike import Asked
from study.data.base import CorpusSettings
from study.data.images import Broken
from study.data.manifest.contents import CAPTION_SPLITS, Contents, gather
from study.data.manifest.pictures import glance
from study.data.problems import Problems


class ManifestSettings(CorpusSettings):
    """Settings of the manifest corpus."""

    captions: places.Declared = Field(
        default="data/captions.csv", description=".csv or .parquet: image, language, text, split"
    )
    questions: places.Declared | None = Field(
        default=None,
        description=".csv or .parquet: question, split, image, type, language, prompt, answer, options",
    )
    canvas: int | None = Field(
        default=None,
        ge=8,
        le=1024,
        description="side of an image in pixels: what the teachers read; null: files are kept, each model fits them",
    )
    broken: Broken = Field(
        default="refuse", description="an image file that cannot be used: refuse the data, or skip and count it"
    )
    pivot: str = Field(default="en", description="language whose captions distillation uses beside every other one")
    revision: str = Field(default="1", description="change it when the data have changed: they are read anew")
    licence: str = Field(default="not stated", min_length=1, description="of images and texts, for the corpus card")
    attribution: str = Field(default="not stated", min_length=1, description="whom to credit, for the corpus card")

    def contents(self) -> Contents:
        """What the tables say, without what uses a broken image where those are skipped.

        Raises:
            CorpusError: something in tables or images cannot be used; it has a line for each problem, which names
                file and row.
        """
        found, problems = self._tables()
        looked = glance(found, self.broken, problems)
        problems.check()
        return found.without(looked.broken)

    def known_languages(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Languages of captions and of questions in the data, in order of their codes; raises as `contents`."""
        found = self.contents()
        return found.languages, found.vqa_languages

    def known_splits(self) -> tuple[str, ...]:
        """Splits that the data have captions in; raises as `contents`."""
        there = {caption.split for caption in self.contents().captions}
        return tuple(split for split in CAPTION_SPLITS if split in there)

    def asked(self) -> list[Asked]:
        """The questions of all languages, as far as the tables can be read."""
        texts = self._tables()[0].texts
        return [Asked(str(one.row), one.question, one.language, one.prompt, one.options, one.answer) for one in texts]

    def _tables(self) -> tuple[Contents, Problems]:
        """Both tables, and what is wrong with them for the caller to add to; unchanged ones are not read again."""
        states = tuple(_state(name) for name in (self.captions, self.questions or self.captions))
        contents, problems = _gathered(self.captions, self.questions, states)
        return contents, copy.deepcopy(problems)


State = tuple[str, int, int]
"""A file's path, length and time of its last change."""


def _state(name: str) -> State:
    """What differs once a file has changed."""
    path = Path(name).absolute()
    try:
        now = path.stat()
    except (OSError, ValueError):
        return str(path), 0, 0
    return str(path), now.st_size, now.st_mtime_ns


@lru_cache(maxsize=2)
def _gathered(captions: str, questions: str | None, states: tuple[State, ...]) -> tuple[Contents, Problems]:
    problems = Problems()
    return gather(captions, questions, problems), problems
