"""A YAML file that people write, read strictly and within bounds: no file can stall or crash its reader.

DVC reads params.yaml too, by libyaml; what its parser takes for something else is refused here.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

BYTES = 200_000
"""Of the file, at most."""
DEPTH = 20
"""Of blocks within blocks."""
VALUES = 20_000
"""In all; what an alias stands for counts each time."""
LETTERS = 10_000
"""Of a text."""
WHOLE = 2**63
"""Whole numbers are smaller: they go into columns of 64 bits."""

Place = tuple[str | int, ...]


class PlainYamlError(ValueError):
    """The file cannot be used; one line for each thing that is wrong, without the file's name."""


def read(path: Path) -> Any:
    """The file's content: mappings with texts as keys, lists, texts, finite numbers, booleans and null.

    Raises:
        PlainYamlError: there is no such file, it is no YAML in UTF-8, or it holds something else or too much.
    """
    text = _text(path)
    _check_nesting(text)
    content = _parsed(text, pure=True)
    problems = _problems(content)
    if not problems and repr(_parsed(text, pure=False)) != repr(content):
        problems.append("is read in two ways: leave out %YAML lines and other rare forms")
    if problems:
        raise PlainYamlError("\n".join(problems))
    return content


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(BYTES + 1)
    except FileNotFoundError:
        raise PlainYamlError("no such file") from None
    except OSError as error:
        raise PlainYamlError(f"cannot be read: {error.strerror}") from None
    if len(content) > BYTES:
        raise PlainYamlError(f"is larger than {BYTES:,} bytes, which is no file that people write")
    if content.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        raise PlainYamlError("starts with a byte order mark: save it as UTF-8 without one")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PlainYamlError(
            f"is not UTF-8 (line {line}, byte 0x{content[error.start]:02x}): save it as UTF-8"
        ) from None


def _check_nesting(text: str) -> None:
    """Refuse what would take the parser minutes; brackets in texts and comments count, so the bound is generous."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    if deepest > 10 * DEPTH or re.search(rf"^ *(?:[-?] +){{{10 * DEPTH}}}", text, re.MULTILINE):
        raise PlainYamlError(f"blocks lie more than {DEPTH} deep in one another")


def _parsed(text: str, *, pure: bool) -> Any:
    try:
        return YAML(typ="safe", pure=pure).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        raise PlainYamlError(f"{shown(error.problem or error.context or 'no YAML')}{place}") from None
    except RecursionError:
        raise PlainYamlError(f"blocks lie more than {DEPTH} deep in one another") from None
    except (YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Of a date that is none or a number of 5,000 digits the library raises Python's own errors.
        raise PlainYamlError(f"holds a value that cannot be read: {shown(error)}") from None


def _problems(content: Any) -> list[str]:
    """What no declaration may hold, wherever it stands; at most a few lines of it."""
    found: list[str] = []
    letters = 0
    for values, (place, value) in enumerate(_walk(content, ()), start=1):
        letters += len(value) if isinstance(value, str) else 0
        if values > VALUES or letters > BYTES:
            return [f"holds more than {VALUES:,} values or {BYTES:,} letters, those that aliases repeat included"]
        key = ".".join(map(str, place)) or "the file"
        if len(place) > DEPTH:
            return [f"{shown(key)}: blocks lie more than {DEPTH} deep in one another"]
        if (problem := _problem(value)) is not None and len(found) < 20:
            found.append(f"{shown(key)} {problem}")
    return found


def _walk(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    yield place, value
    if len(place) > DEPTH:
        return
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if not isinstance(key, str) or _problem(key) is not None:
                yield (*place, shown(repr(key))), _BadKey()
            else:
                yield from _walk(entry, (*place, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _walk(entry, (*place, index))


class _BadKey:
    """Stands for a value whose key cannot be used."""


def _problem(value: Any) -> str | None:
    """What is wrong with a single value, in words after its key."""
    if isinstance(value, _BadKey):
        return "is a key, and keys are plain texts: put it in quotes"
    if isinstance(value, str):
        if len(value) > LETTERS:
            return f"has {len(value):,} letters, at most {LETTERS:,} are allowed"
        if odd := next((c for c in value if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"), None):
            return f"holds the control character U+{ord(odd):04X}"
        return None
    if isinstance(value, int) and not -WHOLE < value < WHOLE:
        return "is a whole number that 64 bits cannot hold"
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}: must be a finite number"
    if value is None or isinstance(value, bool | int | float | list | dict):
        return None
    return f"is a {type(value).__name__}, which YAML made of it: put it in quotes"


def shown(value: object) -> str:
    """A value in one line, shortened."""
    text = " ".join(str(value).split())
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= 120 else f"{text[:117]}..."
