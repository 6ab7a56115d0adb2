"""Dropout, which published configurations have and this study leaves out.

A batch depends on the step's number alone and a checkpoint on nothing hidden, so that a run that was killed goes
on to the same weights; dropout would draw from the process's own generator. A teacher never drops anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without_dropout(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with every dropout probability in it, at any depth, at zero."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found[key] = without_dropout(value)
        elif "drop" in key and isinstance(value, int | float) and not isinstance(value, bool):
            found[key] = type(value)(0)
        else:
            found[key] = value
    return found
