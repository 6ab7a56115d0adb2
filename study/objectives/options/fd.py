"""The options of FD; what they mean: study/objectives/fd.py."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from study.objectives.options.base import ObjectiveOptions


class FdOptions(ObjectiveOptions):
    layers: bool = Field(default=False, description="match intermediate layers too, through learned maps")
    view: Literal["own", "english"] = Field(default="own", description="the caption in its own language, or in English")

    @property
    def needs(self) -> frozenset[str]:
        view = {"own": "student_x", "english": "student_e"}[self.view]
        return frozenset({view, "student_x", "layers"} if self.layers else {view})
