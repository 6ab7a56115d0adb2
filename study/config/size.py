"""How large a student is: a fraction of its teacher's text tower, or a text encoder that others trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter

from study import places
from study.models import pretrained_text_family
from study.models.errors import reading
from study.strict import Strict

FAMILY = "encoder"


class EncoderSpec(Strict):
    """A size's block of params.yaml with an `encoder`."""

    encoder: places.Declared = Field(description="a folder, seen from the study's, or a name on the hub")
    revision: str | None = Field(default=None, description="commit of a name; a folder needs none")
    licence: str | None = Field(default=None, description="under which the weights were published, for model cards")
    pooling: Literal["mean", "cls"] = Field(default="mean", description="over tokens, or the first token")
    vocabulary: int | None = Field(default=None, gt=0, le=10**8, description="keep this many tokens; all if left out")

    def check(self) -> None:
        """Refuse what cannot be obtained; raises `PretrainedError`."""
        family = pretrained_text_family(FAMILY)
        with reading(self.encoder):
            family.check(self.encoder, self.revision)


def _kind(block: Any) -> str:
    return "encoder" if isinstance(block, Mapping | EncoderSpec) else "fraction"


Size = Annotated[
    Annotated[float, Field(gt=0, le=1), Tag("fraction")] | Annotated[EncoderSpec, Tag("encoder")],
    Discriminator(_kind),
]
"""A fraction of the teacher's text tower, or, as a block, an encoder."""

KINDS: dict[str, type[BaseModel] | None] = {"fraction": None, "encoder": EncoderSpec}


def size_of(block: Any) -> float | EncoderSpec:
    """A value of the `sizes` block of params.yaml; raises pydantic's ValidationError."""
    return TypeAdapter(Size, config=ConfigDict(strict=True)).validate_python(block)


def scale_of(plan: Mapping[str, Any]) -> float | EncoderSpec:
    """What a student's settings say of its size."""
    return EncoderSpec.model_validate(plan["encoder"]) if "encoder" in plan else float(plan["fraction"])
