"""Imports go one way: pipeline -> study, analysis; analysis -> the contract in study; study -> neither."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from pipeline.sources import ROOT, imports, module_file

FILES = {package: sorted((ROOT / package).rglob("*.py")) for package in ("study", "pipeline", "analysis")}


def names(package: str) -> list[tuple[Path, str]]:
    return [(file, name) for file in FILES[package] for name in imports(file)]


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("study", ("pipeline", "analysis", "mlflow", "dvc", "optuna", "tests")),
        ("analysis", ("pipeline", "torch", "transformers", "open_clip", "mlflow", "dvc", "optuna", "tests")),
        ("pipeline", ("tests",)),
    ],
)
def test_no_import_goes_the_wrong_way(package: str, forbidden: tuple[str, ...]) -> None:
    wrong = [f"{file.name}: {name}" for file, name in names(package) if name.split(".")[0] in forbidden]
    assert wrong == []


def test_of_study_the_analysis_knows_the_contract_only() -> None:
    known = {name for _, name in names("analysis") if name.startswith("study.") and module_file(name) is not None}
    assert known <= {"study.records", "study.measures", "study.objectives.displays"}


def test_mlflow_is_imported_by_one_module() -> None:
    users = {file.name for file, name in names("pipeline") if name.split(".")[0] == "mlflow"}
    assert users == {"tracker.py"}


ARROWS: Mapping[str, set[str]] = {
    "data": set(),
    "models": {"data"},
    "objectives": {"models"},
    "config": {"data", "models", "objectives"},
    "distill": {"config", "data", "models", "objectives"},
    "eval": {"data", "models"},
    "export": {"data", "models"},
}
"""Packages of study/, and those of them that each may import; the modules beside them import none."""


def package(name: str) -> str | None:
    """The part of study/ or analysis/ that a module is in; None for another module."""
    parts = name.split(".")
    return parts[1] if parts[0] in FILES and len(parts) > 1 else None


def test_the_packages_of_study_import_each_other_one_way() -> None:
    for file in FILES["study"]:
        own = package(module(file))
        imported = {
            package(name) for name in imports(file) if module_file(name) is not None and name.startswith("study.")
        }
        further = imported - {own, None} - {path.stem for path in (ROOT / "study").glob("*.py")}
        assert further <= ARROWS.get(own or "", set()), f"{module(file)} imports {sorted(map(str, further))}"


@pytest.mark.parametrize("top", ["study", "analysis", "study.models"])
def test_there_is_no_cycle_between_packages(top: str) -> None:
    def part(name: str) -> str | None:
        inside = name.startswith(f"{top}.")
        return name.removeprefix(f"{top}.").partition(".")[0] if inside else None

    graph: dict[str, set[str]] = {}
    for file in FILES[top.split(".")[0]]:
        if (own := part(module(file))) is not None:
            found = {part(name) for name in imports(file) if module_file(name) is not None}
            graph.setdefault(own, set()).update(name for name in found if name not in (None, own))
    assert_no_cycle(graph)


def module(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_there_is_no_cycle_between_modules() -> None:
    graph = {}
    for files in FILES.values():
        for file in files:
            targets = {name for name in imports(file) if module_file(name) is not None}
            # `from package.module import name` also names the package, which is no dependency on its __init__.
            graph[module(file)] = {
                t for t in targets if module_file(t) != file and not (t + ".").startswith(module(file) + ".")
            }
    assert_no_cycle(graph)


def assert_no_cycle(graph: Mapping[str, Collection[str]]) -> None:
    done: set[str] = set()

    def visit(node: str, path: tuple[str, ...]) -> None:
        assert node not in path, " -> ".join([*path, node])
        if node not in done:
            for target in graph.get(node, ()):
                visit(target, (*path, node))
            done.add(node)

    for node in graph:
        visit(node, ())


@pytest.mark.parametrize("module", ["pipeline.work.distil", "pipeline.work.score", "pipeline.work.teach"])
def test_a_cell_that_only_adopts_imports_no_heavy_library(module: str) -> None:
    script = (
        f"import sys, pipeline.__main__, pipeline.carry, {module}; "
        "print([m for m in ('torch', 'transformers', 'mlflow', 'pandas') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.strip() == "[]"


def test_the_schema_of_params_is_imported_at_once_and_without_heavy_libraries() -> None:
    heavy = ("torch", "numpy", "pandas", "transformers", "open_clip", "datasets", "tokenizers")
    script = (
        "import study.config.params, resource, sys; used = resource.getrusage(resource.RUSAGE_SELF); "
        f"print([m for m in {heavy} if m in sys.modules], used.ru_utime + used.ru_stime)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded, seconds = out.stdout.rsplit(" ", 1)
    assert loaded == "[]"
    assert float(seconds) < 0.6  # of a core, whatever else the machine does
