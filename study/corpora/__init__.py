"""The corpora: one file or folder each, registered here.

`corpus("emoji").build(...)` prepares one; `layout.PreparedCorpus` reads any prepared one.
"""

from __future__ import annotations

from typing import Any

from study.corpora.base import Corpus, CorpusError, CorpusSettings, Record, nearest
from study.corpora.emoji import CORPUS as EMOJI
from study.corpora.layout import PreparedCorpus

__all__ = ["CORPORA", "Corpus", "CorpusError", "CorpusSettings", "PreparedCorpus", "Record", "corpus"]

CORPORA: dict[str, Corpus[Any]] = {entry.record.name: entry for entry in (EMOJI,)}


def corpus(name: str) -> Corpus[Any]:
    """The corpus called `name`; an unknown name is refused with the nearest known one."""
    if name not in CORPORA:
        raise CorpusError(f"unknown corpus {name!r}; {nearest(name, CORPORA)}")
    return CORPORA[name]
