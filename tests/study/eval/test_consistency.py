"""Oracles: RBO and RankC written out from their definitions, scipy's Spearman, closed forms."""

from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from study.eval.alignment import centre, centred_cosine, linear_cka
from study.eval.checks import ScoringError
from study.eval.consistency import consistency_rows, rankc, rbo
from study.eval.rankings import RankArray, rank_gallery
from study.eval.retrieval import retrieval_rows
from study.measures import CONSISTENCY_CONSTRUCTS
from study.records import CONSISTENCY, check
from tests.study.eval.samples import parallel, random_unit, unit

PERFECT = {
    "rbo_gold_deleted": 1.0,
    "rankc": 1.0,
    "mrc": 1.0,
    "gold_rank_variance": 0.0,
    "centred_cosine": 1.0,
    "linear_cka": 1.0,
}


def table(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.pivot(index="language", columns="construct", values="score")


def order_of(images: np.ndarray, text: np.ndarray) -> list[int]:
    return list(np.argsort(-(images @ text), kind="stable"))


def rbo_by_definition(first: list[int], second: list[int], p: float, depth: int) -> float:
    depth = min(depth, len(first))
    total = sum(p ** (d - 1) * len(set(first[:d]) & set(second[:d])) / d for d in range(1, depth + 1))
    return (1 - p) * total / (1 - p**depth)


def rankc_by_definition(first: list[int], second: list[int], n: int) -> float:
    weights = np.exp(n - np.arange(1, n + 1))
    weights /= weights.sum()
    return float(sum(w * len(set(first[:j]) & set(second[:j])) / j for j, w in enumerate(weights, start=1)))


def ranks_of(seed: int, languages: int, queries: int, size: int) -> RankArray:
    rng = np.random.default_rng(seed)
    return np.stack([[rng.permutation(size) for _ in range(queries)] for _ in range(languages)]).astype(np.int32)


@pytest.mark.parametrize("size", [8, 40, 130])
def test_every_row_is_the_mean_of_the_definition_over_partners(size: int) -> None:
    images, texts = parallel(3, 3, size, 20, 0.8)
    gold = np.random.default_rng(size).permutation(size)[:7]
    texts = {name: values[gold] for name, values in texts.items()}
    got = table(consistency_rows(images, texts, gold, block=1))
    orders = {name: [order_of(images, text) for text in values] for name, values in texts.items()}
    constructs = ("rbo", "rankc", "mrc", "variance")
    expected: dict[str, dict[str, list[float]]] = {name: {c: [] for c in constructs} for name in texts}
    for a, b in combinations(texts, 2):
        for q, target in enumerate(gold):
            one, two = orders[a][q], orders[b][q]
            first, second = ([item for item in order if item != target] for order in (one, two))
            fractions = [order.index(target) / (size - 1) for order in (one, two)]
            values = {
                "rbo": rbo_by_definition(first, second, 0.9, 100),
                "rankc": rankc_by_definition(one, two, min(10, size)),
                "mrc": spearmanr(images @ texts[a][q], images @ texts[b][q]).statistic,
                "variance": np.var(fractions, ddof=1),
            }
            for name in (a, b):
                for construct, value in values.items():
                    expected[name][construct].append(value)
    for name in texts:
        mean = {construct: np.mean(values) for construct, values in expected[name].items()}
        assert got.loc[name, "rbo_gold_deleted"] == pytest.approx(mean["rbo"], abs=1e-6)
        assert got.loc[name, "rankc"] == pytest.approx(mean["rankc"], abs=1e-6)
        assert got.loc[name, "mrc"] == pytest.approx(mean["mrc"], abs=1e-6)
        assert got.loc[name, "gold_rank_variance"] == pytest.approx(mean["variance"], abs=1e-9)


def test_variance_averaged_over_languages_is_the_unbiased_variance() -> None:
    images, texts = parallel(0, 5, 30, 16, 0.5)
    fraction = np.array(
        [[order_of(images, text).index(i) / 29 for i, text in enumerate(values)] for values in texts.values()]
    )
    got = table(consistency_rows(images, texts))["gold_rank_variance"].mean()
    assert got == pytest.approx(fraction.var(axis=0, ddof=1).mean(), rel=1e-9)


def test_disjoint_prefixes_do_not_overlap() -> None:
    forward = np.arange(40, dtype=np.int32)
    ranks = np.stack([forward, forward[::-1]])[:, None, :]
    assert rankc(ranks)[0, 1] == 0.0
    assert rbo(ranks, None, depth=20)[0, 1] == 0.0
    assert rbo(ranks, None, depth=21)[0, 1] > 0.0


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(3, 25),
    p=st.floats(0.05, 0.99),
    depth=st.integers(1, 30),
)
def test_rbo_is_its_definition_for_every_p_and_depth(seed: int, size: int, p: float, depth: int) -> None:
    ranks = ranks_of(seed, 2, 2, size)
    orders = np.argsort(ranks, axis=2).tolist()
    expected = np.mean([rbo_by_definition(orders[0][q], orders[1][q], p, depth) for q in range(2)])
    assert rbo(ranks, None, p, depth)[0, 1] == pytest.approx(expected, abs=1e-5)


def test_alignment_is_its_published_formula() -> None:
    x, y = random_unit(0, 50, 12), unit(random_unit(0, 50, 12) + 0.5 * random_unit(1, 50, 12) + 0.2)
    a, b = (v.astype(np.float64) - v.astype(np.float64).mean(axis=0) for v in (x, y))
    cka = np.linalg.norm(b.T @ a) ** 2 / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b)
    assert linear_cka(centre(np.stack([x, y])), block=7)[0, 1] == pytest.approx(cka, rel=1e-5)
    cosine = np.mean((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))
    assert centred_cosine(centre(np.stack([x, y])))[0, 1] == pytest.approx(cosine, rel=1e-5)


def test_cka_ignores_rotation_and_centred_cosine_does_not() -> None:
    x = random_unit(0, 80, 10)
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((10, 10)))[0]
    pair = centre(np.stack([x, unit(x @ rotation)]))
    assert linear_cka(pair)[0, 1] == pytest.approx(1.0, abs=1e-5)
    assert centred_cosine(pair)[0, 1] < 0.6


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(3, 40), signal=st.floats(0.0, 2.0))
def test_ranges_identity_and_order_of_the_gallery(seed: int, size: int, signal: float) -> None:
    images, texts = parallel(seed, 3, size, 24, signal)
    rows = consistency_rows(images, texts)
    for measure in CONSISTENCY_CONSTRUCTS:
        part = rows.loc[rows["construct"] == measure.name, "score"]
        assert part.between(measure.low, measure.high).all()
    order = np.random.default_rng(seed).permutation(size)
    moved = consistency_rows(images[order], texts, np.argsort(order))
    assert np.allclose(rows["score"], moved["score"], atol=1e-5)
    same = table(consistency_rows(images, {"a": texts["l0"], "b": texts["l0"]}))
    for construct, value in PERFECT.items():
        assert np.allclose(same[construct], value, atol=1e-5), construct


def test_the_primary_construct_does_not_follow_accuracy() -> None:
    """Languages share nothing but the image; only how well each finds it changes."""
    primary, undeleted, accuracy = [], [], []
    for signal in (0.12, 0.21, 0.35):
        images, texts = parallel(0, 4, 400, 512, signal)
        rows = retrieval_rows(images, texts, protocol="p")
        at_one = rows[(rows["metric"] == "recall@1") & (rows["direction"] == "text_to_image")]["score"].mean()
        accuracy.append(at_one)
        primary.append(table(consistency_rows(images, texts))["rbo_gold_deleted"].mean())
        flat = np.concatenate(list(texts.values()))
        ranks = rank_gallery(flat, images, np.random.default_rng(0)).reshape(4, 400, 400)
        undeleted.append(rbo(ranks, None)[np.triu_indices(4, 1)].mean())
    assert accuracy[0] < 0.45
    assert accuracy[-1] > 0.99
    assert max(primary) - min(primary) < 0.03
    assert undeleted[-1] - undeleted[0] > 0.15
    assert undeleted[-1] - undeleted[0] > 5 * (primary[-1] - primary[0])


def test_the_primary_construct_follows_shared_noise() -> None:
    """At one accuracy, noise that a caption has in every language is what the construct sees."""
    images = random_unit(0, 300, 512)
    shared = random_unit(1, 300, 512)
    means = []
    for share in (0.0, 0.5, 0.9):
        noise = [np.sqrt(share) * shared + np.sqrt(1 - share) * random_unit(2 + i, 300, 512) for i in range(3)]
        texts = {f"l{i}": unit(0.3 * images + part) for i, part in enumerate(noise)}
        means.append(table(consistency_rows(images, texts))["rbo_gold_deleted"].mean())
    assert means[0] < 0.08
    assert 0.15 < means[1] < 0.3
    assert means[2] > 0.5


def test_a_gallery_that_cannot_be_told_apart_is_not_consistent() -> None:
    images = np.repeat(random_unit(9, 1, 65), 333, axis=0)
    texts = {name: random_unit(i, 333, 65) for i, name in enumerate("abc")}
    got = table(consistency_rows(images, texts)).mean()
    assert got["rbo_gold_deleted"] < 0.06
    assert got["rankc"] < 0.06
    assert abs(got["mrc"]) < 0.02
    assert got["gold_rank_variance"] == pytest.approx(1 / 12, rel=0.1)


def test_collapsed_captions_have_no_alignment() -> None:
    constant = np.repeat(random_unit(9, 1, 65), 50, axis=0)
    got = table(consistency_rows(random_unit(0, 50, 65), {"a": constant, "b": constant}))
    assert (got[["centred_cosine", "linear_cka"]] == 0.0).all(axis=None)


def test_blocks_change_nothing_and_rows_follow_the_schema() -> None:
    images, texts = parallel(0, 4, 60, 16, 0.5)
    rows = consistency_rows(images, texts, block=1)
    assert np.allclose(rows["score"], consistency_rows(images, texts)["score"], atol=1e-6)
    checked = check(rows.assign(cell="c"), CONSISTENCY)
    assert len(checked) == 4 * len(CONSISTENCY_CONSTRUCTS)
    assert set(rows["partners"]) == {3}
    assert set(rows["queries"]) == {60}
    assert list(rows.columns) == [name for name in CONSISTENCY.names if name != "cell"]


def test_unusable_input_is_refused_by_name() -> None:
    images = random_unit(0, 6, 8)
    with pytest.raises(ScoringError, match=r"at least two languages, got \['de'\]"):
        consistency_rows(images, {"de": images})
    with pytest.raises(ScoringError, match=r"must be parallel.*'sw': 5"):
        consistency_rows(images, {"de": images, "sw": images[:5]})
    with pytest.raises(ScoringError, match="2 queries and 3 images"):
        consistency_rows(images, {"de": images[:1], "sw": images[:1]})


def test_the_study_is_fast_enough() -> None:
    images, texts = parallel(0, 36, 500, 512, 0.3)
    start = time.process_time()
    consistency_rows(images, texts)
    assert time.process_time() - start < 4.0  # 0.4 s on one free core
