"""The options of SD; what they mean: study/objectives/sd.py."""

from __future__ import annotations

from typing import Literal

from study.objectives.options.base import Settings


class SdOptions(Settings):
    terms: Literal["ed+self", "self"] = "ed+self"
    stop_gradient: bool = False

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"student_x", "student_e"})
