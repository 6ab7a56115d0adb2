"""Scores of many captions hold little beside the embeddings: bounds that holding all similarities would break."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from study.eval.consistency import consistency_rows
from study.eval.evaluation import Images, evaluate
from study.eval.retrieval import retrieval_rows
from tests.study.eval.samples import parallel, random_unit

MIB = 1 << 20


def peak(work: Callable[[], object]) -> float:
    """MiB that numpy and Python held at once, above what they held before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


def test_retrieval_holds_blocks_of_similarities() -> None:
    images, texts = random_unit(0, 3000, 24), random_unit(1, 12_000, 24)
    index = np.arange(12_000) % 3000
    every_similarity = 12_000 * 3000 * 4 / MIB
    assert every_similarity > 130
    assert peak(lambda: retrieval_rows(images, {"a": texts}, index, protocol="p", block=512)) < 6


def test_consistency_holds_the_rankings_of_a_few_queries() -> None:
    images, texts = parallel(0, 12, 1200, 24, 0.5)
    every_ranking = 12 * 1200 * 1200 * 4 / MIB
    assert every_ranking > 60
    assert peak(lambda: consistency_rows(images, texts)) < 12


class Drawn:
    """A text tower that knows a vector for each text, which is a number."""

    embedding_width = 512
    vocabulary = SimpleNamespace(pad=-1)

    def tokenize(self, texts: list[str]) -> torch.Tensor:
        return torch.tensor([[int(text)] for text in texts])

    def text_features(self, ids: torch.Tensor) -> torch.Tensor:
        drawn = torch.sin(ids * torch.arange(1.0, 513.0) + ids.square() * 0.7)
        return torch.nn.functional.normalize(drawn, dim=-1)


def test_evaluation_holds_the_embeddings_of_all_captions_once() -> None:
    languages, images, each = [f"l{i}" for i in range(20)], 60, 10
    count = len(languages) * images * each
    captions = pd.DataFrame(
        {
            "image": np.tile(np.arange(images), len(languages) * each),
            "language": np.repeat(languages, images * each),
            "text": [str(i) for i in range(1, count + 1)],
        }
    )
    corpus = SimpleNamespace(captions=lambda split: captions, languages=languages)
    gallery = Images(random_unit(0, images, 512), None)
    embeddings = count * 512 * 4 / MIB
    model, cpu = Drawn(), torch.device("cpu")
    held = peak(lambda: evaluate("x", model, corpus, gallery, "test", cpu))  # type: ignore[arg-type]
    # An image's first captions are a tenth, of which consistency makes two copies.
    assert embeddings > 20
    assert held < 1.7 * embeddings
