"""The image files of published data sets, looked at one by one while they stream by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from study.data.base import CorpusError
from study.data.images import Broken, ImageError, whole
from study.data.problems import Problems


@dataclass
class Gallery:
    """Says of each image whether it can be used, and remembers what cannot."""

    broken: Broken
    problems: Problems = field(default_factory=Problems)
    """Those that are refused; the caller raises them when it has seen everything."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Images that cannot be used, by kind."""
    notes: Counter[str] = field(default_factory=Counter)
    """What the card counts of the others."""

    def usable(self, content: bytes, where: str) -> bool:
        """Whether the image can be used; otherwise it is counted, and named if it is refused."""
        try:
            _, seen = whole(content)
        except ImageError as error:
            self.left_out[error.kind] += 1
            if self.broken == "refuse" or error.kind == "git-lfs pointer":
                self.problems.add(CorpusError(f"{where}: the image {error}"), f"images: {error.kind}")
            return False
        self.notes.update(seen.notes)
        return True
