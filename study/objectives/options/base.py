"""Options that every objective has: checked without torch, which an objective's own file needs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from study.strict import Strict

MOST_ROWS = 2**24
"""Of embeddings that an objective remembers: they lie in memory."""
Temperature = Annotated[float, Field(gt=0, ge=1e-4, le=100)]
"""Cosines are divided by it: below its bounds they overflow, above them nothing is left of them."""


class ObjectiveOptions(Strict):
    """Options that every objective has; its own file adds its own."""

    weight: float = Field(default=1.0, gt=0, le=1e6, description="factor in the method's weighted sum")

    @property
    def needs(self) -> frozenset[str]:
        """Fields of `Batch` that cost an encoding and that the loss reads: student_x, student_e, layers."""
        return frozenset({"student_x"})
