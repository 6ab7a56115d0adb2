"""The options of SD; what they mean: study/objectives/sd.py."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from study.objectives.options.base import ObjectiveOptions


class SdOptions(ObjectiveOptions):
    terms: Literal["ed+self", "self"] = Field(default="ed+self", description="with ED's two terms, or without them")
    stop_gradient: bool = Field(
        default=False, description="hold the English caption's embedding still in the self term"
    )

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"student_x", "student_e"})
