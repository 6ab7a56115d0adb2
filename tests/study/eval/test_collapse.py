"""Measures that a collapse must not raise, and the indicators that see one. Oracles: loops and closed forms."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study import measures
from study.eval.agreement import pair_parts
from study.eval.collapse import collapse_rows, effective_rank, hubness
from study.eval.consistency import consistency_rows
from study.eval.stability import pair_table, run_stability_rows
from tests.study.eval.samples import answer_table, parallel, random_unit, unit


def ranking(images: np.ndarray, text: np.ndarray, without: tuple[int, ...]) -> list[int]:
    return [int(i) for i in np.argsort(-(images @ text), kind="stable") if i not in without]


def overlap(first: list[int], second: list[int], p: float = 0.9) -> float:
    depth = min(100, len(first))
    total = sum(p ** (d - 1) * len(set(first[:d]) & set(second[:d])) / d for d in range(1, depth + 1))
    return (1 - p) * total / (1 - p**depth)


@pytest.mark.parametrize("block", [1, 200, 1 << 17])
def test_the_excess_is_the_overlap_less_that_of_neighbouring_captions(block: int) -> None:
    images, texts = parallel(5, 3, 15, 12, 0.7)
    gold = np.array([3, 1, 14, 7, 7, 2])  # the fourth and the fifth are of one image: parallel, and not compared
    texts = {name: values[gold] for name, values in texts.items()}
    rows = consistency_rows(images, texts, gold, block=block)
    got = rows[rows["construct"] == "rbo_excess"].set_index("language")["score"]
    value: dict[frozenset[str], float] = {}
    for a, b in combinations(texts, 2):
        orders = [
            (ranking(images, texts[a][q], (gold[q],)), ranking(images, texts[b][q], (gold[q],))) for q in range(6)
        ]
        same = [overlap(first, second) for first, second in orders]
        other = []
        for q in range(6):
            n = (q + 1) % 6
            if gold[q] != gold[n]:
                gone = (gold[q], gold[n])
                other += [overlap(ranking(images, texts[x][q], gone), ranking(images, texts[y][n], gone))
                          for x, y in ((a, b), (b, a))]  # fmt: skip
        value[frozenset((a, b))] = float(np.mean(same) - np.mean(other))
    for name in texts:
        expected = np.mean([v for pair, v in value.items() if name in pair])
        assert got[name] == pytest.approx(expected, abs=1e-6)


def test_a_vector_that_all_captions_share_raises_the_overlap_and_not_its_excess() -> None:
    rng = np.random.default_rng(0)
    images, common = unit(rng.standard_normal((300, 64))), random_unit(1, 64)
    noise = [1.8 / 8 * rng.standard_normal((300, 64)) for _ in range(4)]
    found = []
    for weight in (0.0, 3.0, 10.0):
        texts = {str(i): unit(images + own + weight * common) for i, own in enumerate(noise)}
        scores = consistency_rows(images, texts).groupby("construct")["score"].mean()
        seen = collapse_rows(images, texts, pd.DataFrame({"language": [], "chosen": []}))
        signs = seen.groupby("indicator")["score"].mean()
        found.append((scores["rbo_gold_deleted"], scores["rbo_excess"], signs["effective_rank"], signs["hubness"]))
    plain, excess, rank, hubs = (np.array(column) for column in zip(*found, strict=True))
    assert plain[2] - plain[0] > 0.3
    assert np.abs(excess - excess[0]).max() < 0.05
    assert rank[2] < 0.5 * rank[0]
    assert hubs[2] > 3 * hubs[0]


def test_effective_rank_counts_directions() -> None:
    assert effective_rank(np.tile(random_unit(0, 1, 5), (7, 1))) == pytest.approx(1.0, abs=1e-3)
    assert effective_rank(np.eye(6, dtype=np.float32)) == pytest.approx(6.0)
    values = random_unit(2, 40, 8)
    share = np.linalg.svd(values, compute_uv=False)
    share = share / share.sum()
    assert effective_rank(values) == pytest.approx(np.exp(stats.entropy(share)), rel=1e-4)


def test_hubness_is_the_skewness_of_counts() -> None:
    gallery, queries = random_unit(3, 40, 6), random_unit(4, 90, 6)
    nearest = np.argsort(-(queries @ gallery.T), axis=1)[:, :10]
    expected = stats.skew(np.bincount(nearest.ravel(), minlength=40))
    assert hubness(queries, gallery) == pytest.approx(expected)
    assert hubness(queries, gallery, block=1) == pytest.approx(expected)


def answers(seed: int, languages: int, questions: int, accuracy: float) -> tuple[np.ndarray, np.ndarray]:
    """Languages that know the same part of the questions; else each guesses for itself."""
    rng = np.random.default_rng(seed)
    right = rng.integers(0, 4, questions).astype(np.int8)
    known = rng.random(questions) < accuracy
    chosen = np.where(known, right, rng.integers(0, 4, (languages, questions))).astype(np.int8)
    return chosen, right


def test_agreement_comes_apart_as_counted_by_hand() -> None:
    chosen, right = answers(0, 3, 60, 0.3)
    chosen[0, ::5] = -1  # questions that a language does not ask
    chosen[2, ::7] = -1
    answer = np.where(chosen >= 0, right, -1).astype(np.int8)
    parts = pair_parts(chosen, answer, 4)
    for a, b in combinations(range(3), 2):
        both = (chosen[a] >= 0) & (chosen[b] >= 0)
        x, y, k = chosen[a][both], chosen[b][both], right[both]
        expected = 0.0
        for option in range(4):
            here = k == option
            tables = [np.bincount(z[here], minlength=4) / here.sum() for z in (x, y)]
            expected += here.mean() * float(tables[0] @ tables[1])
        assert parts["both_right"][a, b] == pytest.approx(((x == y) & (x == k)).mean())
        assert parts["same_wrong"][a, b] == pytest.approx(((x == y) & (x != k)).mean())
        assert parts["agreement_excess"][a, b] == pytest.approx((x == y).mean() - expected)
        accuracy = [(z == k).mean() for z in (x, y)]
        wrong = [(1 - a) / 3 for a in accuracy]
        together = ((x == y) & (x == k)).mean() - ((x == y) & (x != k)).mean() / 3
        independent = accuracy[0] * accuracy[1] - wrong[0] * wrong[1]
        assert parts["shared_right"][a, b] == pytest.approx(together - independent)
        for values in parts.values():
            assert values[a, b] == pytest.approx(values[b, a])


def test_one_answer_to_most_questions_raises_agreement_and_not_what_is_known_together() -> None:
    chosen, right = answers(1, 8, 4000, 0.25)
    fixed = chosen.copy()
    fixed[:, np.random.default_rng(2).random(4000) < 0.6] = 1

    def scores(values: np.ndarray) -> pd.Series:
        rows = run_stability_rows(answer_table(values, right))
        return rows[rows["language"] == "all"].set_index("construct")["score"]

    before, after = scores(chosen), scores(fixed)
    assert after["agreement"] - before["agreement"] > 0.3
    assert after["shared_right"] < 0.6 * before["shared_right"]
    assert abs(scores(np.ones_like(chosen))["shared_right"]) < 0.02
    assert before["agreement"] == pytest.approx(before["both_right"] + before["same_wrong"])


def test_languages_that_guess_for_themselves_have_no_excess() -> None:
    rng = np.random.default_rng(3)
    right = rng.integers(0, 4, 20_000)
    share = np.array([0.1, 0.2, 0.3, 0.4])
    guesses = np.stack([rng.choice(4, 20_000, p=share) for _ in range(3)])
    knows = rng.random((3, 20_000)) < 0.4
    rows = run_stability_rows(answer_table(np.where(knows, right, guesses), right))
    values = rows[rows["language"] == "all"].set_index("construct")["score"]
    assert abs(values["agreement_excess"]) < 0.01
    assert abs(values["shared_right"]) < 0.01


def test_the_table_of_pairs_has_every_pair_once_and_its_means_are_the_languages_rows() -> None:
    chosen, right = answers(4, 4, 50, 0.4)
    chosen[0, :25] = -1
    table = answer_table(chosen, right)
    pairs = pair_table(table)
    assert (pairs["language"] < pairs["partner"]).all()
    assert len(pairs) == 6 * len(measures.PAIR_MEASURES)
    rows = run_stability_rows(table)
    for measure in measures.PAIR_MEASURES:
        own = pairs[pairs["measure"] == measure]
        for language in ("l0", "l2"):
            mean = own[(own["language"] == language) | (own["partner"] == language)]["score"].mean()
            row = rows[(rows["construct"] == measure) & (rows["language"] == language)]["score"].item()
            assert row == pytest.approx(mean)


def test_languages_that_share_no_question_have_no_pair() -> None:
    chosen, right = answers(5, 2, 20, 0.5)
    chosen[0, :10], chosen[1, 10:] = -1, -1
    assert pair_table(answer_table(chosen, right)).empty
