"""The strict schema of params.yaml: unknown, missing and mistyped keys are refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLStreamError

from study import records
from study.distillation import StudentSpec
from study.encoders import KINDS as SIZE_KINDS
from study.encoders import Size
from study.names import hint
from study.published import KINDS, AnyTeacher
from study.shards import EmbeddingSpec

OUTCOMES = (
    *("retrieval", "consistency", "vqa", "stability"),
    *(f"retrieval:{measure.name}" for measure in records.RETRIEVAL_METRICS),
    *(f"consistency:{measure.name}" for measure in records.CONSISTENCY_CONSTRUCTS),
    *(f"stability:{measure.name}" for measure in records.STABILITY_CONSTRUCTS),
)
"""What an analysis can be about: a headline, or `table:measure`."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+([_.+][a-z0-9]+)*$", max_length=64)]
"""Factor levels become parts of a cell's name, where `-` divides them, and of the names of folders."""

Folder = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$", max_length=200)]
"""A folder below the study's own, of letters, digits, `_`, `-`, `.` and `/`: DVC puts it into a command line."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""What the generators of torch and numpy both take."""

MOST_BYTES, MOST_VALUES = 1_000_000, 100_000
"""Of a params.yaml; values count as often as they are referred to."""


MOST_SHOWN = 200
"""Characters of a value that an error shows."""


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


class CorpusSpec(Strict):
    name: str
    languages: list[str] | Literal["all"] = "all"
    vqa_languages: list[str] | Literal["all"] = "all"
    settings: dict[str, Any] = {}


class Tuning(Strict):
    values: Folder
    trials: int = Field(gt=0, le=10_000)
    seeds: list[Seed] = Field(min_length=1)
    learning_rate: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(min_length=2, max_length=2)
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
    """No defaults: dvc.yaml reads these from params.yaml itself, and knows of none."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?)$")]
    workers: Annotated[int, Field(gt=0, le=1024)] | Literal["auto"]
    threads: int = Field(gt=0, le=1024)


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
    evaluation: Evaluation
    analysis: Analysis
    execution: Execution


def read(path: Path) -> Params:
    """A params.yaml that keeps to the schema; names and data are not looked at.

    Raises:
        ParamsError: it is not there, is no YAML, or breaks the schema; every problem is named.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ParamsError(f"{path}: larger than {MOST_BYTES:,} bytes")
        raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file") from None
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None
    except MarkedYAMLError as error:
        raise ParamsError(f"{path}: {error.problem or error.context} ({error.problem_mark})") from None
    except RecursionError:
        raise ParamsError(f"{path}: nested too deeply") from None
    except (YAMLError, YAMLStreamError, ValueError) as error:
        raise ParamsError(f"{path}: no YAML: {str(error).strip().splitlines()[0]}") from None
    if _values(raw) > MOST_VALUES:
        raise ParamsError(f"{path}: more than {MOST_VALUES:,} values, counted as often as they are referred to")
    if not isinstance(raw, Mapping):
        raise ParamsError(f"{path}: must be a mapping of blocks, is {type(raw).__name__}")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [describe(problem, Params) for problem in _nearest_type(error.errors())]
        raise ParamsError("\n".join(f"{path}: {line}" for line in lines)) from None


def _values(raw: Any) -> int:
    """Number of values below `raw`, or a number above `MOST_VALUES` as soon as there are more."""
    count, open_values = 0, [raw]
    while open_values and count <= MOST_VALUES:
        value = open_values.pop()
        count += 1
        if isinstance(value, Mapping):
            open_values.extend(value.values())
        elif isinstance(value, list):
            open_values.extend(value)
    return count


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
    if not where:  # what pydantic says of a block as a whole
        return str(problem["msg"])
    kinds = TAGGED.get(where[0], {})
    if len(where) > 2 and where[2] in kinds:
        # pydantic names the kind of block between its name and its keys; params.yaml does not.
        found, where = kinds[where[2]], where[:2] + where[3:]
        allowed = _fields(found, where[2:-1]) if found is not None else []
    else:
        allowed = _fields(model, where[:-1])
    key = ".".join(where)
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r}{hint(where[-1], allowed)}"
    if problem["type"] == "missing":
        return f"missing key {key!r}"
    value = problem["input"]
    text = f"{key} is {shortened(value)} ({type(value).__name__}): {problem['msg']}"
    if isinstance(value, str) and problem["type"].startswith(("float", "int")) and _is_number(value):
        text += f"; YAML reads {value!r} as text, write it like 1.0e-3"
    return text


def shortened(value: Any) -> str:
    """How a value is written, cut in the middle where it is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return "a number of very many digits"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN // 2]}...{text[-MOST_SHOWN // 4 :]}"


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
