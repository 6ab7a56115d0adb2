"""The options of ED; what they mean: study/objectives/ed.py."""

from __future__ import annotations

from study.objectives.options.base import ObjectiveOptions


class EdOptions(ObjectiveOptions):
    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"student_x", "student_e"})
