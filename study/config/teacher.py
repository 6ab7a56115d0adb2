"""A teacher that is trained here: its block of params.yaml."""

from __future__ import annotations

from pydantic import Field

from study import places
from study.config.schedule import Schedule
from study.strict import Strict


class TeacherSpec(Strict):
    """A teacher's block of params.yaml."""

    family: str = Field(description="the architecture family that builds and trains it")
    model: places.Declared = Field(description="a configuration registered with the family")
    vocabulary: int = Field(gt=0, le=2_000_000, description="tokens of the tokenizer that is trained with it")
    context: int = Field(gt=2, le=4096, description="longest text in tokens; longer ones are cut off")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of initialisation, batches and captions")
    training: Schedule
