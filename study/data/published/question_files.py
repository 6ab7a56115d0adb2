"""Files of questions and their images, as errors about them should read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from study import places
from study.data.base import CorpusError, nearest
from study.data.published.sources import Image, Part
from study.data.published.text_lines import read_bytes


def local_folder(part: Part, layout: str) -> Path:
    """The folder of a local part; `layout` says what is to be in it. Raises CorpusError: there is none."""
    folder = Path(str(part.path))
    if not folder.is_dir():
        raise CorpusError(f"{part.source}: there is no folder {folder}; it should hold {layout}")
    return folder


def read_json(file: Path) -> Any:
    """A JSON file; the keys that a question's object stands under must not repeat.

    Raises:
        CorpusError: it is missing, not whole, not UTF-8, a pointer of git-lfs, or has a question twice.
    """
    content = read_bytes(file)
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CorpusError(f"{file}, line {line}: not UTF-8: {error.reason}") from None
    except RecursionError:
        raise CorpusError(f"{file}: not a whole JSON file: its values lie too deep in one another") from None
    except _TwiceError as error:
        raise CorpusError(f"{file}: question {error.args[0]!r} is duplicated") from None
    except ValueError as error:
        raise CorpusError(f"{file}: not a whole JSON file: {error}") from None


def image_of(folder: Path, key: str, where: str) -> Image:
    """The image file images/<key>.jpg; raises CorpusError if it is not there."""
    file = folder / "images" / f"{key}.jpg"
    # A key is a name, not a path: one with separators must not lead out of the folder.
    if Path(key).name != key or not places.is_file(file):
        beside = [entry.stem for entry in file.parent.glob("*.jpg")] if file.parent.is_dir() else []
        hint = nearest(key, beside) if 0 < len(beside) <= MOST_HINTED else f"it holds {len(beside)} .jpg files"
        raise CorpusError(f"{where}: there is no image {key}.jpg in {file.parent}; {hint}")
    return Image(key, f"{where}, image {file}", partial(read_bytes, file))


MOST_HINTED = 20
"""Names in a folder that are looked through for a hint."""


class Entry:
    """An object of a JSON file, asked for its fields by name."""

    def __init__(self, where: str, values: Any) -> None:
        self.where, self.values = where, values
        if not isinstance(values, Mapping):
            raise self.error(f"{_shown(values)} is no object")

    def error(self, problem: str) -> CorpusError:
        return CorpusError(f"{self.where}: {problem}")

    def text(self, name: str) -> str:
        """A text that is not empty."""
        return self._get(name, lambda value: isinstance(value, str) and bool(value.strip()), "a text")

    def texts(self, name: str) -> list[str]:
        """A list of texts, none of them empty."""

        def whole(value: Any) -> bool:
            return isinstance(value, list) and all(isinstance(text, str) and text.strip() for text in value)

        found: list[str] = self._get(name, whole, "a list of texts")
        return found

    def objects(self, name: str) -> list[Any]:
        found: list[Any] = self._get(name, lambda value: isinstance(value, list), "a list")
        return found

    def flag(self, name: str) -> bool:
        """True or false; some files hold them as texts."""
        known = {True: True, False: False, "true": True, "false": False, "True": True, "False": False}
        value = self._get(name, lambda value: isinstance(value, bool | str) and value in known, "true or false")
        return known[value]

    def entry(self, name: str) -> Entry:
        return Entry(f"{self.where}, {name!r}", self._get(name, lambda value: True, "an object"))

    def _get(self, name: str, fits: Callable[[Any], bool], kind: str) -> Any:
        if name not in self.values:
            raise self.error(
                f"it has no {name!r}; {nearest(name, map(str, self.values)) if self.values else 'it is empty'}"
            )
        value = self.values[name]
        if not fits(value):
            raise self.error(f"{name!r} is {_shown(value)}, it must be {kind}")
        return value


class _TwiceError(Exception):
    """A question's id is duplicated."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, value in pairs if isinstance(value, Mapping) and "question" in value]
        if repeated := next((name for name in names if names.count(name) > 1), None):
            raise _TwiceError(repeated)
    return found


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
