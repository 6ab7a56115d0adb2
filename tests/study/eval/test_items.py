"""Scores of single items: their means are the tables' scores, and pairs are counted as by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from study.eval.consistency import consistency_rows, query_rbo, rbo, unparallel_query_rbo, unparallel_rbo
from study.eval.items import ItemScores
from study.eval.rankings import pair_sums
from study.eval.retrieval import retrieval_rows
from tests.study.eval.samples import random_unit

IMAGES = random_unit(0, 40, 8)
TEXTS = {f"l{n}": random_unit(n + 1, 40, 8) for n in range(3)}


def test_the_mean_of_an_item_is_over_languages_and_of_captions_within_one() -> None:
    scores = ItemScores()
    scores.add("map@10", [4, 4, 7], [0.0, 1.0, 1.0])
    scores.add("map@10", [4], [1.0])
    rows = scores.rows().set_index("item")
    assert rows["score"].to_dict() == {"4": 0.75, "7": 1.0}
    assert set(rows["measure"]) == {"map@10"}


def test_without_scores_there_are_no_rows() -> None:
    assert ItemScores().rows().empty


@given(arrays.arrays(np.float32, (4, 2, 3), elements=st.floats(0, 1, width=32)))
def test_sums_over_pairs_are_those_of_a_loop(weights: np.ndarray) -> None:
    by_hand = sum(np.minimum(a, b).sum(axis=1) for a, b in combinations(weights, 2))
    assert pair_sums(weights) == pytest.approx(by_hand, abs=1e-5)


@pytest.mark.parametrize("block", [1, 3 * 40 * 7, 1 << 17])
def test_items_average_to_the_scores_of_the_tables(block: int) -> None:
    scores = ItemScores()
    consistency = consistency_rows(IMAGES, TEXTS, block=block, items=scores)
    retrieval = retrieval_rows(IMAGES, TEXTS, protocol="p", items=scores)
    means = scores.rows().groupby("measure")["score"].mean()
    assert scores.rows().groupby("measure")["item"].nunique().to_dict() == {"map@10": 40, "rbo_excess": 40}
    assert means["rbo_excess"] == pytest.approx(
        consistency.loc[consistency["construct"] == "rbo_excess", "score"].mean(), abs=1e-6
    )
    assert means["map@10"] == pytest.approx(retrieval.loc[retrieval["metric"] == "map@10", "score"].mean(), abs=1e-9)


@pytest.mark.parametrize("gold", [[0, 1, 2, 3, 4], [0, 0, 2, 3, 3]])
def test_each_query_overlaps_as_it_does_alone(gold: list[int]) -> None:
    golds = np.array(gold)
    orders = [np.argsort(np.argsort(-TEXTS[name][:5] @ IMAGES.T, axis=1), axis=1) for name in TEXTS]
    ranks = np.stack([order.astype(np.int32) for order in orders])
    pairs = np.triu_indices(3, 1)
    alone = [rbo(ranks[:, [q]], golds[[q]])[pairs].mean() for q in range(5)]
    assert query_rbo(ranks, golds) == pytest.approx(alone, abs=1e-6)
    for q, found in enumerate(unparallel_query_rbo(ranks, golds)):
        total, count = unparallel_rbo(ranks[:, q : q + 2], golds[q : q + 2])
        assert np.isnan(found) == (count == 0)
        if count:
            assert found == pytest.approx(total[pairs].mean(), abs=1e-6)


def test_captions_of_one_image_share_its_item() -> None:
    """Two captions an image, one exact and one of another image: the item's precision is their mean, by hand."""
    images = np.eye(3, dtype=np.float32)
    texts = {"en": images[[0, 1, 1, 2, 2, 0]]}
    scores = ItemScores()
    retrieval_rows(images, texts, [0, 0, 1, 1, 2, 2], protocol="p", items=scores)
    rows = scores.rows().set_index("item")["score"]
    # Text to image: the exact caption 1, the other one 1/3 (ties are pessimistic). Image to text: relevant at 2 and 6.
    for item in "012":
        assert rows[item] == pytest.approx(np.mean([np.mean([1, 1 / 3]), (1 / 2 + 2 / 6) / 2]))
