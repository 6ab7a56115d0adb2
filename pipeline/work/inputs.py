"""What tasks read: the corpus, the teachers and their outputs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import paths, stage

if TYPE_CHECKING:
    from study.data.prepared import PreparedCorpus
    from study.models.dual_encoder import DualEncoder


def corpus_content() -> str:
    """The corpus's own hash over all its files."""
    content: str = stage.read_json(paths.CORPUS / "corpus.json", content=str)["content"]
    return content


@lru_cache(maxsize=1)
def open_corpus() -> PreparedCorpus:
    from study.data.prepared import PreparedCorpus

    return PreparedCorpus(paths.CORPUS)


def teacher_folder(arch: str) -> Path:
    folder = paths.TEACHERS / arch
    if not folder.is_dir():
        raise stage.StageError(f"{folder} is not there: run `dvc repro teacher`")
    return folder


@lru_cache(maxsize=16)
def teacher_content(arch: str) -> str:
    """A hash over a teacher's files."""
    return stage.tree_hash([teacher_folder(arch)])


@lru_cache(maxsize=16)
def embeddings_content(arch: str) -> str:
    """A hash over a teacher's embeddings: whose they are, and their indices, which hold each file's checksum."""
    folder = paths.EMBEDDINGS / arch
    return stage.tree_hash([folder / "key.json", *sorted(folder.glob("*/index.json"))])


def open_teacher(arch: str) -> DualEncoder:
    """The teacher; it is read anew, so that none is held where it is not needed."""
    from study.models import checkpoint

    return checkpoint.load(teacher_folder(arch)).requires_grad_(False)
