"""Kinds of input files: a small valid folder, the file in it that is mutated, how, and the reader behind a stage."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzzing import bytewise, textwise, treewise
from tests.fuzzing.outcome import Result, attempt

SECONDS = 30.0
"""Of a processor that a reader may take for a file of some kilobytes; a checkpoint's libraries take seconds."""

Way = Callable[[Random, bytes], bytes]
Later = Callable[[], Any]
"""What stages do afterwards with what was read; where the reader accepted it, this may not fail in any way."""


@dataclass(frozen=True)
class Kind:
    """write: makes the valid folder. file: of it, what is mutated. read: called in the folder."""

    name: str
    write: Callable[[Path], object]
    file: str
    way: Way
    read: Callable[[], Later | None]
    share: int = 1
    """How many of the files are of this kind, in proportion."""


def raw(random: Random, content: bytes) -> bytes:
    return bytewise.mutate(random, content)


def text(random: Random, content: bytes) -> bytes:
    if random.random() < 0.5:
        return raw(random, content)
    return textwise.mutate(random, content.decode("utf-8")).encode("utf-8", "surrogatepass")


def json_tree(random: Random, content: bytes) -> bytes:
    """Mostly JSON with something else in it; sometimes no JSON."""
    if random.random() < 0.3:
        return text(random, content)
    return _dumped(treewise.mutate(random, json.loads(content)))


def json_lines(random: Random, content: bytes) -> bytes:
    if random.random() < 0.3:
        return text(random, content)
    lines = content.splitlines()
    place = random.randrange(len(lines))
    lines[place] = _dumped(treewise.mutate(random, json.loads(lines[place])))
    return b"\n".join(lines) + b"\n"


def json_large(random: Random, content: bytes) -> bytes:
    """As `json_tree`, of a file like tokenizer.json whose values nearly all lie in one long list: keys above it are
    taken as often as entries of it."""
    if random.random() < 0.3:
        return raw(random, content)
    tree = json.loads(content)
    found = treewise.places(tree)
    short = [place for place in found if len(place[0]) < 50]
    here, key = random.choice(random.choice((found, short)))
    random.choice(treewise.MUTATIONS)(random, tree, here, key)
    return _dumped(tree)


def _dumped(tree: Any) -> bytes:
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")


_places: dict[tuple[Path, Callable[[Path], object]], Path] = {}


@dataclass(frozen=True)
class Mutated:
    kind: Kind
    content: bytes


def mutated(seed: int, number: int, kind: Kind, folder: Path) -> Mutated:
    """Case `number` of that kind; `folder` holds the valid one."""
    content = (folder / kind.file).read_bytes()
    return Mutated(kind, kind.way(Random(f"{seed}/{kind.name}/{number}"), content))


def lay_out(kind: Kind, folder: Path) -> Path:
    """The valid folder of a kind below `folder`, written once, for kinds that are written alike too."""
    place = _places.setdefault((folder, kind.write), folder / kind.name.replace(" ", "-").replace(",", ""))
    if not place.is_dir():
        making = place.with_name(f"{place.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        kind.write(making)
        making.rename(place)
    return place


def tried(case: Mutated, folder: Path) -> tuple[Result, Result | None]:
    """What the reader said, and, where it accepted the file, what came later. The valid file is put back."""
    file, kept = folder / case.kind.file, (folder / case.kind.file).read_bytes()
    try:
        file.write_bytes(case.content)
        with contextlib.chdir(folder):
            first = attempt(case.kind.read, SECONDS)
            then = attempt(first.value, SECONDS) if first.verdict == "accepted" and first.value is not None else None
    finally:
        file.write_bytes(kept)
    return first, then
