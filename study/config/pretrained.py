"""A teacher that others have trained: a checkpoint by name or in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Discriminator, Field, Tag, TypeAdapter, field_validator

from study import places
from study.config.teacher import TeacherSpec
from study.models import pretrained_family
from study.models.errors import reading
from study.strict import Strict

if TYPE_CHECKING:
    from study.models.dual_encoder import DualEncoder


class PretrainedSpec(Strict):
    """A teacher's block of params.yaml with a `checkpoint`."""

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
        family = pretrained_family(self.family)
        with reading(self.checkpoint):
            family.check(self.checkpoint, self.revision)
        if Path(self.checkpoint).is_dir():
            self.build_on_meta()

    def fetch(self) -> DualEncoder:
        """The model.

        Raises:
            PretrainedError: it is not there, is another architecture, or its parts do not fit one another.
            UnknownNameError: no such family.
        """
        family = pretrained_family(self.family)
        with reading(self.checkpoint):
            return family.fetch(self.checkpoint, self.revision)

    def build_on_meta(self) -> DualEncoder:
        """The model of a folder before its weights are read; raises as `fetch`."""
        family = pretrained_family(self.family)
        with reading(self.checkpoint):
            return family.build_on_meta(self.checkpoint)


KINDS: dict[str, type[BaseModel]] = {"trained": TeacherSpec, "published": PretrainedSpec}


def _kind(block: Any) -> str:
    if isinstance(block, PretrainedSpec):
        return "published"
    return "published" if isinstance(block, Mapping) and "checkpoint" in block else "trained"


AnyTeacher = Annotated[
    Annotated[TeacherSpec, Tag("trained")] | Annotated[PretrainedSpec, Tag("published")], Discriminator(_kind)
]
"""A teacher trained by the study, or, with a `checkpoint`, by others."""


def teacher_spec(block: Mapping[str, Any]) -> TeacherSpec | PretrainedSpec:
    """A checked block of a plan as the spec that it is."""
    found: TeacherSpec | PretrainedSpec = TypeAdapter(AnyTeacher).validate_python(block)
    return found
