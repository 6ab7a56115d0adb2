"""The strict schema of params.yaml: unknown, missing and mistyped keys are refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from study import plain_yaml
from study.embedding_spec import EmbeddingSpec
from study.encoders import KINDS as SIZE_KINDS
from study.encoders import Size
from study.names import hint
from study.published import KINDS, AnyTeacher
from study.schedule import MOST_RATE
from study.student_spec import StudentSpec

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+([_.+][a-z0-9]+)*$", max_length=40)]
"""Factor levels become parts of a cell's name, where `-` divides them, and so of folders and commands."""

Seed = Annotated[int, Field(ge=0, lt=2**31)]

_PART = r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
InnerPath = Annotated[str, Field(pattern=rf"^{_PART}(/{_PART})*$", max_length=200)]
"""A folder below the study's: names of letters, digits, `_`, `.` and `-`, divided by `/`."""


class ParamsError(ValueError):
    """params.yaml cannot be used; the message has one line for each thing that is wrong."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Study(Strict):
    name: Name
    description: str = ""


class Grid(Strict):
    archs: list[Name] = Field(min_length=1)
    sizes: list[Name] = Field(min_length=1)
    methods: list[Name] = Field(min_length=1)
    seeds: list[Seed] = Field(min_length=1)


Languages = list[Annotated[str, Field(min_length=1, max_length=40)]] | Literal["all"]


class CorpusSpec(Strict):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    languages: Languages = "all"
    vqa_languages: Languages = "all"
    settings: dict[str, Any] = {}


class Tuning(Strict):
    values: InnerPath = Field(description="folder of the tuned values; DVC watches it, so it must be there")
    trials: int = Field(gt=0, le=100_000)
    seeds: list[Seed] = Field(min_length=1)
    learning_rate: list[Annotated[float, Field(gt=0, le=MOST_RATE)]] = Field(min_length=2, max_length=2)
    search: dict[str, dict[str, list[float]]] = {}


class Evaluation(Strict):
    protocol: Literal["all-captions", "first-caption"] = "all-captions"


Points = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""Percentage points."""


class Analysis(Strict):
    """Declared before the results are seen; the report prints it first and calls all else exploratory."""

    hypotheses: list[str] = []
    control: str
    contrasts: list[str] | Literal["all"] = "all"
    primary: list[str] = Field(min_length=1)
    family: Literal["outcome", "study"] = "outcome"
    smallest_effect: Points | dict[str, Points] = 2.0
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    languages: Literal["random", "fixed"] = "random"


class Execution(Strict):
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?)$")] = "auto"
    workers: Annotated[int, Field(gt=0, le=4096)] | Literal["auto"] = "auto"
    threads: int = Field(default=1, gt=0, le=4096)


TAGGED: Mapping[str, Mapping[str, type[BaseModel] | None]] = {"teachers": KINDS, "sizes": SIZE_KINDS}
"""Keys of params.yaml with blocks of several kinds: the kinds."""


class Params(Strict):
    """The whole of params.yaml."""

    root: Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]+$", max_length=1000)]
    study: Study
    grid: Grid
    corpus: CorpusSpec
    teachers: dict[Name, AnyTeacher]
    embedding: EmbeddingSpec = EmbeddingSpec()
    students: StudentSpec
    sizes: dict[Name, Size]
    methods: dict[Name, dict[str, dict[str, Any]]]
    tuning: Tuning
    evaluation: Evaluation = Evaluation()
    analysis: Analysis
    execution: Execution = Execution()


def read(path: Path) -> Params:
    """A params.yaml that keeps to the schema; names and data are not looked at.

    Raises:
        ParamsError: it is not there, is no YAML, or breaks the schema; every problem is named.
    """
    try:
        raw = plain_yaml.read(path)
    except plain_yaml.PlainYamlError as error:
        raise ParamsError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None
    if not isinstance(raw, Mapping):
        raise ParamsError(f"{path}: must be a mapping of blocks, is {type(raw).__name__}")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [describe(problem, Params) for problem in _nearest_type(error.errors())]
        raise ParamsError("\n".join(f"{path}: {line}" for line in lines)) from None


def _nearest_type(problems: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of a value that fits none of several types, what is wrong with it as the one that it comes nearest to."""
    keys = [_without_types(problem["loc"]) for problem in problems]
    return [
        problem
        for i, (key, problem) in enumerate(zip(keys, problems, strict=True))
        if key not in keys[:i] and not any(other[: len(key)] == key and len(other) > len(key) for other in keys)
    ]


def _without_types(where: Sequence[str | int]) -> list[str]:
    """The keys of a value that may be of several types; pydantic puts the type in: `list[str]`, `literal['all']`."""
    return [str(part) for part in where if not re.fullmatch(r"constrained-\w+|\w+\[.*\]", str(part))]


def describe(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    """One line for one of pydantic's errors: key, value, what is allowed, nearest name."""
    where = _without_types(problem["loc"])
    if not where:  # of the block as a whole
        return f"{problem['msg'].removeprefix('Value error, ')}"
    kinds = TAGGED.get(where[0], {})
    if len(where) > 2 and where[2] in kinds:
        # pydantic names the kind of block between its name and its keys; params.yaml does not.
        found, where = kinds[where[2]], where[:2] + where[3:]
        allowed = _fields(found, where[2:-1]) if found is not None else []
    else:
        allowed = _fields(model, where[:-1])
    key = plain_yaml.shown(".".join(where))
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r}{hint(where[-1], allowed)}"
    if problem["type"] == "missing":
        return f"missing key {key!r}"
    value = problem["input"]
    text = f"{key} is {plain_yaml.shown(repr(value))} ({type(value).__name__}): {problem['msg']}"
    if isinstance(value, str) and problem["type"].startswith(("float", "int")) and _is_number(value):
        text += f"; YAML reads {value!r} as text, write it like 1.0e-3"
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _fields(model: type[BaseModel], path: list[str]) -> list[str]:
    """Keys allowed at `path` below `model`."""
    here: Any = model
    for part in path:
        fields = getattr(here, "model_fields", {})
        if part in fields:
            here = fields[part].annotation
        elif getattr(here, "__origin__", None) in (dict, list):
            here = here.__args__[-1]
    return list(getattr(here, "model_fields", {}))
