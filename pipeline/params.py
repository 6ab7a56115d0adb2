"""The values that a stage may read: those keys of params.yaml and resolved.json that dvc.yaml names for it.

DVC compares the same keys, so a stage cannot read a value whose change would not run it again. What changes no result
(`execution`), and what is read to find files (the grid's names), is read by `block` and `grid`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import paths, stage
from study.config import plain_yaml
from study.config.grid import cells, teacher_name
from study.config.params import Params
from study.names import hint

TEMPLATE = Path(__file__).parent / "template"
"""What the folder of a new study is made from; its stages are those of a folder without a dvc.yaml."""


class Values(Mapping[str, Any]):
    """Values by key, as dvc.yaml writes them: `teachers.clip`."""

    def __init__(self, stage_name: str, values: Mapping[str, Any]) -> None:
        self.stage, self._values = stage_name, dict(values)

    def __getitem__(self, key: str) -> Any:
        if key not in self._values:
            raise stage.StageError(
                f"{paths.DVC}: stage {self.stage} reads {key}, which is not among its params{hint(key, self._values)}"
            )
        return self._values[key]

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def of_stage(name: str, **item: Any) -> Values:
    """The values of the stage `name`, where its matrix has those `item` values.

    Raises:
        StageError: dvc.yaml lacks the stage, or a file lacks a key of it; the message names both.
    """
    values = _of_stage(name, item)
    _given.setdefault((Path.cwd(), name, tuple(sorted(item.items()))), values)
    return Values(name, values)


@contextmanager
def unchanged() -> Iterator[None]:
    """Refuse to end a stage well whose values have changed since it read them: DVC would record the new ones.

    Raises:
        StageError: some have; the message names them.
    """
    _given.clear()
    yield
    for (folder, name, item), before in _given.items():
        if folder == Path.cwd():
            now = _of_stage(name, dict(item))
            if changed := sorted(key for key, value in before.items() if now.get(key) != value):
                raise stage.StageError(
                    f"{', '.join(changed)} changed while the stage {name} ran; what it made is kept under the values "
                    "that it was made with: run `dvc repro` again"
                )


_given: dict[tuple[Path, str, tuple[tuple[str, Any], ...]], dict[str, Any]] = {}
"""What `of_stage` has given first in this process, by folder, stage and place in its matrix."""


def _of_stage(name: str, item: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for file, keys in _keys(name, item):
        content = _content(file)
        values |= {key: _value(content, key, file) for key in keys} if keys else content
    return values


def block(key: str) -> Any:
    """A block of params.yaml whose change runs nothing again; empty if it is left out."""
    if key not in (declared := _content(paths.PARAMS)) and not Params.model_fields[key].is_required():
        return {}
    return _value(declared, key, paths.PARAMS)


@dataclass(frozen=True)
class Grid:
    """The factors, and the names of all that they make."""

    study: str
    description: str
    archs: list[str]
    sizes: list[str]
    methods: list[str]
    seeds: list[int]

    @property
    def cells(self) -> list[str]:
        return [cell.name for cell in cells(self.archs, self.sizes, self.methods, self.seeds)]

    @property
    def teachers(self) -> list[str]:
        return [teacher_name(arch) for arch in self.archs]


def grid() -> Grid:
    """The grid that params.yaml declares.

    Raises:
        StageError: there is none.
    """
    study, factors = block("study"), block("grid")
    with from_file(paths.PARAMS):
        read = _Grid.model_validate({**dict(factors), **dict(study)})
    return Grid(read.name, read.description, read.archs, read.sizes, read.methods, read.seeds)


class _Grid(BaseModel):
    name: str
    description: str = ""
    archs: list[str]
    sizes: list[str]
    methods: list[str]
    seeds: list[int]


@contextmanager
def from_file(path: Path) -> Iterator[None]:
    """Where values of a file are validated; raises StageError, which names the file."""
    try:
        yield
    except (ValidationError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())[:500]
        raise stage.StageError(f"{path}: {said}; `small-polyglots check` says more") from None


def _keys(name: str, item: Mapping[str, Any]) -> Iterator[tuple[Path, list[str]]]:
    """Files and keys of the stage's `params`, with `${item.<name>}` filled in; no keys are the whole file."""
    stages = paths.DVC if paths.DVC.is_file() else TEMPLATE / "stages.yaml"
    declared = _content(stages).get("stages", {}).get(name)
    if declared is None:
        raise stage.StageError(f"{paths.DVC} has no stage {name}: copy the file that comes with this version")
    for entry in declared.get("params", []):
        (file, keys), *_ = entry.items() if isinstance(entry, dict) else [(str(paths.PARAMS), [entry])]
        yield Path(file), [re.sub(r"\$\{item\.(\w+)\}", lambda found: str(item[found[1]]), key) for key in keys or ()]


def _value(content: Any, key: str, file: Path) -> Any:
    found = content
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            remedy = "run `dvc repro`" if file == paths.RESOLVED else "`small-polyglots check` says what is missing"
            raise stage.StageError(f"{file} has no {key}: {remedy}")
        found = found[part]
    return found


def _content(file: Path) -> Any:
    try:
        state = file.stat()
    except FileNotFoundError:
        where = "run `dvc repro`" if file == paths.RESOLVED else f"{Path.cwd()} is not the folder of a study"
        raise stage.StageError(f"{file} is not there: {where}") from None
    return _read(file.resolve(), (state.st_mtime_ns, state.st_size, state.st_ino))


@lru_cache(maxsize=16)
def _read(file: Path, version: tuple[int, ...]) -> Any:
    """The content of that version of a file: a stage asks for each of its hundred cells."""
    if file.suffix == ".json":
        content = stage.read_json(file)
    elif file.name != paths.PARAMS.name:
        try:
            content = YAML(typ="safe").load(file)
        except YAMLError as error:
            raise stage.StageError(f"{file.name} is no YAML: {' '.join(str(error).split())}") from None
    else:
        try:
            content = plain_yaml.read(file)
        except plain_yaml.PlainYamlError as error:
            raise stage.StageError(f"{file.name}: {error}") from None
    if not isinstance(content, dict):
        raise stage.StageError(f"{file.name} is no mapping of names to values")
    return content
