"""A teacher that is trained here: its block of params.yaml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from study import places
from study.schedule import Schedule


class TeacherSpec(BaseModel):
    """A teacher's block of params.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    family: str
    model: places.Declared = Field(description="a configuration registered with the family")
    vocabulary: int = Field(gt=0, le=2_000_000)
    context: int = Field(gt=2, le=4096)
    seed: int = Field(default=0, ge=0, lt=2**31)
    training: Schedule
