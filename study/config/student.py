"""What all students share: the `students` block of params.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from study.config.schedule import Schedule
from study.strict import Strict


class StudentSpec(Strict):
    """The `students` block of params.yaml: what all cells share."""

    towers: Literal["text", "both"] = Field(
        default="text", description="towers that are distilled; with text the image tower is the teacher's"
    )
    init: Literal["teacher", "random"] = Field(
        default="teacher", description="layers and token rows of the teacher, or fresh weights"
    )
    budget: Literal["items", "captions"] = Field(
        default="items", description="what is equal between methods: items seen, or captions encoded"
    )
    language_alpha: float = Field(
        default=0.0, ge=0, le=1, description="weigh rare languages up: 0 is off, with 1 languages count the same"
    )
    training: Schedule
