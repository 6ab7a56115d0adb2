"""A teacher that others have trained: a checkpoint by name or in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, field_validator

from study import places
from study.teacher_spec import TeacherSpec
from study.towers import published
from study.towers.errors import reading

if TYPE_CHECKING:
    from study.towers.protocol import DualEncoder


class PublishedSpec(BaseModel):
    """A teacher's block of params.yaml with a `checkpoint`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    family: str = Field(description="the library that loads it: open_clip or transformers")
    checkpoint: places.Declared = Field(description="a folder, seen from the study's, or a name that is resolved")
    revision: str | None = Field(default=None, description="commit of a name; a folder needs none")
    licence: str | None = Field(default=None, description="under which the weights were published, for model cards")

    @field_validator("checkpoint")
    @classmethod
    def _folder(cls, checkpoint: str) -> str:
        """open_clip's way to name a folder means the folder."""
        return checkpoint.removeprefix("local-dir:")

    def check(self) -> None:
        """Refuse what cannot be obtained, a folder but for its weights; raises as `fetch`."""
        family = published(self.family)
        with reading(self.checkpoint):
            family.check(self.checkpoint, self.revision)
        if Path(self.checkpoint).is_dir():
            self.outline()

    def fetch(self) -> DualEncoder:
        """The model.

        Raises:
            PublishedError: it is not there, is another architecture, or its parts do not fit one another.
            UnknownNameError: no such family.
        """
        family = published(self.family)
        with reading(self.checkpoint):
            return family.fetch(self.checkpoint, self.revision)

    def outline(self) -> DualEncoder:
        """The model of a folder before its weights are read; raises as `fetch`."""
        family = published(self.family)
        with reading(self.checkpoint):
            return family.outline(self.checkpoint)


KINDS: dict[str, type[BaseModel]] = {"trained": TeacherSpec, "published": PublishedSpec}


def _kind(block: Any) -> str:
    if isinstance(block, PublishedSpec):
        return "published"
    return "published" if isinstance(block, Mapping) and "checkpoint" in block else "trained"


AnyTeacher = Annotated[
    Annotated[TeacherSpec, Tag("trained")] | Annotated[PublishedSpec, Tag("published")], Discriminator(_kind)
]
"""A teacher trained by the study, or, with a `checkpoint`, by others."""


def teacher_spec(block: Mapping[str, Any]) -> TeacherSpec | PublishedSpec:
    """A checked block of a plan as the spec that it is."""
    found: TeacherSpec | PublishedSpec = TypeAdapter(AnyTeacher).validate_python(block)
    return found
