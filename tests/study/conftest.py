"""A very small corpus in the prepared layout, and very small teachers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from study.data.prepared import PreparedCorpus
from study.models import trainable
from study.models.dual_encoder import DualEncoder
from study.models.tokenizers.vocabulary import Vocabulary
from study.seeds import stream, torch_stream
from tests.study.models.checkpoints.models import build
from tests.study.tiny import write_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def texts(corpus: PreparedCorpus) -> list[str]:
    frame = corpus.captions("distil")
    return [*frame["text"], *frame["english"]]


@pytest.fixture(scope="session")
def vocabulary(texts: list[str]) -> Vocabulary:
    # Made-up words, so that there is a table to cut.
    rng = stream("test", "words")
    words = ["".join(rng.choice(list("abdegiklmnorstu"), 6)) for _ in range(4000)]
    return Vocabulary.train([*texts * 20, *words, *words], 3000)


@pytest.fixture(params=["clip", "siglip2"])
def teacher(request: pytest.FixtureRequest, vocabulary: Vocabulary) -> DualEncoder:
    with torch_stream("test", request.param):
        return trainable(request.param).build("polyglot-s-p8-32", vocabulary, 20).eval()


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Tiny published checkpoints by name, built on first use; tests do not change them."""
    return partial(build, folder=tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def embeddings(teacher: DualEncoder, corpus: PreparedCorpus, tmp_path: Path) -> Path:
    import torch

    from study.distill.embeddings import write_embeddings

    folder = tmp_path / "embeddings"
    write_embeddings(teacher, corpus, folder, torch.device("cpu"), layers=True)
    return folder
