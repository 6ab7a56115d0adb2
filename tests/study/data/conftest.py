from __future__ import annotations

from pathlib import Path

import pytest

from study.data import PreparedCorpus
from study.data.emoji.prepare import prepare
from tests.study.data.fake import FAKE_RECORD, LANGUAGES, VQA_LANGUAGES, FakeSource, small


@pytest.fixture(scope="session")
def fake_corpus(tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    """A corpus of the emoji kind from a source without packages. Read only."""
    out: Path = tmp_path_factory.mktemp("fake-corpus")
    prepare(FakeSource(), FAKE_RECORD, small(), LANGUAGES, VQA_LANGUAGES, out, lambda step, done: None)
    return PreparedCorpus(out)
