"""Stage `validate`: params.yaml is checked whole before anything runs, and taken apart into plans.

plan/<stage>-<what>.json holds exactly what one stage may know: its declaration and the hash of its
code. DVC re-runs what depends on a plan that changed, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import paths, stage
from pipeline.sources import ROOT, code_hash
from study.corpora import corpus as find_corpus
from study.design import cells, teacher_name
from study.params import Params, load
from study.towers import FAMILIES

REGISTRIES = ("study.objectives", "study.towers", "study.corpora", "study.params")
"""Adding an entry to one of these changes no plan that does not name it."""


def plans(params: Params) -> dict[str, Any]:
    """Plan name to content."""
    grid = params.grid
    corpus = find_corpus(params.corpus.name)
    record, wanted = corpus.record, params.corpus
    declared: dict[str, Any] = {
        "corpus": {
            "name": wanted.name,
            "languages": list(record.languages) if wanted.languages == "all" else wanted.languages,
            "vqa_languages": list(record.vqa_languages) if wanted.vqa_languages == "all" else wanted.vqa_languages,
            "settings": corpus.Settings.model_validate(wanted.settings).model_dump(mode="json"),
            "code": _corpus_code(wanted.name),
        },
        "evaluation": {**params.evaluation.model_dump(), "code": _code("study.evaluation")},
        "grid": {
            "study": params.study.name,
            "description": params.study.description,
            **grid.model_dump(),
            "cells": [cell.name for cell in cells(grid.archs, grid.sizes, grid.methods, grid.seeds)],
            "teachers": [teacher_name(arch) for arch in grid.archs],
        },
        "students": {
            "spec": params.students.model_dump(),
            "sizes": {size: params.sizes[size] for size in {*grid.sizes, params.tuning.size}},
            "methods": {method: params.methods[method] for method in grid.methods},
        },
        "collect": {"code": code_hash(["pipeline.collect"])},
        "publish": {"code": code_hash(["pipeline.publish"])},
        "analysis": {
            **params.analysis.model_dump(),
            "study": params.study.name,
            "description": params.study.description,
            "code": code_hash(["analysis.__main__"], data=[ROOT / "analysis" / "templates"]),
        },
    }
    layers = any(options.get("layers") for m in grid.methods for options in params.methods[m].values())
    for arch in grid.archs:
        spec = params.teachers[arch]
        code = _code("study.teacher", family=spec.family)
        declared[f"teacher-{arch}"] = {"arch": arch, "spec": spec.model_dump(), "code": code}
        code = _code("study.embedding", family=spec.family)
        declared[f"embed-{arch}"] = {"arch": arch, "layers": layers, "code": code}
    for arch in grid.archs:
        for method in grid.methods:
            declared[f"tune-{arch}-{method}"] = _tuning(params, arch, method)
    return declared


def _code(module: str, family: str | None = None) -> str:
    roots = [module] if family is None else [module, FAMILIES[family].partition(":")[0]]
    return code_hash(roots, data=[ROOT / "study" / "towers" / "configs"], without=REGISTRIES)


def _corpus_code(name: str) -> str:
    package = ROOT / "study" / "corpora" / name
    data = [p for p in package.rglob("*") if p.is_file() and p.suffix != ".py"] if package.is_dir() else []
    return code_hash([f"study.corpora.{name}"], data=sorted(data), without=REGISTRIES)


def _tuning(params: Params, arch: str, method: str) -> Mapping[str, Any]:
    tuning = params.tuning
    return {
        "arch": arch,
        "method": method,
        "size": tuning.size,
        "fraction": params.sizes[tuning.size],
        "seeds": tuning.seeds,
        "trials": tuning.trials,
        "learning_rate": tuning.learning_rate,
        "search": tuning.search.get(method, {}),
        "objectives": params.methods[method],
        "spec": params.students.model_dump(),
    }


def main() -> None:
    with stage.main("validate"):
        params = load(Path("params.yaml"))
        declared = plans(params)

        def write(folder: Path) -> None:
            for name, content in declared.items():
                stage.write_json(folder / f"{name}.json", content)

        stage.write_folder(paths.PLAN, write)
        grid = declared["grid"]
        print(f"validate: {len(grid['cells'])} students and {len(grid['teachers'])} teachers declared")


if __name__ == "__main__":
    main()
