"""The strict schema of params.yaml: unknown, missing and mistyped keys are refused by name."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from study import records
from study.corpora import CorpusError, known_languages, known_splits
from study.corpora import corpus as find_corpus
from study.distillation import StudentSpec
from study.encoders import KINDS as SIZE_KINDS
from study.encoders import EncoderSpec, Size
from study.names import UnknownNameError, hint
from study.objectives import objective
from study.published import KINDS, AnyTeacher, PublishedSpec
from study.shards import EmbeddingSpec
from study.teacher import TeacherSpec
from study.towers import PUBLISHED, TRAINABLE, trainable
from study.towers.protocol import PublishedError

OUTCOMES = (
    *("retrieval", "consistency", "vqa", "stability"),
    *(f"retrieval:{measure.name}" for measure in records.RETRIEVAL_METRICS),
    *(f"consistency:{measure.name}" for measure in records.CONSISTENCY_CONSTRUCTS),
    *(f"stability:{measure.name}" for measure in records.STABILITY_CONSTRUCTS),
)
"""What an analysis can be about: a headline, or `table:measure`."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+([_.+][a-z0-9]+)*$")]
"""Factor levels become parts of a cell's name, where `-` divides them."""


class ParamsError(ValueError):
    """params.yaml cannot be used; the message has one line for each thing that is wrong."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Study(Strict):
    name: Name
    description: str = ""


class Grid(Strict):
    archs: list[Name] = Field(min_length=1)
    sizes: list[Name] = Field(min_length=1)
    methods: list[Name] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)


class CorpusSpec(Strict):
    name: str
    languages: list[str] | Literal["all"] = "all"
    vqa_languages: list[str] | Literal["all"] = "all"
    settings: dict[str, Any] = {}


class Tuning(Strict):
    values: str
    trials: int = Field(gt=0)
    seeds: list[int] = Field(min_length=1)
    learning_rate: list[Annotated[float, Field(gt=0)]] = Field(min_length=2, max_length=2)
    search: dict[str, dict[str, list[float]]] = {}


class Evaluation(Strict):
    protocol: Literal["all-captions", "first-caption"] = "all-captions"


Points = Annotated[float, Field(gt=0)]
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
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    workers: Annotated[int, Field(gt=0)] | Literal["auto"] = "auto"
    threads: int = Field(default=1, gt=0)


TAGGED: Mapping[str, Mapping[str, type[BaseModel] | None]] = {"teachers": KINDS, "sizes": SIZE_KINDS}
"""Keys of params.yaml with blocks of several kinds: the kinds."""


class Params(Strict):
    """The whole of params.yaml."""

    root: str
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


def load(path: Path) -> Params:
    """Read and check a params.yaml.

    Raises:
        ParamsError: as `read`, or names do not fit one another or the data; every problem is named.
    """
    params = read(path)
    with contextlib.chdir(path.parent):  # a corpus's own paths start at the study's folder
        problems = _names(params)
    if problems:
        raise ParamsError("\n".join(f"{path}: {line}" for line in problems))
    return params


def read(path: Path) -> Params:
    """A params.yaml that keeps to the schema; names and data are not looked at.

    Raises:
        ParamsError: it is not there, is no YAML, or breaks the schema; every problem is named.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(path)
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file") from None
    except MarkedYAMLError as error:
        raise ParamsError(f"{path}: {error.problem or error.context} ({error.problem_mark})") from None
    if not isinstance(raw, Mapping):
        raise ParamsError(f"{path}: must be a mapping of blocks, is {type(raw).__name__}")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [describe(problem, Params) for problem in error.errors()]
        raise ParamsError("\n".join(f"{path}: {line}" for line in lines)) from None


def describe(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    """One line for one of pydantic's errors: key, value, what is allowed, nearest name."""
    where = [str(part) for part in problem["loc"]]
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
    text = f"{key} is {value!r} ({type(value).__name__}): {problem['msg']}"
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


def _names(params: Params) -> list[str]:
    """What the schema of single values cannot see: names that refer to one another."""
    problems: list[str] = []

    def must_be_in(names: list[str], known: Mapping[str, Any], kind: str, where: str) -> None:
        problems.extend(f"unknown {kind} {n!r} in {where}{hint(n, known)}" for n in names if n not in known)
        problems.extend(f"{kind} {n!r} is twice in {where}" for n in sorted(set(names)) if names.count(n) > 1)

    must_be_in(params.grid.archs, params.teachers, "architecture", "grid.archs")
    must_be_in(params.grid.sizes, params.sizes, "size", "grid.sizes")
    must_be_in(params.grid.methods, params.methods, "method", "grid.methods")
    must_be_in([params.analysis.control], dict.fromkeys(params.grid.methods), "control", "analysis.control")
    if len(set(params.grid.seeds)) < len(params.grid.seeds):
        problems.append("a seed is twice in grid.seeds")
    both = sorted(set(params.tuning.seeds) & set(params.grid.seeds))
    if both:
        problems.append(f"tuning.seeds and grid.seeds share {both}: what chose the settings must not be scored")
    if params.tuning.learning_rate[0] >= params.tuning.learning_rate[1]:
        problems.append(f"tuning.learning_rate is {params.tuning.learning_rate}: must be low, then high")
    must_be_in(params.analysis.primary, dict.fromkeys(OUTCOMES), "outcome", "analysis.primary")
    if params.analysis.contrasts != "all":
        others = [m for m in params.grid.methods if m != params.analysis.control]
        must_be_in(params.analysis.contrasts, dict.fromkeys(others), "method", "analysis.contrasts")
    if isinstance(params.analysis.smallest_effect, dict):
        known = dict.fromkeys([*OUTCOMES, "default"])
        must_be_in(list(params.analysis.smallest_effect), known, "outcome", "analysis.smallest_effect")
    for arch, teacher in params.teachers.items():
        is_published = isinstance(teacher, PublishedSpec)
        must_be_in([teacher.family], PUBLISHED if is_published else TRAINABLE, "family", f"teachers.{arch}.family")
        if isinstance(teacher, PublishedSpec):
            problems.extend(_checked(f"teachers.{arch}", teacher) if teacher.family in PUBLISHED else [])
        elif teacher.family in TRAINABLE:
            models = trainable(teacher.family).models()
            must_be_in([teacher.model], dict.fromkeys(models), "model", f"teachers.{arch}.model")
    for size, scale in params.sizes.items():
        if isinstance(scale, EncoderSpec):
            problems.extend(_checked(f"sizes.{size}", scale))
    for method, terms in params.methods.items():
        problems.extend(_objectives(method, terms))
    if not problems:
        problems.extend(_search(params))
    trained = [arch for arch in params.grid.archs if isinstance(params.teachers.get(arch), TeacherSpec)]
    problems.extend(_corpus(params.corpus, trained))
    return problems


def _checked(where: str, spec: PublishedSpec | EncoderSpec) -> list[str]:
    try:
        spec.check()
    except PublishedError as error:
        return [f"{where}: {error}"]
    return []


def _search(params: Params) -> list[str]:
    """Tuning may search options that the method's objectives have, within two positive bounds."""
    problems = []
    for method, ranges in params.tuning.search.items():
        if method not in params.methods:
            problems.append(f"unknown method {method!r} in tuning.search{hint(method, params.methods)}")
            continue
        known = [f"{n}.{o}" for n in params.methods[method] for o in objective(n).Options.model_fields]
        for key, bounds in ranges.items():
            if key not in known:
                problems.append(f"unknown option {key!r} in tuning.search.{method}{hint(key, known)}")
            if len(bounds) != 2 or not 0 < bounds[0] < bounds[1]:
                problems.append(f"tuning.search.{method}.{key} is {bounds}: must be two numbers, 0 < low < high")
    return problems


def _objectives(method: str, terms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not terms:
        return [f"methods.{method} has no objective"]
    problems = []
    for name, options in terms.items():
        where = f"methods.{method}.{name}"
        try:
            kind = objective(name, f"methods.{method}")
            kind.Options.model_validate(options)
        except UnknownNameError as error:
            problems.append(str(error))
        except ValidationError as error:
            problems.extend(f"{where}: {describe(problem, kind.Options)}" for problem in error.errors())
    return problems


def _corpus(spec: CorpusSpec, trained: Sequence[str]) -> list[str]:
    """`trained`: the architectures whose teachers are trained here, on split `teacher`."""
    try:
        found = find_corpus(spec.name)
        settings = found.Settings.model_validate(spec.settings)
    except ValidationError as error:
        return [f"corpus.settings: {describe(problem, found.Settings)}" for problem in error.errors()]
    except CorpusError as error:
        return [f"corpus.name: {error}"]
    try:
        captions, questions = known_languages(spec.name, settings)
        splits = known_splits(settings) if trained else ()
    except CorpusError as error:
        return [f"corpus: {error}"]
    if trained and "teacher" not in splits:
        return [
            f"teachers.{trained[0]} is trained here, but the corpus has no split 'teacher' (it has "
            f"{', '.join(splits) or 'none'}): add one, or give the teacher a checkpoint"
        ]
    problems = []
    for key, wanted, known in (
        ("languages", spec.languages, captions),
        ("vqa_languages", spec.vqa_languages, questions),
    ):
        if wanted != "all":
            problems += [f"unknown language {n!r} in corpus.{key}{hint(n, known)}" for n in wanted if n not in known]
    if not problems:
        try:
            found.check(settings, *_asked(spec, captions, questions))
        except CorpusError as error:
            problems.append(f"corpus: {error}")
    return problems


def resolved_languages(spec: CorpusSpec) -> tuple[list[str], list[str]]:
    """Languages of captions and of questions, with `all` spelled out."""
    settings = find_corpus(spec.name).Settings.model_validate(spec.settings)
    return _asked(spec, *known_languages(spec.name, settings))


def _asked(spec: CorpusSpec, captions: Sequence[str], questions: Sequence[str]) -> tuple[list[str], list[str]]:
    languages = list(captions) if spec.languages == "all" else spec.languages
    return languages, list(questions) if spec.vqa_languages == "all" else spec.vqa_languages
