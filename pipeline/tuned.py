"""The values that tuning found: which cells have them, and which are compared without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline import stage
from study.config.pretrained import teacher_spec
from study.config.student import StudentSpec

FACTORS = {"method": 2, "size": 1, "architecture": 0}
"""Where each stands in a cell's name."""


def completed(declared: dict[str, Any]) -> dict[str, Any]:
    """A declaration with the defaults of options that were added after it was written: they change nothing."""
    try:
        students, teacher = StudentSpec.model_validate(declared["spec"]), teacher_spec(declared["teacher"])
    except (KeyError, ValidationError):
        return declared
    return {**declared, "spec": students.model_dump(), "teacher": teacher.model_dump()}


def tuned_values(file: Path, declared: dict[str, Any]) -> dict[str, Any]:
    """The values that tuning found for this very declaration, or none, and it says so."""
    if not file.is_file():
        return {}
    found = stage.read_json(file)
    if not (isinstance(found, dict) and all(isinstance(found.get(key), dict) for key in ("declared", "best"))):
        raise stage.StageError(f"{file} is not what `make tune` writes: remove it, or tune again")
    then = completed(found["declared"])
    differ = [key for key, value in declared.items() if then.get(key) != value]
    if differ:
        print(f"{file} was tuned for another declaration ({', '.join(differ)} differ) and is not used")
        return {}
    best: dict[str, Any] = found["best"]
    return best


def untuned(tuned: Mapping[str, bool]) -> list[tuple[str, str]]:
    """What has no tuned values, where other cells `arch-size-method` have them: (factor, level), or ("cell", name).

    Levels without any tuned cell are named as such: a method, a size or an architecture that is new.
    """
    without = [name for name, found in tuned.items() if not found]
    if len(without) == len(tuned):
        return []
    named, rest = [], set(without)
    for factor, position in FACTORS.items():
        levels: dict[str, list[str]] = {}
        for name in tuned:
            levels.setdefault(name.split("-")[position], []).append(name)
        for level, names in levels.items():
            if rest.intersection(names) and not any(tuned[name] for name in names):
                named.append((factor, level))
                rest.difference_update(names)
    return named + [("cell", name) for name in without if name in rest]


def sentence(tuned: Mapping[str, bool]) -> str:
    """A line on `untuned`, or nothing."""
    named = untuned(tuned)
    if not named:
        return ""
    return (
        f"not tuned, and compared with cells that are: {', '.join(' '.join(pair) for pair in named)}; "
        "a difference between them may be the tuning: `make tune`"
    )
