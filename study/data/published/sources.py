"""What a published data set gives, whatever its files look like: captioned images, or questions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import Field, model_validator

from study import places
from study.data.base import CorpusError, CorpusSettings, DatasetInfo, nearest
from study.data.prepared import HELD_BACK as HELD_BACK


class Part(CorpusSettings):
    """Where a part of the corpus comes from: a local folder, or a data set of the hub at a pinned commit."""

    source: str = Field(description="name of the data set")
    path: places.Declared | None = Field(
        default=None, description="folder in the publisher's layout, seen from the study's folder"
    )
    hub: str | None = Field(default=None, min_length=1, description="name on the hub, instead of a folder")
    revision: str | None = Field(default=None, description="commit on the hub, or, of a folder, a name of your own")
    split: str | None = Field(default=None, description="the publisher's name of the split; default: the source's own")
    items: int | None = Field(default=None, gt=0, description="use this many images or questions, drawn with `seed`")
    seed: int = Field(default=0, ge=0, description="of the drawing of `items`")
    language: str | None = Field(default=None, description="webdataset: the language of captions in <key>.txt")

    @model_validator(mode="after")
    def _one_place(self) -> Part:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path (a folder) or hub (a name), not both and not neither")
        if self.hub is not None and self.revision is None:
            raise ValueError("a hub name needs the revision (commit) that it is pinned to")
        return self

    @property
    def place(self) -> str:
        """The folder, or the hub name with its commit."""
        return str(self.path) if self.hub is None else f"{self.hub}@{self.revision}"


@dataclass(frozen=True, slots=True)
class Image:
    """An image file. `key` names it within its source, `where` says file and row in errors."""

    key: str
    where: str
    read: Callable[[], bytes] = field(compare=False)
    """The file's bytes; raises CorpusError, which names `where`."""


@dataclass(frozen=True, slots=True)
class Captioned:
    """An image and its captions in each language, the first of them first."""

    image: Image
    captions: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Asking:
    """A question in one language; options stand in the same order in all of them."""

    prompt: str
    options: Sequence[str]


@dataclass(frozen=True, slots=True)
class Question:
    """A multiple-choice question about an image; `answer` counts options from 0 or is HELD_BACK."""

    key: str
    where: str
    image: Image
    type: str
    answer: int
    texts: Mapping[str, Asking]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A question of the publisher's that cannot be asked with several options, and why."""

    key: str
    why: str


class Source(ABC):
    """A published data set. What is known of it stands in its record, before anything is read."""

    record: ClassVar[DatasetInfo]
    splits: ClassVar[tuple[str, ...]]
    """The publisher's splits, the one to be used by default first."""
    hub: ClassVar[str | None] = None
    """A name on the hub whose columns are the ones that are read; None: there is no such form."""

    def split(self, part: Part) -> str:
        """The publisher's split that a part names, or the default; raises CorpusError, for an unread hub form too."""
        split = self.splits[0] if part.split is None else part.split
        if split not in self.splits:
            raise CorpusError(f"{self.record.name}: unknown split {split!r}; {nearest(split, self.splits)}")
        if part.hub is not None and self.hub is None:
            raise CorpusError(f"{self.record.name}: no form of it on the hub is read; give path")
        return split

    def tables(self, part: Part) -> Sequence[Path]:
        """Files of a local part whose change makes the corpus another one; without those that images are in."""
        return ()

    def bulk(self, part: Part) -> Sequence[Path]:
        """Likewise, files with images in them: they are large, and watched by their length and ends alone."""
        return ()


class CaptionSource(Source):
    """A data set of captioned images: one file with a subclass, one line in `CAPTION_SOURCES`.

    Languages are BCP 47 codes in lower case (`ja`, `he`, `zh`), also where the publisher writes others.
    """

    @abstractmethod
    def languages(self, part: Part) -> tuple[str, ...]:
        """Languages that the files at hand have; for a hub name, those of the record. Raises CorpusError."""

    @abstractmethod
    def items(self, part: Part, languages: Sequence[str]) -> Iterator[Captioned]:
        """The images of `part.split`, in the publisher's order, captions in `languages` only.

        `part.items` is applied by the caller, which also normalises texts (Unicode's form NFC) and refuses empty
        ones. Raises CorpusError, naming file and row: a file is missing or not whole, an image has no file, an
        id is duplicated, tables do not fit one another.
        """

    def count(self, part: Part) -> int:
        """Images of `part.split`."""
        return sum(1 for _ in self.items(part, ()))


class QuestionSource(Source):
    """A data set of questions: one file with a subclass, one line in `QUESTION_SOURCES`."""

    @abstractmethod
    def languages(self, part: Part) -> tuple[str, ...]:
        """As of a CaptionSource."""

    @abstractmethod
    def questions(self, part: Part, languages: Sequence[str]) -> Iterator[Question | LeftOut]:
        """The questions of `part.split` in the publisher's order, texts in `languages` only; errors as above.

        The caller brings texts to Unicode's form NFC and applies `part.items`.
        """
