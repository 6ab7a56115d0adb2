"""The JSON Schema of params.yaml: what editors are told is what the strict reader does."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pipeline.sources import ROOT
from study.config import json_schema, plain_yaml, reference

STUDIES = [ROOT / "params.yaml", *sorted((ROOT / "studies").glob("*/params.yaml"))]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return json_schema.json_schema()


def problems(found: dict[str, Any], params: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(found).iter_errors(params)]


def test_it_is_a_schema(found: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(found)


def test_the_committed_file_is_up_to_date() -> None:
    written = (ROOT / "params.schema.json").read_text(encoding="utf-8")
    assert written == json_schema.text(), "make schema writes it anew"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.parent.name)
def test_every_study_is_valid_and_names_the_schema(path: Path, found: dict[str, Any]) -> None:
    assert problems(found, plain_yaml.read(path)) == []
    key, _, where = path.read_text(encoding="utf-8").splitlines()[0].partition("$schema=")
    assert key == "# yaml-language-server: "
    assert (path.parent / where).resolve() == ROOT / "params.schema.json"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gird", {}),
        ("grid.sedes", [0]),
        ("grid.seeds", [-1]),
        ("corpus.name", "emojis"),
        ("corpus.settings.concept", 3),
        ("corpus.settings.kinds.what", "many"),
        ("teachers.clip.family", "clib"),
        ("teachers.clip.training.lr", 0.1),
        ("students.training.batch", 1),
        ("students.towers", "image"),
        ("sizes.half", 1.5),
        ("methods.mcl.mcl.taw", 0.1),
        ("methods.mcl.mlc", {}),
        ("methods.fd", {}),
        ("methods.fd-x", {"fd": {}}),
        ("analysis.primary", ["retreival"]),
        ("execution.device", "gpu"),
    ],
)
def test_what_is_wrong_is_underlined(key: str, value: Any, found: dict[str, Any]) -> None:
    params = copy.deepcopy(plain_yaml.read(ROOT / "params.yaml"))
    *parents, last = key.split(".")
    block = params
    for parent in parents:
        block = block[parent]
    block[last] = value
    assert problems(found, params)


def fields(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    blocks = {"params.yaml": found, **found["$defs"]}
    for block, node in blocks.items():
        yield from ((f"{block}.{key}", field) for key, field in node["properties"].items())


def test_every_key_says_what_it_means(found: dict[str, Any]) -> None:
    silent = [key for key, field in fields(found) if "description" not in field and "$ref" not in field]
    assert silent == []


def test_the_reference_has_every_key(found: dict[str, Any]) -> None:
    text = reference.markdown(found)
    lost = [
        key for key, _ in fields(found) if f"| `{key.rpartition('.')[2]}` |" not in text and "params.yaml" not in key
    ]
    assert lost == []
    assert all(f"\n## {block}\n" in text for block in found["properties"] if block != "root")
