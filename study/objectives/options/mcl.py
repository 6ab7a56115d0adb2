"""The options of MCL; what they mean: study/objectives/mcl.py."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from study.objectives.options.base import MOST_ROWS, ObjectiveOptions, Temperature


class MclOptions(ObjectiveOptions):
    tau: Temperature = Field(default=0.07, description="temperature of the softmax")
    key: Literal["english", "same_language", "image"] = Field(
        default="english", description="what a caption must find: a caption's embedding by the teacher, or the image's"
    )
    bank: int = Field(default=0, ge=0, le=MOST_ROWS, description="earlier keys that serve as further negatives")
