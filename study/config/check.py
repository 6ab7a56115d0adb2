"""A params.yaml whose names fit one another, the registries and the data."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from study.config.params import CorpusSpec, Params, ParamsError, describe, read
from study.config.plain_yaml import shown
from study.config.pretrained import AnyTeacher, PretrainedSpec
from study.config.readers import reader
from study.config.size import EncoderSpec
from study.config.teacher import TeacherSpec
from study.data import CorpusError, known_languages, known_splits, own_questions
from study.data import corpus as find_corpus
from study.data.alike import options_alike
from study.data.problems import Problems
from study.measures import OUTCOMES
from study.models import PRETRAINED, TRAINABLE, check_model
from study.models.errors import PretrainedError
from study.models.finite import not_finite
from study.models.shape import SizeError, TowerSizes, shape_of
from study.models.tokenizers.vocabulary import SMALLEST
from study.models.trained_sizes import towers_of
from study.names import UnknownNameError, hint
from study.objectives import options_of

MOST_STUDENTS = 20_000
"""DVC has a stage for each, and another for its scores."""
TEACHER = "teacher"
"""The method of a teacher's rows in the tables of results."""


def load(path: Path) -> Params:
    """Read and check a params.yaml.

    Raises:
        ParamsError: as `read`, or names do not fit one another or the data; every problem is named.
    """
    params = read(path)
    with contextlib.chdir(path.parent):  # a corpus's own paths start at the study's folder
        wrong = problems(params)
    if wrong:
        raise ParamsError("\n".join(f"{path}: {line}" for line in wrong))
    return params


def problems(params: Params) -> list[str]:
    """What the schema of single values cannot see: names that refer to one another, and data.

    Paths start at the working folder.
    """
    problems: list[str] = []

    def must_be_in(names: list[str], known: Mapping[str, Any], kind: str, where: str) -> None:
        problems.extend(f"unknown {kind} {shown(repr(n))} in {where}{hint(n, known)}" for n in names if n not in known)
        problems.extend(
            f"{kind} {shown(repr(n))} is twice in {where}" for n in sorted(set(names)) if names.count(n) > 1
        )

    must_be_in(params.grid.archs, params.teachers, "architecture", "grid.archs")
    must_be_in(params.grid.sizes, params.sizes, "size", "grid.sizes")
    must_be_in(params.grid.methods, params.methods, "method", "grid.methods")
    must_be_in([params.analysis.control], dict.fromkeys(params.grid.methods), "control", "analysis.control")
    if len(set(params.grid.seeds)) < len(params.grid.seeds):
        problems.append("a seed is twice in grid.seeds")
    if TEACHER in params.methods:
        problems.append(f"methods.{TEACHER}: a method cannot be called so, the teachers' results are")
    if (students := math.prod(map(len, dict(params.grid).values()))) > MOST_STUDENTS:
        problems.append(f"grid declares {students:,} students, at most {MOST_STUDENTS:,} are possible")
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
        is_published = isinstance(teacher, PretrainedSpec)
        must_be_in([teacher.family], PRETRAINED if is_published else TRAINABLE, "family", f"teachers.{arch}.family")
        if isinstance(teacher, PretrainedSpec):
            problems.extend(_checked(f"teachers.{arch}", teacher) if teacher.family in PRETRAINED else [])
        elif teacher.family in TRAINABLE:
            problems.extend(_trained(f"teachers.{arch}", teacher))
    for size, scale in params.sizes.items():
        if isinstance(scale, EncoderSpec):
            problems.extend(_checked(f"sizes.{size}", scale))
    for method, terms in params.methods.items():
        problems.extend(_objectives(method, terms))
    if not problems:
        problems.extend(_search(params))
        problems.extend(_sizes(params))
    trained = [arch for arch in params.grid.archs if isinstance(params.teachers.get(arch), TeacherSpec)]
    problems.extend(_corpus(params.corpus, trained))
    problems.extend(_unanswerable(params))
    return problems


def _unanswerable(params: Params) -> list[str]:
    """Questions of the user's own with options that a teacher reads as one text, so far as it is there."""
    try:
        settings = find_corpus(params.corpus.name).Settings.model_validate(params.corpus.settings)
        languages = params.corpus.vqa_languages
        asked = [one for one in own_questions(settings) if languages == "all" or one.language in languages]
    except (ValidationError, CorpusError):
        return []  # said of the corpus already
    if not asked:
        return []
    readers = {}
    for arch in params.grid.archs:
        with contextlib.suppress(PretrainedError, UnknownNameError):  # said of the teacher already
            read_by = reader(params.teachers[arch], fetch=False) if arch in params.teachers else None
            if read_by is not None:
                readers[arch] = read_by
    found = Problems()
    for one in options_alike(asked, readers):
        found.add(str(one), "options alike to a teacher")
    return [f"corpus: {line}" for line in found.lines()]


def _trained(where: str, spec: TeacherSpec) -> list[str]:
    problems = []
    try:
        check_model(spec.family, spec.model)
    except UnknownNameError as error:
        problems.append(f"{error} in {where}.model")
    if spec.vocabulary <= SMALLEST:
        problems.append(f"{where}.vocabulary is {spec.vocabulary}: {SMALLEST} are special tokens and bytes, give more")
    return problems


def _sizes(params: Params) -> list[str]:
    """Fractions that no student of a teacher can have, so far as the teacher is known before it is there."""
    problems = []
    for arch in params.grid.archs:
        towers = _towers(params.teachers[arch])
        for size in params.grid.sizes:
            fraction = params.sizes[size]
            if towers is None or not isinstance(fraction, float):
                continue
            try:
                shape_of(towers, fraction, params.students.towers)
            except SizeError as error:
                problems.append(f"sizes.{size}, of teacher {arch}: {error}")
    return problems


def _towers(spec: AnyTeacher) -> TowerSizes | None:
    if isinstance(spec, TeacherSpec):
        found = towers_of(spec.family, spec.model, spec.vocabulary, spec.context)
        return None if found is None else found.text
    if not Path(spec.checkpoint).is_dir():
        return None
    from study.models.shrink import measured  # a checkpoint is opened, which needs torch

    return measured(spec.build_on_meta())


def _checked(where: str, spec: PretrainedSpec | EncoderSpec) -> list[str]:
    try:
        spec.check()
    except PretrainedError as error:
        return [f"{where}: {error}"]
    folder = Path(spec.encoder if isinstance(spec, EncoderSpec) else spec.checkpoint)
    problems = []
    for file in sorted(folder.glob("*.safetensors")) if folder.is_dir() else ():
        if broken := list(not_finite(file)):
            more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
            problems.append(f"{where}: {file}: not all finite: {broken[0]}{more}")
    return problems


def _search(params: Params) -> list[str]:
    """Tuning may search options that the method's objectives have, within two positive bounds."""
    problems = []
    for method, ranges in params.tuning.search.items():
        if method not in params.methods:
            problems.append(f"unknown method {method!r} in tuning.search{hint(method, params.methods)}")
            continue
        known = [f"{n}.{o}" for n in params.methods[method] for o in options_of(n).model_fields]
        for key, bounds in ranges.items():
            where = f"tuning.search.{method}.{key}"
            if len(bounds) != 2 or not 0 < bounds[0] < bounds[1]:
                problems.append(f"{where} is {bounds}: must be two numbers, 0 < low < high")
            if key in known:
                problems.extend(_searchable(where, key, bounds))
            else:
                problems.append(f"unknown option {key!r} in tuning.search.{method}{hint(key, known)}")
    return problems


def _searchable(where: str, key: str, bounds: Sequence[float]) -> list[str]:
    """Both ends of a search must be values that the option can have."""
    name, _, option = key.partition(".")
    kind = options_of(name)
    problems: list[str] = []
    for bound in bounds:
        try:
            kind.model_validate({option: bound})
        except ValidationError as error:
            problems.extend(f"{where}: {describe(problem, kind)}" for problem in error.errors())
    return problems


def _objectives(method: str, terms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not terms:
        return [f"methods.{method} has no objective"]
    problems = []
    for name, options in terms.items():
        where = f"methods.{method}.{name}"
        try:
            kind = options_of(name, f"methods.{method}")
            kind.model_validate(options)
        except UnknownNameError as error:
            problems.append(str(error))
        except ValidationError as error:
            problems.extend(f"{where}: {describe(problem, kind)}" for problem in error.errors())
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
        return [f"corpus: {line}" for line in str(error).splitlines()]
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
            problems += [f"corpus: {line}" for line in str(error).splitlines()]
    return problems


def resolved_languages(spec: CorpusSpec) -> tuple[list[str], list[str]]:
    """Languages of captions and of questions, with `all` spelled out."""
    settings = find_corpus(spec.name).Settings.model_validate(spec.settings)
    return _asked(spec, *known_languages(spec.name, settings))


def _asked(spec: CorpusSpec, captions: Sequence[str], questions: Sequence[str]) -> tuple[list[str], list[str]]:
    languages = list(captions) if spec.languages == "all" else spec.languages
    return languages, list(questions) if spec.vqa_languages == "all" else spec.vqa_languages
