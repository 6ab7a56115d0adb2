"""Oracles: the krippendorff library, counts by hand, and simulated languages of known spread."""

from __future__ import annotations

import time
from itertools import combinations

import krippendorff
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.eval.agreement import alpha, shrink, true_variance
from study.eval.answers import pivot
from study.eval.checks import ScoringError
from study.eval.stability import flip_rows, group_stability_rows, run_stability_rows, stability_table
from study.measures import STABILITY_CONSTRUCTS
from study.records import CELLS, STABILITY, RecordError, check
from tests.study.eval.samples import answer_table


def value(rows: pd.DataFrame, construct: str, language: str = "all") -> float:
    part = rows[(rows["construct"] == construct) & (rows["language"] == language)]
    assert len(part) == 1
    return float(part["score"].iloc[0])


def cell_row(arch: str, method: str, seed: int, role: str = "student") -> dict[str, object]:
    row: dict[str, object] = {c.name: {"str": "x", "int64": 1, "float64": 1.0}[c.dtype] for c in CELLS.columns}
    size = "full" if role == "teacher" else "half"
    cell = f"{arch}-teacher" if role == "teacher" else f"{arch}-{size}-{method}-s{seed}"
    return row | {"cell": cell, "role": role, "arch": arch, "size": size, "method": method, "seed": seed}


def study(languages: int = 3, questions: int = 20, seeds: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)
    rows = [cell_row(a, m, s) for a in ("clip", "siglip") for m in ("none", "kd") for s in range(seeds)]
    rows += [cell_row(a, "teacher", 0, "teacher") for a in ("clip", "siglip")]
    cells = pd.DataFrame(rows)
    answer = rng.integers(0, 4, questions)
    tables = [answer_table(rng.integers(0, 4, (languages, questions)), answer, str(c)) for c in cells["cell"]]
    return cells, pd.concat(tables, ignore_index=True).sample(frac=1, random_state=1)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), coders=st.integers(2, 6), units=st.integers(2, 30), absent=st.floats(0, 0.5))
def test_alpha_is_the_librarys(seed: int, coders: int, units: int, absent: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, units)
    chosen = np.where(rng.random((coders, units)) < 0.5, truth, rng.integers(0, 4, (coders, units))).astype(np.int8)
    chosen[:, 0] = 0
    chosen[:, 1] = 3  # two values at least
    hidden = rng.random((coders, units)) < absent
    hidden[:, :2] = False
    chosen[hidden] = -1
    data = np.where(hidden, np.nan, chosen.astype(float))
    expected = krippendorff.alpha(reliability_data=data, level_of_measurement="nominal")
    assert alpha(chosen) == pytest.approx(expected, abs=1e-12)


def test_a_run_that_always_chooses_one_option_has_an_empty_alpha() -> None:
    rows = run_stability_rows(answer_table(np.ones((3, 10), dtype=int), np.arange(10) % 4))
    assert np.isnan(value(rows, "alpha"))
    assert value(rows, "agreement") == 1.0
    assert rows["score"].isna().sum() == 1


def test_agreement_and_accuracy_by_hand_where_languages_ask_different_questions() -> None:
    answer = np.array([0, 1, 2, 3])
    chosen = np.array([[0, 1, 2, 0], [0, 1, 3, -1], [-1, 2, 2, 0]])
    rows = run_stability_rows(answer_table(chosen, answer))
    assert [value(rows, "accuracy", f"l{i}") for i in range(3)] == pytest.approx([3 / 4, 2 / 3, 1 / 3])
    assert value(rows, "accuracy") == pytest.approx((3 / 4 + 2 / 3 + 1 / 3) / 3)
    pairs = {(0, 1): 2 / 3, (0, 2): 2 / 3, (1, 2): 0.0}
    for i in range(3):
        mine = [share for pair, share in pairs.items() if i in pair]
        assert value(rows, "agreement", f"l{i}") == pytest.approx(np.mean(mine))
    assert value(rows, "agreement") == pytest.approx(np.mean(list(pairs.values())))
    n = rows.set_index(["construct", "language"])["n"]
    assert (n["accuracy", "l0"], n["accuracy", "l1"], n["accuracy", "all"]) == (4, 3, 4)
    assert (n["agreement", "l0"], n["agreement", "l1"], n["alpha", "all"]) == (3, 3, 4)


def test_one_language_has_an_accuracy_only() -> None:
    rows = run_stability_rows(answer_table(np.array([[0, 1, 2]]), np.array([0, 1, 1])))
    assert rows["construct"].unique().tolist() == ["accuracy"]
    assert value(rows, "accuracy") == pytest.approx(2 / 3)


@pytest.mark.parametrize("spread", [0.0, 0.03, 0.08])
def test_language_variance_is_unbiased_where_the_floor_does_not_bite(spread: float) -> None:
    rng = np.random.default_rng(1)
    n = np.full(400, 200)
    observed = [rng.binomial(n, np.clip(rng.normal(0.6, spread, 400), 0, 1)) / n for _ in range(50)]
    estimates = [true_variance(accuracy, n) for accuracy in observed]
    assert np.mean(estimates) == pytest.approx(spread**2, abs=1.5e-4)
    raw = np.mean([accuracy.var(ddof=1) for accuracy in observed])
    assert raw > spread**2 + 8e-4  # the noise that would be left in: 0.6 * 0.4 / 200 = 0.0012


def test_shrinkage_beats_the_raw_accuracies_and_narrows_the_gap() -> None:
    rng = np.random.default_rng(2)
    n = np.full(28, 100)
    raw_error, shrunken_error, raw_gap, gap, true_gap = (np.zeros(200) for _ in range(5))
    for i in range(200):
        truth = rng.normal(0.5, 0.04, 28)
        raw = rng.binomial(n, truth) / n
        shrunken = shrink(raw, n)
        raw_error[i], shrunken_error[i] = ((raw - truth) ** 2).mean(), ((shrunken - truth) ** 2).mean()
        raw_gap[i], gap[i] = raw.mean() - raw.min(), shrunken.mean() - shrunken.min()
        true_gap[i] = truth.mean() - truth.min()
    assert shrunken_error.mean() < 0.75 * raw_error.mean()
    # Posterior means are spread less than the truth: the gap is too small, the raw one is further off.
    assert gap.mean() < true_gap.mean() < raw_gap.mean()
    assert true_gap.mean() - gap.mean() < 0.85 * (raw_gap.mean() - true_gap.mean())


def test_shrinkage_closed_forms() -> None:
    n = np.array([50, 50, 50])
    same = np.array([0.5, 0.5, 0.5])
    assert shrink(same, n) == pytest.approx(same)
    accuracy = np.array([0.0, 0.5, 1.0])
    variance = 0.25 - (0 + 0.25 / 49 + 0) / 3
    factor = variance / (variance + 0.25 / 50)
    assert shrink(accuracy, n) == pytest.approx([0.5 - 0.5 * factor, 0.5, 0.5 + 0.5 * factor])
    assert shrink(np.ones(3), n) == pytest.approx(np.ones(3))


def test_the_gap_is_the_mean_less_the_worst() -> None:
    right = np.repeat([[90], [80], [10]], 100, axis=1) > np.arange(100)
    rows = run_stability_rows(answer_table(np.where(right, 0, 1), np.zeros(100, dtype=int)))
    accuracy = np.array([0.9, 0.8, 0.1])
    variance = accuracy.var(ddof=1) - np.mean([0.09 / 99, 0.16 / 99, 0.09 / 99])
    assert value(rows, "language_sd") == pytest.approx(np.sqrt(variance))
    assert value(rows, "worst_language_gap") == pytest.approx(0.5 * variance / (variance + 0.24 / 100))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), languages=st.integers(2, 5), questions=st.integers(1, 30))
def test_run_scores_stay_in_range_and_identical_languages_agree(seed: int, languages: int, questions: int) -> None:
    rng = np.random.default_rng(seed)
    chosen, answer = rng.integers(0, 4, (languages, questions)), rng.integers(0, 4, questions)
    rows = run_stability_rows(answer_table(chosen, answer))
    for measure in STABILITY_CONSTRUCTS:
        part = rows.loc[rows["construct"] == measure.name, "score"].dropna()
        assert part.between(measure.low - 1e-12, measure.high + 1e-12).all()
    same = run_stability_rows(answer_table(np.repeat(chosen[:1], languages, axis=0), answer))
    assert value(same, "agreement") == 1.0
    assert np.isnan(value(same, "alpha")) or value(same, "alpha") == pytest.approx(1.0)
    assert value(same, "language_sd") == value(same, "worst_language_gap") == 0.0


def test_churn_is_the_mean_over_pairs_of_seeds() -> None:
    rng = np.random.default_rng(3)
    answer = rng.integers(0, 4, 30)
    chosen = rng.integers(0, 4, (4, 2, 30))
    cells = pd.DataFrame([cell_row("clip", "kd", s) for s in range(4)])
    vqa = pd.concat([answer_table(c, answer, str(name)) for c, name in zip(chosen, cells["cell"], strict=True)])
    rows = group_stability_rows(vqa, cells)
    for language in range(2):
        churn = [(chosen[a, language] != chosen[b, language]).mean() for a, b in combinations(range(4), 2)]
        right = (chosen[:, language] == answer).mean(axis=1)
        forced = [abs(right[a] - right[b]) for a, b in combinations(range(4), 2)]
        assert value(rows, "churn", f"l{language}") == pytest.approx(np.mean(churn))
        assert value(rows, "churn_excess", f"l{language}") == pytest.approx(np.mean(churn) - np.mean(forced))
        assert min(np.array(churn) - forced) >= 0
    assert value(rows, "churn") == pytest.approx((value(rows, "churn", "l0") + value(rows, "churn", "l1")) / 2)
    assert group_stability_rows(vqa[vqa["cell"] == cells["cell"][0]], cells).empty


def test_churn_that_is_all_forced_has_no_excess() -> None:
    answer = np.zeros(10, dtype=int)
    better, worse = np.zeros((1, 10), dtype=int), np.array([[0] * 6 + [1] * 4])
    cells = pd.DataFrame([cell_row("clip", "kd", s) for s in range(2)])
    vqa = pd.concat([answer_table(c, answer, str(n)) for c, n in zip((better, worse), cells["cell"], strict=True)])
    rows = group_stability_rows(vqa, cells)
    assert value(rows, "churn") == pytest.approx(0.4)
    assert value(rows, "churn_excess") == pytest.approx(0.0, abs=1e-12)


def test_churn_counts_the_questions_that_a_language_asks() -> None:
    cells = pd.DataFrame([cell_row("clip", "kd", s) for s in range(2)])
    seeds = np.array([[[0, 1, 2, 3], [1, 2, -1, -1]], [[0, 1, 2, 0], [1, 3, -1, -1]]])
    answer = np.array([3, 0, 0, 1])
    vqa = pd.concat([answer_table(c, answer, str(n)) for c, n in zip(seeds, cells["cell"], strict=True)])
    rows = group_stability_rows(vqa, cells)
    assert [value(rows, "churn", x) for x in ("l0", "l1", "all")] == pytest.approx([1 / 4, 1 / 2, 3 / 8])


def test_a_group_is_one_method_and_each_seed_once() -> None:
    answer = np.zeros(3, dtype=int)
    mixed = pd.DataFrame([cell_row("clip", "kd", 0), cell_row("clip", "none", 1)])
    vqa = pd.concat([answer_table(np.zeros((1, 3), dtype=int), answer, str(n)) for n in mixed["cell"]])
    with pytest.raises(ScoringError, match="expected one group"):
        group_stability_rows(vqa, mixed)
    with pytest.raises(ScoringError, match="expected one group"):
        group_stability_rows(vqa, mixed.assign(method="kd", seed=0))


def test_flips_by_hand() -> None:
    answer = np.zeros(5, dtype=int)
    student = answer_table(np.array([[0, 0, 1, 1, 1], [0, 0, 0, 0, 1]]), answer, "s")
    teacher = answer_table(np.array([[1, 0, 0, 0, 2], [1, 1, 0, 0, 0]]), answer, "t")
    rows = flip_rows(student, teacher)
    assert [value(rows, "negative_flips", x) for x in ("l0", "l1", "all")] == pytest.approx([0.4, 0.2, 0.3])
    assert [value(rows, "positive_flips", x) for x in ("l0", "l1", "all")] == pytest.approx([0.2, 0.4, 0.3])
    assert [value(rows, "net_flips", x) for x in ("l0", "l1", "all")] == pytest.approx([-0.2, 0.2, 0.0])
    with pytest.raises(ScoringError, match=r"'s' to 'q4' in 'l0'"):
        flip_rows(student[~((student["question"] == "q4") & (student["language"] == "l0"))], teacher)


def test_the_table_is_the_parts_put_together() -> None:
    cells, vqa = study()
    table = stability_table(cells, vqa)
    assert len(check(table, STABILITY)) == len(table)
    assert set(table["construct"]) == {measure.name for measure in STABILITY_CONSTRUCTS}
    one = vqa[vqa["cell"] == "clip-half-kd-s1"]
    group = vqa[vqa["cell"].str.startswith("clip-half-kd-")]
    siglip = [vqa[vqa["cell"] == cell] for cell in ("siglip-half-none-s0", "siglip-teacher")]
    parts = {
        "siglip-half-none-s0": [run_stability_rows(siglip[0]), flip_rows(*siglip)],
        "clip-half-kd-s1": [run_stability_rows(one), flip_rows(one, vqa[vqa["cell"] == "clip-teacher"])],
        "clip-half-kd": [group_stability_rows(group, cells)],
        "clip-teacher": [run_stability_rows(vqa[vqa["cell"] == "clip-teacher"])],
    }
    for cell, frames in parts.items():
        key = ["language", "construct"]
        expected = pd.concat(frames).set_index(key)["score"].sort_index()
        got = table[table["cell"] == cell].set_index(key)["score"].sort_index()
        assert got.index.equals(expected.index)
        assert got.to_numpy() == pytest.approx(expected.to_numpy())
    groups = table[table["level"] == "group"]
    assert groups["seed"].isna().all()
    assert len(groups["cell"].unique()) == 4
    assert table.loc[table["cell"] == "clip-half-kd-s1", "seed"].eq(1).all()


def test_one_seed_has_no_churn() -> None:
    table = stability_table(*study(seeds=1))
    assert set(table["level"]) == {"run"}
    assert not table["score"].isna().any()


def test_the_table_refuses_what_does_not_belong_together() -> None:
    cells, vqa = study()
    with pytest.raises(ScoringError, match=r"only one of them has \['clip-half-kd-s0'\]"):
        stability_table(cells, vqa[vqa["cell"] != "clip-half-kd-s0"])
    teacherless = cells[cells["cell"] != "siglip-teacher"]
    with pytest.raises(ScoringError, match=r"'siglip': one teacher is needed, got \[\]"):
        stability_table(teacherless, vqa[vqa["cell"] != "siglip-teacher"])
    with pytest.raises(ScoringError, match="group clip-half-none: a seed repeats"):
        stability_table(cells.assign(seed=0), vqa)
    with pytest.raises(RecordError, match="missing columns"):
        stability_table(cells.drop(columns="flops"), vqa)


def test_answers_that_cannot_be_used_are_refused() -> None:
    good = answer_table(np.array([[0, 1]]), np.array([0, 0]))
    with pytest.raises(ScoringError, match="no answers"):
        pivot(good.iloc[:0])
    with pytest.raises(ScoringError, match="2 answers repeat"):
        pivot(pd.concat([good, good]))
    with pytest.raises(ScoringError, match="contradicts"):
        pivot(good.assign(correct=True))
    with pytest.raises(ScoringError, match="without a label"):
        pivot(good.assign(answer=-1, correct=False))
    with pytest.raises(ScoringError, match="negative options"):
        pivot(good.assign(chosen=-1, correct=False))


def test_the_study_is_fast_enough() -> None:
    cells, vqa = study(languages=28, questions=400, seeds=10)
    start = time.process_time()
    stability_table(cells, vqa)
    assert time.process_time() - start < 5.0  # 470,000 answers; 0.1 s on one free core
