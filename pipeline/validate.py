"""Stage `validate`: params.yaml is checked whole before anything runs, and taken apart into plans.

plan/<stage>-<what>.json holds exactly what one stage may know: its declaration and the hash of its
code. DVC re-runs what depends on a plan that changed, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from pipeline import needs, paths, stage
from pipeline.sources import ROOT, code_hash, module_file
from pipeline.tuned import sentence, tuned_values
from study.config.check import problems as wrong_in
from study.config.check import resolved_languages
from study.config.grid import cells, teacher_name
from study.config.params import Params, read
from study.config.pretrained import PretrainedSpec
from study.config.size import FAMILY, EncoderSpec, Size
from study.config.teacher import TeacherSpec
from study.data import corpus as find_corpus
from study.data.fingerprint import ends_hash
from study.data.prepared import file_hash
from study.models import FAMILIES
from study.objectives import module_of

MADE = ("plan", "corpus", "teachers", "embeddings", "settled", "runs", "scores", "results", "report")
"""Folders that stages make."""

REGISTRIES = ("study.objectives", "study.models", "study.data")
"""Adding an entry to one of these changes no plan that does not name it."""


def carried_out_by(*names: str) -> list[Path]:
    """Files of pipeline/ that carry out a plan; they import on use, so they are hashed by themselves."""
    return [ROOT / "pipeline" / f"{name}.py" for name in (*names, "work/device", "work/inputs")]


def plans(params: Params) -> dict[str, Any]:
    """Plan name to content."""
    grid = params.grid
    corpus = find_corpus(params.corpus.name)
    wanted = params.corpus
    languages, asked = resolved_languages(wanted)
    declared: dict[str, Any] = {
        "corpus": {
            "name": wanted.name,
            "languages": languages,
            "vqa_languages": asked,
            "settings": corpus.Settings.model_validate(wanted.settings).model_dump(mode="json"),
            "readers": {arch: _reader(params.teachers[arch]) for arch in grid.archs},
            "reading": code_hash(["study.data.answerable", "study.config.readers"], without=REGISTRIES),
            "code": _corpus_code(wanted.name),
        },
        "evaluation": {
            **params.evaluation.model_dump(),
            "code": code_hash(
                ["study.eval.evaluation", "study.models.checkpoint"],
                carried_out_by("work/task", "work/score"),
                REGISTRIES,
            ),
        },
        "execution": params.execution.model_dump(),
        "tuning": {"values": params.tuning.values},
        "grid": {
            "study": params.study.name,
            "description": params.study.description,
            **grid.model_dump(),
            "cells": [cell.name for cell in cells(grid.archs, grid.sizes, grid.methods, grid.seeds)],
            "teachers": [teacher_name(arch) for arch in grid.archs],
        },
        "students": {
            f"{arch}-{size}-{method}": tuned_for(params, arch, size, method)
            for arch, size, method in product(grid.archs, grid.sizes, grid.methods)
        },
        "collect": {"code": code_hash(["pipeline.collect"])},
        "publish": {"code": code_hash(["pipeline.publish"])},
        "analysis": {
            **params.analysis.model_dump(),
            "study": params.study.name,
            "description": params.study.description,
            "code": code_hash(["pipeline.analyse", "analysis.__main__"], [ROOT / "analysis" / "report" / "templates"]),
        },
    }
    layers = any(options.get("layers") for m in grid.methods for options in params.methods[m].values())
    for arch in grid.archs:
        spec = params.teachers[arch]
        declared[f"teacher-{arch}"] = _teacher(arch, spec)
        code = model_code(["study.distill.embeddings"], carried_out_by("embed"), spec)
        kept = params.embedding.model_dump()
        declared[f"embed-{arch}"] = {"arch": arch, "layers": layers, "embedding": kept, "code": code}
    for arch, size, method in product(grid.archs, grid.sizes, grid.methods):
        declared[f"tune-{arch}-{size}-{method}"] = _tuning(params, arch, size, method)
    return declared


def _teacher(arch: str, spec: TeacherSpec | PretrainedSpec) -> dict[str, Any]:
    modules = ["study.config.pretrained", "study.distill.teacher", "study.models.shrink", "study.eval.fragmentation"]
    code = model_code(modules, carried_out_by("work/task", "work/teach", "work/run_files"), spec)
    contents = {"contents": folder_contents(spec.checkpoint)} if isinstance(spec, PretrainedSpec) else {}
    return {"arch": arch, "spec": spec.model_dump(), "code": code, **contents}


def _reader(spec: TeacherSpec | PretrainedSpec) -> dict[str, Any]:
    """What a teacher's reading of texts comes from; all that are trained here clean texts in one way."""
    if isinstance(spec, PretrainedSpec):
        code = model_code(["study.config.readers"], [], spec)
        return {"spec": spec.model_dump(), "code": code, "contents": folder_contents(spec.checkpoint)}
    return {"spec": None}


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


def student_code(teacher: TeacherSpec | PretrainedSpec, plan: Mapping[str, Any]) -> str:
    """The code that a student's plan is carried out with."""
    modules = ["study.distill.student", "study.eval.fragmentation"]
    files = carried_out_by("work/task", "work/distil", "work/run_files")
    return model_code(modules, files, teacher, plan["objectives"], further_families(plan))


def further_families(plan: Mapping[str, Any]) -> list[str]:
    """Families of a student's plan beside its teacher's."""
    return [FAMILY] if "encoder" in plan else []


def _corpus_code(name: str) -> str:
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


def _tuning(params: Params, arch: str, size: str, method: str) -> Mapping[str, Any]:
    tuning, teacher = params.tuning, params.teachers[arch]
    declared = tuned_for(params, arch, size, method)
    modules, objectives = ["study.distill.student", "study.eval.evaluation"], params.methods[method]
    return {
        "arch": arch,
        "size": size,
        "method": method,
        "seeds": tuning.seeds,
        "trials": tuning.trials,
        "learning_rate": tuning.learning_rate,
        "search": tuning.search.get(method, {}),
        "declared": declared,
        "values": tuning.values,
        "code": model_code(modules, carried_out_by("tune"), teacher, objectives, further_families(declared)),
    }


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
    """What makes a student as large as it is, in a plan: `fraction`, or `encoder` with the folder's content."""
    if not isinstance(size, EncoderSpec):
        return {"fraction": size}
    return {"encoder": size.model_dump(), "encoder_contents": folder_contents(size.encoder)}


def folder_contents(checkpoint: str) -> str | None:
    """The hash of a folder of the user's, which DVC does not watch; None for a name."""
    return stage.tree_hash([Path(checkpoint)]) if Path(checkpoint).is_dir() else None


def check_fresh(params: Params) -> None:
    """Refuse a prepared corpus whose sources have changed: DVC watches declarations, not the user's data.

    Raises:
        StageError: a table or shard that the corpus was made from is another one now.
    """
    made = paths.CORPUS / "corpus.json"
    if not made.is_file():
        return
    card, wanted = stage.read_json(made), params.corpus
    settings = find_corpus(wanted.name).Settings.model_validate(wanted.settings).model_dump(mode="json")
    if (card["corpus"], card["settings"]) != (wanted.name, settings):
        return
    for kind, hashed in (("tables", file_hash), ("bulk", ends_hash)):
        for name, known in card["facts"].get(kind, {}).items():
            if not Path(name).is_file() or hashed(Path(name)) != known:
                raise stage.StageError(
                    f"{name} has changed or gone since {paths.CORPUS}/ was prepared from it: give "
                    f"corpus.settings.revision another value (it is {settings['revision']!r}), and the study follows"
                )


def check(declared: Path, *, tell: bool) -> Params:
    """A params.yaml of the working folder that can be run; with `tell`, what it needs is printed first.

    Raises:
        ParamsError: it cannot be read.
        StageError: something does not fit, or is missing; every problem has its line.
    """
    params = read(declared)
    missing = needs.tell(params) if tell else []
    problems = [f"{declared}: {problem}" for problem in (*wrong_in(params), *_places(params))]
    if missing:
        problems.append(f"missing: {len(missing)} of the inputs; nothing was downloaded or trained")
    if problems:
        raise stage.StageError("\n".join(problems))
    check_fresh(params)
    return params


def _places(params: Params) -> list[str]:
    """What is wrong with paths that DVC watches."""
    problems = []
    if (Path(params.root) / "study").resolve() != ROOT / "study":
        problems.append(f"root is {params.root!r}, which does not point to {ROOT.name}/ from here")
    values = Path(params.tuning.values)
    if values.parts[0] in MADE:
        problems.append(f"tuning.values is {params.tuning.values!r}: {values.parts[0]} is made by the study itself")
    elif not values.is_dir():
        problems.append(
            f"tuning.values is {params.tuning.values!r}, and there is no such folder: make it, and put a .gitkeep into "
            "it, since git keeps no empty folder"
        )
    return problems


def told(params: Params) -> list[str]:
    """What a check that found nothing wrong ends with."""
    values = Path(params.tuning.values)
    tuned = {
        f"{arch}-{size}-{method}": bool(
            tuned_values(values / f"{arch}-{size}-{method}.json", tuned_for(params, arch, size, method))
        )
        for arch, size, method in product(params.grid.archs, params.grid.sizes, params.grid.methods)
    }
    return [line for line in (*needs.summary(params), sentence(tuned)) if line]


def report() -> None:
    """Check the study of the working folder, and print what was found; nothing is made.

    Raises:
        StageError: every problem, one per line.
    """
    print("\n".join(told(check(Path("params.yaml"), tell=True))))


def run() -> None:
    planned = plans(check(Path("params.yaml"), tell=False))

    def write(folder: Path) -> None:
        for name, content in planned.items():
            stage.write_json(folder / f"{name}.json", content)

    stage.write_folder(paths.PLAN, write)
    grid = planned["grid"]
    print(f"validate: {len(grid['cells'])} students and {len(grid['teachers'])} teachers declared")


def _former(check: bool = False) -> None:
    with stage.main("validate", hide_faults=check):
        (report if check else run)()


if __name__ == "__main__":  # `python -m pipeline.validate [--check]`, which scripts of earlier versions call
    import typer

    typer.run(_former)
