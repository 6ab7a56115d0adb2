"""Errors about names: what was asked for, what there is, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

MOST_NAMED, CLOSEST = 60, 10
"""More names than that, open_clip's models for one, are not listed: the closest of them are."""


class UnknownNameError(ValueError):
    """A name is not one of those that exist; the message says which are, nearest first."""

    def __init__(self, kind: str, name: str, known: Collection[str], where: str = "") -> None:
        self.given = (kind, name, sorted(known), where)
        at = f" ({where})" if where else ""
        super().__init__(f"unknown {kind} {name!r}{at}{hint(name, known)}")

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, list[str], str]]:
        return type(self), self.given  # a worker's error travels to the pool


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, if any is close."""
    lowered = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(str(name).lower(), list(lowered), n=1, cutoff=0.5)
    return lowered[found[0]] if found else None


def hint(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'? Allowed: ...` for the end of an error message; of very many names the closest ones."""
    names = sorted(known)
    close = nearest(name, names)
    meant = f"; did you mean {close!r}?" if close else ""
    return f"{meant} Allowed: {_listed(str(name), names) if names else 'none'}"


def _listed(name: str, names: list[str]) -> str:
    if len(names) <= MOST_NAMED:
        return ", ".join(names)
    shown = difflib.get_close_matches(name, names, n=CLOSEST, cutoff=0.0)
    return f"{', '.join(shown)} and {len(names) - len(shown)} more"
