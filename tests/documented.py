"""Code blocks of the documentation that name a file: read, and put where they say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.sources import ROOT

BLOCK = re.compile(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block with a title: its language, the file that it is for, its text."""

    language: str
    file: str
    text: str


def blocks(page: str) -> list[Block]:
    """The titled blocks of a page of docs/, in order."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [Block(*match.groups()) for match in BLOCK.finditer(text)]


def apply(page: str, tree: Path) -> None:
    """Do in `tree` what a page says: write its Python files, make its changes."""
    for block in blocks(page):
        path = tree / block.file
        if block.language == "python":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "diff":
            path.write_text(changed(path.read_text(encoding="utf-8"), block.text), encoding="utf-8")


def changed(text: str, diff: str) -> str:
    """`text` with the lines of a diff without line numbers: ` ` is found, in order, `-` removed, `+` put in.

    Raises:
        ValueError: a line that should be there is not, or not below the one before it.
    """
    lines, at = text.splitlines(), 0
    for line in diff.splitlines():
        sign, content = line[:1] or " ", line[1:]
        if sign == "+":
            lines.insert(at, content)
            at += 1
            continue
        if not content and sign == " ":
            continue
        at = lines.index(content, at) + 1
        if sign == "-":
            at -= 1
            del lines[at]
    return "\n".join(lines) + "\n"
