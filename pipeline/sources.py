"""Which source files a module is made of, and one hash over them.

A plan carries the hash of the code that will carry it out, so that a stage runs again when code it
uses has changed, and not when a neighbour's has. Comments, docstrings and layout carry nothing out and do not count.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("study", "pipeline", "analysis")


class SourceError(ValueError):
    """The code that would carry out a plan is not to be found, so a plan could not follow its changes."""


def module_file(module: str) -> Path | None:
    """The file of one of our modules; None for a name that is no module of ours."""
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if module.split(".")[0] in PACKAGES and candidate.is_file():
            return candidate
    return None


def imports(file: Path) -> set[str]:
    """Every name that a file imports, at its top or within a function, as dotted candidates."""
    return set(_imported(file, file.read_text(encoding="utf-8")))


@lru_cache(maxsize=1024)
def _imported(file: Path, text: str) -> frozenset[str]:
    """`imports` of a file with that text: a plan is made of dozens of hashes, and parsing takes most of their time."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(file, node.level, node.module)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def _absolute(file: Path, level: int, module: str | None) -> str:
    """The module that `from ..module import` in `file` means; `level` is the number of dots."""
    if level == 0:
        return module or ""
    package = file.relative_to(ROOT).parent.parts
    return ".".join([*package[: len(package) - level + 1], *([module] if module else [])])


def closure(modules: Iterable[str], without: Iterable[str] = ()) -> list[Path]:
    """Files of `modules` and of everything of ours that they import, however far.

    Modules in `without` are not followed: registries, whose entries are named by the plan.
    """
    stopped, seen, todo = set(without), set(), list(modules)
    files: set[Path] = set()
    while todo:
        module = todo.pop()
        file = module_file(module)
        if module in seen or module in stopped or file is None:
            continue
        seen.add(module)
        files.add(file)
        todo.extend(imports(file))
    return sorted(files)


@lru_cache(maxsize=1024)
def _carried_out(text: str) -> bytes:
    """The syntax tree of a file with that text, without docstrings and the descriptions of pydantic's fields.

    Other versions of Python may write the same tree differently, and then everything runs again once.
    """
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [statement for statement in body if not _says_only(statement)]  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Field":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
    return ast.dump(tree).encode()


def _says_only(statement: ast.stmt) -> bool:
    """Whether this is a text that stands by itself: a docstring of a module, a class, a function or a name."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def code_hash(modules: Iterable[str], data: Iterable[Path] = (), without: Iterable[str] = ()) -> str:
    """One hash over the closure of `modules` and over data files or folders.

    Raises:
        SourceError: one of `modules` has no file in this project.
    """
    modules, digest = list(modules), hashlib.sha256()
    if lost := [module for module in modules if module_file(module) is None]:
        raise SourceError(
            f"no file of {', '.join(lost)} in {', '.join(f'{name}/' for name in PACKAGES)}: it would be run, and "
            "nothing would run again after a change of it"
        )
    files = list(closure(modules, without))
    for path in data:
        files += [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        if "__pycache__" not in file.parts:
            content = _carried_out(file.read_text(encoding="utf-8")) if file.suffix == ".py" else file.read_bytes()
            digest.update(f"{file.relative_to(ROOT).as_posix()}\0".encode() + content + b"\0")
    return digest.hexdigest()[:32]
