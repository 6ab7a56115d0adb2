"""Mutated params.yaml files of this repository's studies, checked as `python -m pipeline check` does."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from ruamel.yaml import YAML

from pipeline import validate
from pipeline.sources import ROOT
from study.config.params import Params
from tests import miniature
from tests.fuzzing import bytewise, textwise, treewise
from tests.fuzzing.outcome import Result, attempt

SECONDS = 5.0
"""Of a processor that a check may take."""
WEIGHTS = {"default": 5, "smoke": 5, "paper": 2, "miniature": 2}
"""How often a study is the one that is mutated."""


def declared(study: str) -> Path:
    """The study's params.yaml."""
    return (ROOT if study == "default" else ROOT / "studies" / study) / "params.yaml"


@cache
def base(study: str) -> str:
    """The text of the study's params.yaml, for a folder outside this tree."""
    lines = declared(study).read_text(encoding="utf-8").split("\n")
    return "\n".join(f"root: {ROOT}" if line.startswith("root:") else line for line in lines)


@cache
def tree(study: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = YAML(typ="safe", pure=True).load(base(study))
    return found


def lay_out(folder: Path, studies: Mapping[str, int] = WEIGHTS) -> None:
    """A folder for each study below `folder`, with what its params.yaml names; of the paper's models and data nothing
    is there."""
    for study in studies:
        place = folder / study
        for values in ("tuning", "tuning/values"):
            (place / values).mkdir(parents=True, exist_ok=True)
        if study == "miniature":
            miniature.write(place)


@dataclass(frozen=True)
class Mutant:
    """A params.yaml and the study that it was made from."""

    study: str
    content: bytes


def mutant(seed: int, number: int, studies: Mapping[str, int] = WEIGHTS) -> Mutant:
    """Case `number`."""
    random = Random(f"{seed}/params/{number}")
    study = random.choices(list(studies), list(studies.values()))[0]
    way = random.random()
    if way < 0.1:
        return Mutant(study, bytewise.mutate(random, base(study).encode()))
    if way < 0.4:
        return Mutant(study, textwise.mutate(random, base(study)).encode("utf-8", "surrogatepass"))
    changes = treewise.GENTLE if way < 0.65 else treewise.MUTATIONS
    return Mutant(study, dumped(treewise.mutate(random, dict(tree(study)), changes)))


def dumped(content: Any) -> bytes:
    """As YAML in UTF-8."""
    stream = io.BytesIO()
    try:
        YAML(typ="safe", pure=False).dump(content, stream)
    except (TypeError, UnicodeError):  # libyaml writes no half of a surrogate pair
        stream = io.BytesIO()
        YAML(typ="safe", pure=True).dump(content, stream)
    return stream.getvalue()


def checked(folder: Path, mutated: Mutant) -> Result:
    """What the check says of it, put into its study's folder; the value of an accepted one is its `Params`."""
    place = folder / mutated.study
    (place / "params.yaml").write_bytes(mutated.content)

    def check() -> Params:
        params = validate.check(Path("params.yaml"), tell=True)
        validate.told(params)
        return params

    with contextlib.chdir(place):
        return attempt(check, SECONDS)
