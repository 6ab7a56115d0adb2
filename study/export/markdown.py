"""Text in a card: what others wrote stays text, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Sequence


def text(value: object) -> str:
    """A value on one line, from which no HTML, link, image or definition of a link begins.

    Names, descriptions and notes come from params.yaml and from the corpus, and who shows a card renders HTML in it.
    Code spans, emphasis and bare addresses stay.
    """
    line = " ".join(str(value).split())
    return re.sub(r"\](?=[(\[:])", r"]\\", line.replace("<", "&lt;"))


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of texts."""
    cells = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(text(cell).replace("|", "\\|") for cell in row) + " |" for row in cells)


def bullets(notes: Sequence[object]) -> str:
    """A list of texts."""
    return "\n".join(f"- {text(note)}" for note in notes)
