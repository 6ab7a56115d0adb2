"""`verify` finds what is not as the layout says; corpora may lack parts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from study.data import CorpusError, PreparedCorpus
from study.data.prepared import scored_text
from study.data.writer import CorpusWriter
from tests.study.data.fake import FAKE_RECORD, small


@pytest.fixture
def copy(fake_corpus: PreparedCorpus, tmp_path: Path) -> PreparedCorpus:
    shutil.copytree(fake_corpus.path, tmp_path / "copy")
    return PreparedCorpus(tmp_path / "copy")


def change(corpus: PreparedCorpus, name: str, edit: Callable[[pd.DataFrame], Any]) -> None:
    frame = pd.read_parquet(corpus.path / name)
    edit(frame)
    frame.to_parquet(corpus.path / name)


def test_a_folder_without_card_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no corpus\.json"):
        PreparedCorpus(tmp_path)


def test_a_changed_file_is_found(copy: PreparedCorpus) -> None:
    images = np.load(copy.path / "images" / "test.npy")
    images[0, 0, 0, 0] ^= 1
    np.save(copy.path / "images" / "test.npy", images)
    with pytest.raises(CorpusError, match=r"test\.npy has changed"):
        copy.verify()
    copy.verify(hashes=False)


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("captions/test.parquet", lambda f: f.__setitem__("image", f["image"] + 1), "image is out of range"),
        ("captions/test.parquet", lambda f: f.__setitem__("language", "de"), "counts a language"),
        ("captions/test.parquet", lambda f: f.__setitem__("text", "e\u0301"), "empty or not NFC"),
        ("captions/distil.parquet", lambda f: f.pop("english"), "columns are"),
        ("questions.parquet", lambda f: f.__setitem__("answer", 4), "no such answer"),
        ("questions.parquet", lambda f: f.__setitem__("question", "same"), "an id is duplicated"),
        ("texts.parquet", lambda f: f.__setitem__("options", [["a"] * 4] * len(f)), "two options read the same"),
    ],
)
def test_what_is_wrong_is_named(
    copy: PreparedCorpus, name: str, edit: Callable[[pd.DataFrame], Any], message: str
) -> None:
    change(copy, name, edit)
    with pytest.raises(CorpusError, match=message):
        copy.verify(hashes=False)


def test_a_missing_file_is_named(copy: PreparedCorpus) -> None:
    (copy.path / "texts.parquet").unlink()
    with pytest.raises(CorpusError, match=r"has no texts\.parquet; it has captions/distil\.parquet"):
        copy.verify()


@pytest.mark.xfail(strict=True, reason="DatasetCard passes unknown keys over; its mend runs every stage again")
def test_an_unknown_key_is_named(copy: PreparedCorpus) -> None:
    card = json.loads((copy.path / "corpus.json").read_text())
    (copy.path / "corpus.json").write_text(json.dumps(card | {"surprise": 1}))
    with pytest.raises(CorpusError, match="surprise"):
        PreparedCorpus(copy.path).verify()


def test_a_corpus_without_teacher_split_or_questions_is_a_corpus(tmp_path: Path) -> None:
    writer = CorpusWriter(tmp_path)
    writer.images("test", 2, 8, 12)[:] = 7
    columns = {"image": [0, 0, 1], "language": ["en", "en", "de"], "text": ["a", "b", "c"]}
    writer.captions("test", columns)  # type: ignore[arg-type]
    writer.finish(FAKE_RECORD, small(), ["en", "de"], [], {})
    corpus = PreparedCorpus(tmp_path)
    corpus.verify()
    assert corpus.card.captions == {"test": {"de": 1, "en": 2}}
    assert corpus.images("test").shape == (2, 8, 12, 3)
    with pytest.raises(CorpusError, match=r"has no images/teacher\.npy"):
        corpus.images("teacher")


def test_scored_text() -> None:
    assert scored_text("In the picture:", "cat") == "In the picture: cat"
