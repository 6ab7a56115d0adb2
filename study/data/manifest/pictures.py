"""The image files that the user's tables name: looked at, all of them, and then kept or made squares of pixels."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from study import places
from study.data.images import Broken, ImageError, look, whole
from study.data.manifest.contents import Contents
from study.data.manifest.tables import Row
from study.data.pictures import Fit
from study.data.problems import Problems
from study.names import nearest

MOST_HEADERS = 5_000
"""Files that the check of a declaration looks at; all of them are looked at before anything is written."""
MOST_DECODED = 8_000_000
"""Pixels, of all images together: so few are decoded by the check as well, in a quarter of a second."""
MOST_LISTED = 2_000
"""Names of a folder that are looked through for the one that was meant."""


@dataclass
class Looked:
    """What became of the images: those that cannot be used, and what the card counts of the others."""

    broken: dict[str, str] = field(default_factory=dict)
    """Path -> what it is counted as."""
    digests: dict[str, bytes] = field(default_factory=dict)
    """Path -> sha256 of the file, where it was decoded."""
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def left_out(self) -> dict[str, int]:
        """How many images cannot be used, by kind."""
        return dict(sorted(Counter(self.broken.values()).items()))


def glance(contents: Contents, broken: Broken, problems: Problems) -> Looked:
    """What can quickly be known of the images: whether they are there, their headers, a few decoded.

    What is wrong is added to `problems` if broken images are refused, in the order of the tables.
    """
    rows = _first_rows(contents)
    found, pixels, there = Looked(), 0, _Folders()
    for number, (path, row) in enumerate(rows.items()):
        try:
            there.check(path, row)
            if number < MOST_HEADERS:
                seen = look(path, decoded=False)
                pixels += seen.width * seen.height
        except ImageError as error:
            _refuse(found, path, row, error, broken, problems)
    if len(rows) <= MOST_HEADERS and pixels <= MOST_DECODED:
        for path, row in rows.items():
            if path not in found.broken:
                try:
                    look(path, decoded=True)
                except ImageError as error:
                    _refuse(found, path, row, error, broken, problems)
    return found


def survey(contents: Contents, broken: Broken, problems: Problems, tell: Callable[[float], None]) -> Looked:
    """All of the images, decoded; what is wrong is added to `problems` if broken images are refused.

    Likewise, whatever `broken` says, one content in two splits. `tell` is called with the share that is done.
    """
    rows, splits = _first_rows(contents), {use.image: use.split for use in contents.rows()}
    found, owner, there = Looked(), dict[bytes, str](), _Folders()
    for number, (path, row) in enumerate(rows.items()):
        tell(number / len(rows))
        try:
            there.check(path, row)
            content = _read(path)
            _, seen = whole(content)
        except ImageError as error:
            _refuse(found, path, row, error, broken, problems)
            continue
        found.notes.update(seen.notes)
        digest = found.digests[path] = hashlib.sha256(content).digest()
        other = owner.setdefault(digest, path)
        if splits[other] != splits[path]:
            problems.add(
                row.error(
                    f"image {path} of split {splits[path]!r} is the same file as in {rows[other]} ({other}), split "
                    f"{splits[other]!r}"
                ),
                "one image in two splits",
            )
    return found


def load(path: str, canvas: int, row: Row) -> np.ndarray:
    """uint8 [canvas, canvas, 3] of an image file: the shorter side is resized (bicubic) and the middle kept.

    Raises:
        CorpusError: it cannot be used; names `row`.
    """
    try:
        image, _ = whole(_read(path))
    except ImageError as error:
        raise row.error(f"image {path} {error}") from None
    return Fit(canvas)(image)


def keep(path: str, digest: bytes, row: Row) -> bytes:
    """The bytes of an image file that was looked at; raises CorpusError if it has changed since."""
    content = Path(path).read_bytes()
    if hashlib.sha256(content).digest() != digest:
        raise row.error(f"image {path} has changed while the corpus was prepared: prepare it again")
    return content


def _first_rows(contents: Contents) -> dict[str, Row]:
    """Each image's path, and the row that names it first."""
    first: dict[str, Row] = {}
    for use in contents.rows():
        first.setdefault(use.image, use.row)
    return first


def _refuse(found: Looked, path: str, row: Row, error: ImageError, broken: Broken, problems: Problems) -> None:
    found.broken[path] = error.kind
    # A pointer says that the data were not fetched: leaving all of them out would hide it.
    if broken == "refuse" or error.kind == POINTER:
        space = "" if error.kind == MISSING else f"image {path} "
        problems.add(row.error(f"{space}{error}"), f"images: {error.kind}")


MISSING, POINTER = "missing", "git-lfs pointer"


class _Folders:
    """The names in the folders of the images, each folder listed once, for the name that was meant."""

    def __init__(self) -> None:
        self._names: dict[Path, list[str]] = {}

    def check(self, path: str, row: Row) -> None:
        """Raises ImageError, with the nearest name as the table would have it, if there is no such file."""
        if places.is_file(Path(path)):
            return
        wanted = Path(path.replace("\\", "/"))  # as Windows writes paths
        if wanted.parent not in self._names:
            self._names[wanted.parent] = _listed(wanted.parent)
        close = nearest(wanted.name, self._names[wanted.parent])
        meant = f"; did you mean {wanted.with_name(close).relative_to(Path(row.file).parent)}?" if close else ""
        raise ImageError(MISSING, f"there is no image {path}{meant}")


def _listed(folder: Path) -> list[str]:
    try:
        names = [entry.name for entry in folder.iterdir()]
    except (OSError, ValueError):
        return []
    return names if len(names) <= MOST_LISTED else []


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ImageError("not readable", f"cannot be read: {error.strerror}") from None
