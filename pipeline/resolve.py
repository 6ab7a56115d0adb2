"""Stage `resolve`: params.yaml is checked whole before anything runs; resolved.json holds what follows from it.

What DVC cannot see by itself stands there under a key for each stage: hashes of the code that carries it out, contents
of folders outside DVC, tuned values, and what one block of params.yaml means for the stage of another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from typing import Any

from pipeline import check, paths, stage
from pipeline.sources import ROOT, code_hash, module_file
from pipeline.tuned import folder_contents, sentence, tuned_values
from study.config.params import Params
from study.config.pretrained import PretrainedSpec
from study.config.size import FAMILY, EncoderSpec
from study.config.teacher import TeacherSpec
from study.data import corpus as find_corpus
from study.models import FAMILIES
from study.objectives import module_of

REGISTRIES = ("study.objectives", "study.models", "study.data")
"""Adding an entry to one of these changes no hash of what does not name it."""


def carried_out_by(*names: str) -> list[Path]:
    """Files of pipeline/ that carry out a stage; they import on use, so they are hashed by themselves."""
    return [ROOT / "pipeline" / f"{name}.py" for name in (*names, "work/device", "work/inputs")]


def resolved(params: Params) -> dict[str, Any]:
    """What resolved.json holds; keys below it are named in dvc.yaml."""
    grid = params.grid
    teachers = {arch: params.teachers[arch] for arch in grid.archs}
    sizes = {size: params.sizes[size] for size in grid.sizes}
    return {
        "readers": {arch: _reader(spec) for arch, spec in teachers.items()},
        "layers": any(options.get("layers") for m in grid.methods for options in params.methods[m].values()),
        "contents": {
            "teachers": {
                arch: folder_contents(spec.checkpoint) if isinstance(spec, PretrainedSpec) else None
                for arch, spec in teachers.items()
            },
            "sizes": {
                name: folder_contents(size.encoder) if isinstance(size, EncoderSpec) else None
                for name, size in sizes.items()
            },
        },
        "tuned": _by_cell(params, tuned_values),
        "code": {
            "prepare": {
                "corpus": corpus_code(params.corpus.name),
                "reading": code_hash(
                    ["study.data.answerable", "study.config.readers"], [ROOT / "pipeline" / "prepare.py"], REGISTRIES
                ),
            },
            "teacher": {arch: teacher_code(spec) for arch, spec in teachers.items()},
            "embed": {
                arch: model_code(["study.distill.embeddings"], carried_out_by("embed", "work/share"), spec)
                for arch, spec in teachers.items()
            },
            "student": _by_cell(params, student_code),
            "evaluate": code_hash(
                ["study.eval.evaluation", "study.models.checkpoint"],
                carried_out_by("work/task", "work/score"),
                REGISTRIES,
            ),
            "collect": code_hash(["pipeline.collect"]),
            "analyse": code_hash(
                ["pipeline.analyse", "analysis.__main__"], [ROOT / "analysis" / "report" / "templates"]
            ),
            "publish": code_hash(["pipeline.publish"]),
        },
    }


def _by_cell(params: Params, value: Callable[[Params, str, str, str], Any]) -> dict[str, Any]:
    """Architecture to size to method to value."""
    grid = params.grid
    return {
        arch: {size: {method: value(params, arch, size, method) for method in grid.methods} for size in grid.sizes}
        for arch in grid.archs
    }


def _reader(spec: TeacherSpec | PretrainedSpec) -> dict[str, Any]:
    """What a teacher's reading of texts comes from; all that are trained here clean texts in one way."""
    if isinstance(spec, PretrainedSpec):
        code = model_code(["study.config.readers"], [], spec)
        return {"spec": spec.model_dump(), "code": code, "contents": folder_contents(spec.checkpoint)}
    return {"spec": None}


def teacher_code(teacher: TeacherSpec | PretrainedSpec) -> str:
    """The code that a teacher is made by."""
    modules = ["study.config.pretrained", "study.distill.teacher", "study.models.shrink", "study.eval.fragmentation"]
    return model_code(modules, carried_out_by("work/task", "work/teach", "work/run_files"), teacher)


def student_code(params: Params, arch: str, size: str, method: str) -> str:
    """The code that a student is trained by."""
    modules = ["study.distill.student", "study.eval.fragmentation"]
    files = carried_out_by("work/task", "work/distil", "work/run_files")
    return _cell_code(modules, files, params, (arch, size, method))


def tuning_code(params: Params, arch: str, size: str, method: str) -> str:
    """The code that a cell is tuned by."""
    return _cell_code(
        ["study.distill.student", "study.eval.evaluation"], carried_out_by("tune"), params, (arch, size, method)
    )


def _cell_code(modules: Iterable[str], files: Iterable[Path], params: Params, cell: tuple[str, str, str]) -> str:
    arch, size, method = cell
    families = [FAMILY] if isinstance(params.sizes[size], EncoderSpec) else []
    return model_code(modules, files, params.teachers[arch], params.methods[method], families)


def model_code(
    modules: Iterable[str],
    files: Iterable[Path],
    teacher: TeacherSpec | PretrainedSpec,
    objectives: Iterable[str] = (),
    families: Iterable[str] = (),
) -> str:
    """The code of `modules` and `files`, of the teacher's family and configuration, of further families and of
    `objectives`."""
    roots = [*modules, "study.models.checkpoint"]
    roots += [FAMILIES[family].partition(":")[0] for family in (teacher.family, *families)]
    roots += [module_of(name) for name in objectives]
    # Of a published teacher, those of the text encoders that it may name.
    wanted = f"*/{teacher.model}.json" if isinstance(teacher, TeacherSpec) else "hf_text/*.json"
    configurations = sorted((ROOT / "study" / "models" / "configs").glob(wanted))
    return code_hash(roots, [*files, *configurations], REGISTRIES)


def corpus_code(name: str) -> str:
    """The code of a corpus, wherever it lies and whatever it is called, and the data files beside it."""
    found = find_corpus(name)
    modules = {_module(part) for part in (found.build, found.check, found.Settings, found.needs) if part is not None}
    data: set[Path] = set()
    for module in modules:
        file = module_file(module)
        if file is not None and file.name == "__init__.py":
            data.update(file.parent.rglob("*"))
        elif file is not None:
            data.update(file.parent.glob(f"{file.stem}.*"))
    beside = sorted(path for path in data if path.is_file() and path.suffix not in (".py", ".pyc"))
    return code_hash(sorted(modules), data=beside, without=REGISTRIES)


def _module(part: object) -> str:
    """The module of a function or class, or of an object's class."""
    return str(getattr(part, "__module__", None) or type(part).__module__)


def run() -> None:
    params = check.check(paths.PARAMS, tell=False)
    content = resolved(params)
    grid = params.grid
    tuned = {
        f"{arch}-{size}-{method}": bool(content["tuned"][arch][size][method])
        for arch, size, method in product(grid.archs, grid.sizes, grid.methods)
    }
    if line := sentence(tuned):
        print(f"resolve: {line}")
    stage.write_json(paths.RESOLVED, content)
    print(f"resolve: {len(tuned) * len(grid.seeds)} students and {len(grid.archs)} teachers declared")
