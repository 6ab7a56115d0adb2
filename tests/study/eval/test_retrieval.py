"""Oracles: scikit-learn's ranking metrics, metrics written out from a full sort, closed forms."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from study.eval.checks import ScoringError
from study.eval.retrieval import retrieval_rows
from study.measures import RETRIEVAL_METRICS
from study.records import DIRECTIONS, RETRIEVAL, check
from tests.study.eval.samples import Array, parallel, random_unit, unit


def scores(rows: pd.DataFrame, direction: str, language: str = "l0") -> dict[str, float]:
    part = rows[(rows["direction"] == direction) & (rows["language"] == language)]
    return dict(zip(part["metric"], part["score"], strict=True))


def several_captions() -> tuple[Array, Array, np.ndarray]:
    """40 images, 1 to 14 captions each but none for image 7, in mixed order."""
    rng = np.random.default_rng(5)
    images = random_unit(1, 40, 16)
    count = rng.integers(1, 15, size=40)
    count[7] = 0
    index = rng.permutation(np.repeat(np.arange(40), count))
    return images, unit(0.5 * images[index] + random_unit(2, len(index), 16)), index


def by_sorting(similarity: np.ndarray, relevant: np.ndarray) -> dict[str, float]:
    """Metrics of one query from its sorted gallery, straight from their definitions."""
    hits = relevant[np.argsort(-similarity)][:10]
    at = np.flatnonzero(hits) + 1
    out = {f"recall@{k}": float(hits[:k].any()) for k in (1, 5, 10)}
    out["map@10"] = sum(hits[:r].mean() for r in at) / min(10, relevant.sum())
    out["mrr@10"] = 1 / at[0] if len(at) else 0.0
    return out


@pytest.mark.parametrize("block", [1, 7, 1024])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_several_captions_per_image_match_sorting_and_scikit_learn(direction: str, block: int) -> None:
    images, texts, index = several_captions()
    similarity = texts @ images.T
    relevant = index[:, None] == np.arange(40)
    if direction == "image_to_text":
        has = relevant.any(axis=0)
        similarity, relevant = similarity.T[has], relevant.T[has]
    singles = pd.DataFrame([by_sorting(s, r) for s, r in zip(similarity, relevant, strict=True)]).mean().to_dict()
    singles["ndcg@10"] = ndcg_score(relevant, similarity, k=10)
    rows = retrieval_rows(images, {"l0": texts}, index, protocol="p", block=block)
    assert scores(rows, direction) == pytest.approx(singles, rel=1e-9)
    part = rows[rows["direction"] == direction]
    assert set(part["queries"]) == {len(similarity)}
    assert set(part["gallery"]) == {similarity.shape[1]}


def test_average_precision_within_ten_items_is_scikit_learns() -> None:
    images, texts = random_unit(3, 4, 8), random_unit(4, 9, 8)
    index = np.array([0, 1, 2, 3, 0, 1, 0, 0, 2])
    expected = np.mean([average_precision_score(index == i, images[i] @ texts.T) for i in range(4)])
    got = scores(retrieval_rows(images, {"l0": texts}, index, protocol="p"), "image_to_text")
    assert got["map@10"] == pytest.approx(expected, rel=1e-6)


def test_perfect_embeddings_score_one_and_rows_follow_the_schema() -> None:
    images = random_unit(0, 30, 32)
    rows = retrieval_rows(images, {"de": images, "sw": images}, protocol="xm3600")
    assert (rows["score"] == 1.0).all()
    assert len(check(rows.assign(cell="c"), RETRIEVAL)) == 2 * 2 * len(RETRIEVAL_METRICS)
    assert list(rows.columns) == [name for name in RETRIEVAL.names if name != "cell"]


@pytest.mark.parametrize("collapsed", ["images", "texts", "both"])
def test_a_collapsed_embedding_scores_at_most_chance(collapsed: str) -> None:
    size = 333  # not a multiple of a vector width: blocked products round its last columns differently
    constant = np.repeat(random_unit(9, 1, 65), size, axis=0)
    free = random_unit(8, size, 65)
    images = free if collapsed == "texts" else constant
    texts = free if collapsed == "images" else constant
    rows = retrieval_rows(images, {"l0": texts}, protocol="p", block=100)
    chance = {f"recall@{k}": k / size for k in (1, 5, 10)}
    chance["map@10"] = chance["mrr@10"] = sum(1 / r for r in range(1, 11)) / size
    chance["ndcg@10"] = sum(1 / np.log2(r + 1) for r in range(1, 11)) / size
    for direction in DIRECTIONS:
        for metric, score in scores(rows, direction).items():
            assert score <= chance[metric] + 1e-12, (direction, metric)


def test_a_duplicate_of_the_relevant_image_stands_before_it() -> None:
    images = random_unit(0, 5, 8)
    images[3] = images[2]
    got = scores(retrieval_rows(images, {"l0": images}, protocol="p"), "text_to_image")
    assert got["recall@1"] == pytest.approx(3 / 5)
    assert got["mrr@10"] == pytest.approx((3 + 2 * 0.5) / 5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(2, 40), signal=st.floats(0.0, 2.0))
def test_scores_are_ordered_bounded_and_blind_to_the_order_of_the_gallery(seed: int, size: int, signal: float) -> None:
    images, texts = parallel(seed, 1, size, 24, signal)
    rows = retrieval_rows(images, texts, protocol="p")
    order = np.random.default_rng(seed).permutation(size)
    moved = retrieval_rows(images[order], texts, np.argsort(order), protocol="p")
    assert np.allclose(rows["score"], moved["score"], atol=1e-12)
    for direction in DIRECTIONS:
        got = scores(rows, direction)
        assert 0 <= got["recall@1"] <= got["recall@5"] <= got["recall@10"] <= 1
        assert got["recall@1"] <= got["mrr@10"] <= got["ndcg@10"] <= got["recall@10"] + 1e-12
        assert got["map@10"] == pytest.approx(got["mrr@10"])  # one relevant item


def test_languages_may_have_their_own_captions() -> None:
    images = random_unit(0, 6, 8)
    texts = {"a": images[[5, 1]], "b": images[[0, 2, 4]]}
    rows = retrieval_rows(images, texts, {"a": [5, 1], "b": [0, 2, 4]}, protocol="p")
    assert (rows["score"] == 1.0).all()
    assert rows.groupby("language")["queries"].first().to_dict() == {"a": 2, "b": 3}
    with pytest.raises(ScoringError, match="no entry for language 'b'"):
        retrieval_rows(images, texts, {"a": [5, 1]}, protocol="p")


def test_unusable_input_is_refused_by_name() -> None:
    images = random_unit(0, 6, 8)
    with pytest.raises(ScoringError, match="no language"):
        retrieval_rows(images, {}, protocol="p")
    with pytest.raises(ScoringError, match=r"texts\['de'\]: 6 embeddings are not finite"):
        retrieval_rows(images, {"de": images * np.float32(np.nan)}, protocol="p")
    with pytest.raises(ScoringError, match="L2-normalised"):
        retrieval_rows(images, {"de": 2 * images}, protocol="p")
    with pytest.raises(ScoringError, match="have 4 dimensions, the images have 8"):
        retrieval_rows(images, {"de": random_unit(0, 6, 4)}, protocol="p")
    with pytest.raises(ScoringError, match=r"do not all lie in \[0, 6\)"):
        retrieval_rows(images, {"de": images}, [0, 1, 2, 3, 4, 6], protocol="p")
    with pytest.raises(ScoringError, match="do not all lie"):  # more captions than images, no index
        retrieval_rows(images, {"de": random_unit(0, 7, 8)}, protocol="p")


def test_the_study_is_fast_enough() -> None:
    images, texts = parallel(0, 36, 500, 512, 0.3)
    start = time.process_time()
    retrieval_rows(images, texts, protocol="p")
    assert time.process_time() - start < 2.0  # 0.1 s on one free core
