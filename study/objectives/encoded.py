"""What a method's objectives have the student encode of an item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from study.objectives import options_of

CAPTIONS = ("student_x", "student_e")
"""Fields of `Batch` for which the student encodes a caption of each item."""


def needed(declared: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Fields of `Batch` that a method's objectives, with the options declared, `need`.

    Raises:
        UnknownNameError: there is no such objective.
        pydantic.ValidationError: an objective has no such option, or not this value of it.
    """
    return frozenset().union(*(options_of(name)(**options).needs for name, options in declared.items()))


def captions_per_item(views: frozenset[str]) -> int:
    """Captions that the student encodes for an item."""
    return len(views.intersection(CAPTIONS))
