"""What is wrong with data, gathered: one check names all of it, instead of the first only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from study.data.base import CorpusError

MOST_OF_A_KIND = 200
"""Lines that are shown of one kind of problem: more of them have one cause, and would hide the other kinds."""

T = TypeVar("T")


ROW = re.compile(r"(?P<file>[^:]*), row (?P<row>\d+): (?P<problem>.*)", re.DOTALL)


class Problems:
    """Lines for the user, each of a kind; kinds are named by their callers, `captions.csv, text` say.

    What is wrong with several rows in the same words is one line, which names the first and counts the others.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], str] = {}
        self._others: Counter[tuple[str, str]] = Counter()
        self._of_kind: Counter[str] = Counter()
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def add(self, problem: CorpusError | str, kind: str = "") -> None:
        """One more problem; an error of several lines counts as so many."""
        for line in str(problem).splitlines():
            self._total += 1
            found = ROW.fullmatch(line)
            key = (found["file"], found["problem"]) if found else ("", line)
            if key in self._first:
                self._others[key] += 1
                continue
            self._of_kind[kind] += 1
            if self._of_kind[kind] <= MOST_OF_A_KIND:
                self._first[key] = line

    def tried(self, kind: str, attempt: Callable[..., T], *values: object) -> T | None:
        """What `attempt` returns, or None where it raises CorpusError, which is added."""
        try:
            return attempt(*values)
        except CorpusError as error:
            self.add(error, kind)
            return None

    def lines(self) -> list[str]:
        """In the order in which they were met; of a kind with too many the number of the others."""
        rest = {kind: count - MOST_OF_A_KIND for kind, count in self._of_kind.items() if count > MOST_OF_A_KIND}
        shown = [
            line + (f" (and {self._others[key]:,} more rows)" if self._others[key] else "")
            for key, line in self._first.items()
        ]
        return shown + [f"{count:,} more problems of this kind: {kind}" for kind, count in rest.items()]

    def check(self) -> None:
        """Raises CorpusError, one line per problem, if there is any."""
        if len(self):
            raise CorpusError("\n".join(self.lines()))
