"""The options of DR; what they mean: study/objectives/dr.py."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from study.objectives.options.base import MOST_ROWS, ObjectiveOptions, Temperature


class DrOptions(ObjectiveOptions):
    tau_teacher: Temperature = Field(default=0.05, description="temperature of the teacher's similarities")
    tau_student: Temperature = Field(default=0.07, description="temperature of the student's")
    queue: int = Field(default=65_536, gt=0, le=MOST_ROWS, description="teacher embeddings that are remembered")
    alpha: float = Field(default=0.5, ge=0, le=1, description="weight of the English caption's term")
    start: Literal["empty", "corpus"] = Field(default="empty", description="what the queue holds before the first step")

    @property
    def needs(self) -> frozenset[str]:
        weights = {"student_e": self.alpha, "student_x": 1 - self.alpha}
        return frozenset(view for view, weight in weights.items() if weight > 0)
