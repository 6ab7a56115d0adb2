"""The strict schema of params.yaml: unknown, missing and mistyped keys are refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from study.config import plain_yaml
from study.config.embedding import EmbeddingSpec
from study.config.pretrained import KINDS, AnyTeacher
from study.config.schedule import MOST_RATE
from study.config.size import KINDS as SIZE_KINDS
from study.config.size import Size
from study.config.student import StudentSpec
from study.names import hint
from study.strict import Strict

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+([_+][a-z0-9]+)*$", max_length=40)]
"""Factor levels become parts of a cell's name, where `-` divides them, and so of folders and commands; and parts of the
keys by which DVC follows them, where `.` does."""

Seed = Annotated[int, Field(ge=0, lt=2**31)]

_PART = r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
InnerPath = Annotated[str, Field(pattern=rf"^{_PART}(/{_PART})*$", max_length=200)]
"""A folder below the study's: names of letters, digits, `_`, `.` and `-`, divided by `/`."""


class ParamsError(ValueError):
    """params.yaml cannot be used; the message has one line for each thing that is wrong."""


class StudySpec(Strict):
    """What the study is called."""

    name: Name = Field(description="in the report, in MLflow and in the summary")
    description: str = Field(default="", description="one sentence, for the report")


class GridSpec(Strict):
    """The factors. Every combination of an architecture, a size, a method and a seed is one student."""

    archs: list[Name] = Field(min_length=1, description="architectures: keys of `teachers`")
    sizes: list[Name] = Field(min_length=1, description="keys of `sizes`")
    methods: list[Name] = Field(min_length=1, description="keys of `methods`; the control is one of them")
    seeds: list[Seed] = Field(min_length=1, description="of initialisation, batch order and queues")


Languages = list[Annotated[str, Field(min_length=1, max_length=40)]] | Literal["all"]


class CorpusSpec(Strict):
    """The images, captions and questions."""

    name: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="of the corpus")
    languages: Languages = Field(default="all", description="languages of captions")
    vqa_languages: Languages = Field(default="all", description="languages of questions")
    settings: dict[str, Any] = Field(default={}, description="what this corpus lets you set")


class TuningSpec(Strict):
    """What `make tune` searches. `make repro` never tunes; it uses what was found."""

    values: InnerPath = Field(description="folder of the tuned values; DVC watches it, so it must be there")
    trials: int = Field(gt=0, le=100_000, description="of each method in each architecture and size")
    seeds: list[Seed] = Field(min_length=1, description="of the tuned students; none of them may be in `grid.seeds`")
    learning_rate: list[Annotated[float, Field(gt=0, le=MOST_RATE)]] = Field(
        min_length=2, max_length=2, description="lowest and highest, searched on a log scale"
    )
    search: dict[str, dict[str, list[float]]] = Field(
        default={}, description="method to `objective.option` to lowest and highest, searched on a log scale"
    )


class EvaluationSpec(Strict):
    """How retrieval is scored."""

    protocol: Literal["all-captions", "first-caption"] = Field(
        default="all-captions", description="captions of an image that count: all, or the first in each language"
    )


Points = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""Percentage points."""


class AnalysisSpec(Strict):
    """Declared before the results are seen; the report prints it first and calls all else exploratory."""

    hypotheses: list[str] = Field(default=[], description="sentences, printed first")
    control: str = Field(description="the method that the others are compared with")
    contrasts: list[str] | Literal["all"] = Field(default="all", description="methods to compare with the control")
    primary: list[str] = Field(min_length=1, description="outcomes that the study is about")
    family: Literal["outcome", "study"] = Field(
        default="outcome", description="p is adjusted over methods within an outcome, or over primary outcomes too"
    )
    smallest_effect: Points | dict[str, Points] = Field(
        default=2.0, description="smallest effect of interest in percentage points: one, or one per outcome"
    )
    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="the level of tests; intervals cover 1 - alpha")
    languages: Literal["random", "fixed"] = Field(
        default="random", description="whether results speak of languages like these, or of these alone"
    )


Printed = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""One line of text."""
Option = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]
"""A long option of sbatch, without its dashes."""


class Slurm(Strict):
    """The job array that `engine: slurm` submits. Every element takes a part of the cells and runs them on its node."""

    cluster: Literal["slurm", "local"] = Field(
        default="slurm", description="local runs the elements as processes of this machine, to try it without Slurm"
    )
    partition: Printed | None = Field(default=None, description="as sbatch knows it; left out, the cluster's default")
    elements: int = Field(default=8, gt=0, le=10_000, description="parts of the array at most, each on one node")
    minutes: int = Field(
        default=240, gt=0, le=100_000, description="an element may run; longer work is requeued and goes on"
    )
    requeues: int = Field(default=20, ge=0, le=1000, description="times that an element may run out of its minutes")
    notice: int = Field(default=120, gt=0, le=3600, description="seconds before its end at which an element is told")
    memory: Annotated[float, Field(gt=0, le=100_000)] | None = Field(default=None, description="GB of an element")
    cpus: Annotated[int, Field(gt=0, le=4096)] | None = Field(default=None, description="CPUs of an element")
    gpus: int = Field(default=0, ge=0, le=64, description="GPUs of an element")
    setup: list[Printed] = Field(
        default=[], description="shell lines that run on the node first, as `module load cuda`"
    )
    options: dict[Option, Printed | int] = Field(
        default={}, description="further long options of sbatch, without dashes: `{account: vision, qos: low}`"
    )


class Ray(Strict):
    """The cluster that `engine: ray` uses."""

    address: Annotated[str, Field(pattern=r"^(auto|[A-Za-z0-9.-]+:[0-9]{1,5})$", max_length=200)] | None = Field(
        default=None,
        description="host:port of a cluster that runs, auto for the one that this machine belongs to; "
        "left out, Ray is started on this machine alone and listens to this machine alone",
    )


class ExecutionSpec(Strict):
    """Where and how widely it runs. Changes no result on one kind of device, and trains nothing anew."""

    engine: Literal["local", "slurm", "ray"] = Field(
        default="local", description="processes of this machine, a Slurm array, or a Ray cluster"
    )
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?)$")] = Field(
        default="auto", description="auto takes GPUs where torch sees some; else cpu, cuda or cuda:<number>"
    )
    workers: Annotated[int, Field(gt=0, le=4096)] | Literal["auto"] = Field(
        default="auto",
        description="models trained side by side on a machine; auto is what its GPUs, or its cores, hold",
    )
    workers_per_gpu: int = Field(
        default=1, gt=0, le=64, description="workers that share a GPU: small students do not fill one"
    )
    threads: int = Field(default=1, gt=0, le=4096, description="of each worker, on a CPU")
    slurm: Slurm = Field(default=Slurm(), description="see below")
    ray: Ray = Field(default=Ray(), description="see below")
    on_failure: Literal["stop", "record"] = Field(
        default="stop",
        description="stop: no model is begun after one failed; record: a diverged student is an outcome, and all else "
        "is made before the study ends",
    )


TAGGED: Mapping[str, Mapping[str, type[BaseModel] | None]] = {"teachers": KINDS, "sizes": SIZE_KINDS}
"""Keys of params.yaml with blocks of several kinds: the kinds."""


class Params(Strict):
    """The whole of params.yaml."""

    root: str | None = Field(default=None, exclude=True, description="not used any more; earlier versions needed it")
    study: StudySpec
    grid: GridSpec
    corpus: CorpusSpec
    teachers: dict[Name, AnyTeacher] = Field(description="one block per architecture")
    embedding: EmbeddingSpec
    students: StudentSpec
    sizes: dict[Name, Size] = Field(description="how large students are: a fraction of the teacher, or an encoder")
    methods: dict[Name, dict[str, dict[str, Any]]] = Field(
        description="a method is a weighted sum of objectives: their names, each with its options"
    )
    tuning: TuningSpec
    evaluation: EvaluationSpec
    analysis: AnalysisSpec
    execution: ExecutionSpec = ExecutionSpec()


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
        return f"missing key {key!r}" + (
            f": write `{key}: {{}}` for its defaults" if _may_be_empty(model, where) else ""
        )
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


def _may_be_empty(model: type[BaseModel], path: list[str]) -> bool:
    """Whether the block at `path`, one of the top, has a default for each key."""
    kind = model.model_fields[path[0]].annotation if len(path) == 1 and path[0] in model.model_fields else None
    fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}
    return bool(fields) and not any(field.is_required() for field in fields.values())


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
