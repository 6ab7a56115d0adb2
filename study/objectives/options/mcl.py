"""The options of MCL; what they mean: study/objectives/mcl.py."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from study.objectives.options.base import MOST_ROWS, Settings, Temperature


class MclOptions(Settings):
    tau: Temperature = 0.07
    key: Literal["english", "same_language", "image"] = "english"
    bank: int = Field(default=0, ge=0, le=MOST_ROWS)
