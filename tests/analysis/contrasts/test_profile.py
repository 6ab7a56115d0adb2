"""Intervals of run-level summaries: scipy's, closed forms, and how often they hold the true value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.contrasts import profile


def test_one_place_has_yuens_standard_error() -> None:
    rng = np.random.default_rng(0)
    ours, zero = rng.normal(3, 1, 12), np.zeros(12)
    estimate, low, high = profile.trimmed_mean([ours], 0.05)
    assert estimate == pytest.approx(stats.trim_mean(ours, 0.25))
    # Yuen's test against scores that do not vary is the one-sample test; its df are those of the kept runs.
    yuen = stats.ttest_ind(ours, zero, trim=0.25, equal_var=False)
    half = estimate / yuen.statistic * stats.t.isf(0.025, 5)
    assert (low, high) == pytest.approx((estimate - half, estimate + half))


def test_three_seeds_have_students_interval_of_the_mean() -> None:
    values = np.array([1.0, 2.0, 4.5])
    estimate, low, high = profile.trimmed_mean([values], 0.05)
    assert estimate == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval(0.95))


def test_places_are_trimmed_apart_and_their_spread_is_pooled() -> None:
    large, small = np.array([90.0, 91.0, 92.5]), np.array([10.0, 12.0, 11.5])
    estimate, low, high = profile.trimmed_mean([large, small], 0.05)
    assert estimate == pytest.approx((large.mean() + small.mean()) / 2)
    pooled = (large.var(ddof=1) + small.var(ddof=1)) / 2
    half = stats.t.isf(0.025, 4) * np.sqrt(pooled * 2 / 3 / 4)
    assert (low, high) == pytest.approx((estimate - half, estimate + half))


def test_a_diverged_run_moves_the_interquartile_mean_little() -> None:
    values = np.array([50.0, 51.0, 52.0, 53.0, 2.0])
    estimate, low, high = profile.trimmed_mean([values], 0.05)
    assert estimate == pytest.approx(51.0)
    assert low < 51.0 < high


def test_what_does_not_repeat_or_vary_has_no_interval() -> None:
    assert np.isnan(profile.trimmed_mean([np.array([1.0]), np.array([2.0])], 0.05)[1:]).all()
    assert np.isnan(profile.trimmed_mean([np.full(5, 7.0)], 0.05)[1:]).all()
    assert np.isnan(profile.improvement([(np.array([1.0]), np.array([0.0]))], 0.05)[1:]).all()


def test_the_ends_of_the_improvement_interval_solve_newcombes_equation() -> None:
    rng = np.random.default_rng(2)
    ours, theirs = rng.normal(0.8, 1, 9), rng.normal(0, 1, 7)
    estimate, low, high = profile.improvement([(ours, theirs)], 0.05)
    assert estimate == pytest.approx(stats.mannwhitneyu(ours, theirs).statistic / 63)
    for end in (low, high):
        # Newcombe 2006, method 5, written out.
        star = (9 + 7) / 2 - 1
        variance = end * (1 - end) * (1 + star * (1 - end) / (2 - end) + star * end / (1 + end)) / 63
        assert abs(estimate - end) == pytest.approx(stats.t.isf(0.025, 14) * np.sqrt(variance), abs=1e-8)


def test_all_runs_ahead_is_not_certainty_and_three_against_three_no_finding() -> None:
    ahead = (np.array([5.0, 6.0, 7.0]), np.array([1.0, 2.0, 3.0]))
    estimate, low, high = profile.improvement([ahead], 0.05)
    assert (estimate, high) == (1.0, 1.0)
    assert 0.2 < low < 0.5  # the exact two-sided p of 3 against 3 is 0.1
    assert profile.improvement([ahead[::-1]], 0.05) == pytest.approx((0.0, 0.0, 1 - low))
    assert profile.improvement([ahead] * 4, 0.05)[1] > 0.5


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_hold_the_true_value_at_few_seeds(seeds: int) -> None:
    rng, studies, held = np.random.default_rng(seeds), 500, np.zeros(2)
    truth = float(stats.norm.cdf(1.2 / np.sqrt(2)))
    for _ in range(studies):
        places = [(rng.normal(1.2, 1, seeds), rng.normal(0, 1, seeds)) for _ in range(2)]
        middle = profile.trimmed_mean([ours for ours, _ in places], 0.05)
        better = profile.improvement(places, 0.05)
        held += [middle[1] <= 1.2 <= middle[2], better[1] <= truth <= better[2]]
    # 3 Monte-Carlo standard errors are 3 %: a percentile bootstrap holds 85 % at 3 seeds.
    assert (held / studies > 0.92).all()
    assert held[0] / studies < 0.98


def test_the_summary_has_a_row_for_every_method_that_ran() -> None:
    rng = np.random.default_rng(4)
    rows = [("a", s, m, i, rng.normal(50 + (m == "fd"), 1)) for s in ("half", "quarter") for m in ("none", "fd")
            for i in range(3)]  # fmt: skip
    scores = pd.DataFrame(rows, columns=["arch", "size", "method", "seed", "score"])
    table = profile.summary(scores, ["none", "fd", "sd"], "none", alpha=0.1)
    assert list(table.columns) == profile.COLUMNS
    assert table["method"].tolist() == ["none", "fd"]
    wider = profile.summary(scores, ["none", "fd"], "none", alpha=0.01)
    assert (wider["iqm_high"] > table["iqm_high"]).all()
    assert wider["improvement_low"].iloc[1] < table["improvement_low"].iloc[1]
