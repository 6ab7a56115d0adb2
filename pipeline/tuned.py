"""The values that tuning found: which cells have them, and which are compared without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline import stage
from study.config.params import Params, describe
from study.config.pretrained import teacher_spec
from study.config.size import EncoderSpec, Size
from study.config.student import StudentSpec
from study.objectives import options_of

FACTORS = {"method": 2, "size": 1, "architecture": 0}
"""Where each stands in a cell's name."""


def completed(declared: dict[str, Any]) -> dict[str, Any]:
    """A declaration with the defaults of options that were added after it was written: they change nothing."""
    try:
        students, teacher = StudentSpec.model_validate(declared["spec"]), teacher_spec(declared["teacher"])
    except (KeyError, ValidationError):
        return declared
    return {**declared, "spec": students.model_dump(), "teacher": teacher.model_dump()}


def tuned_for(params: Params, arch: str, size: str, method: str) -> dict[str, Any]:
    """What tuned values belong to: under another declaration they are not used."""
    return {
        "objectives": params.methods[method],
        **scale(params.sizes[size]),
        "spec": params.students.model_dump(),
        "teacher": params.teachers[arch].model_dump(),
        "corpus": {"name": params.corpus.name, "settings": params.corpus.settings},
    }


def scale(size: Size) -> dict[str, Any]:
    """What makes a student as large as it is: `fraction`, or `encoder` with the folder's content."""
    if not isinstance(size, EncoderSpec):
        return {"fraction": size}
    return {"encoder": size.model_dump(), "encoder_contents": folder_contents(size.encoder)}


def folder_contents(checkpoint: str) -> str | None:
    """The hash of a folder of the user's, which DVC does not watch; None for a name."""
    return stage.tree_hash([Path(checkpoint)]) if Path(checkpoint).is_dir() else None


def tuned_values(params: Params, arch: str, size: str, method: str) -> dict[str, Any]:
    """The values that tuning found for this very declaration, or none, and it says so.

    Raises:
        StageError: the file is not what `make tune` writes, or holds what no student can be trained by.
    """
    file = Path(params.tuning.values) / f"{arch}-{size}-{method}.json"
    declared = tuned_for(params, arch, size, method)
    if found := values_of(file, declared):
        check(apply(declared, found), file)
    return found


def values_of(file: Path, declared: dict[str, Any]) -> dict[str, Any]:
    """What a file of tuned values, if it is there, holds for that declaration."""
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


def apply(declared: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """`declared` with tuned values: `learning_rate`, or `<objective>.<option>`."""
    applied: dict[str, Any] = {
        **declared,
        "spec": {**declared["spec"], "training": dict(declared["spec"]["training"])},
        "objectives": {name: dict(options) for name, options in declared["objectives"].items()},
    }
    for key, value in found.items():
        name, _, option = key.partition(".")
        if key == "learning_rate":
            applied["spec"]["training"][key] = value
        elif name in applied["objectives"] and option:
            applied["objectives"][name][option] = value
        else:
            raise stage.StageError(
                f"tuned value {key!r} fits none of the method's objectives {list(declared['objectives'])}"
            )
    return applied


def check(declared: Mapping[str, Any], where: Path) -> None:
    """Refuse tuned values that no student can be trained by; raises StageError, which names `where`."""
    parts: dict[str, type[BaseModel]] = {name: options_of(name) for name in declared["objectives"]}
    parts["spec"] = StudentSpec
    for name, kind in parts.items():
        try:
            kind.model_validate(declared["spec"] if name == "spec" else declared["objectives"][name])
        except ValidationError as error:
            said = "; ".join(describe(problem, kind) for problem in error.errors())
            raise stage.StageError(f"{where}, {name}: {said}") from None


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
