"""The checks beside the declared test, against closed forms, scipy and statsmodels."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

from analysis.contrasts import effects, inference, profile, robust
from analysis.mixed.design import Layout


def runs(methods: tuple[str, ...], seeds: int, places: int = 1, seed: int = 0) -> tuple[pd.DataFrame, Layout]:
    rng = np.random.default_rng(seed)
    rows = []
    for arch in range(places):
        for run in range(seeds):
            block = rng.normal()
            rows += [(f"a{arch}", "half", m, run, 50 + block + rng.normal() * (1 + i)) for i, m in enumerate(methods)]
    frame = pd.DataFrame(rows, columns=["arch", "size", "method", "seed", "score"])
    study = cast(Any, SimpleNamespace(archs=sorted(set(frame["arch"])), sizes=["half"], methods=list(methods)))
    return frame, Layout.of(frame, study, methods[0])


def test_hc2_of_one_method_is_the_paired_t_test() -> None:
    frame, layout = runs(("none", "fd"), 7)
    [row] = robust.hc2(frame, layout).to_dict("records")
    wide = frame.pivot_table(index="seed", columns="method", values="score")
    found = stats.ttest_rel(wide["fd"], wide["none"])
    assert row["estimate"] == pytest.approx((wide["fd"] - wide["none"]).mean())
    assert row["estimate"] / row["se"] == pytest.approx(found.statistic)
    assert row["df"] == pytest.approx(6)


def test_hc2_errors_are_those_of_statsmodels() -> None:
    frame, layout = runs(("none", "fd", "sd"), 5, places=2)
    table = robust.hc2(frame, layout).set_index("method")
    block = pd.get_dummies(frame["arch"] + frame["seed"].astype(str)).to_numpy(float)
    names = [(a, m) for a in ("a0", "a1") for m in ("fd", "sd")]
    effect = np.column_stack([(frame["arch"] == a) & (frame["method"] == m) for a, m in names]).astype(float)
    fit = OLS(frame["score"].to_numpy(), np.hstack([block, effect])).fit(cov_type="HC2")
    for method in ("fd", "sd"):
        vector = np.append(np.zeros(block.shape[1]), [0.5 * (m == method) for _, m in names])
        test = fit.t_test(vector)
        assert table.loc[method, "estimate"] == pytest.approx(float(test.effect[0]))
        assert table.loc[method, "se"] == pytest.approx(float(test.sd[0, 0]))
    # Fewer than the residual's 16: the runs of two methods weigh on each contrast, not those of all three alike.
    assert table["df"].between(8, 16, inclusive="neither").all()


def test_a_place_with_one_seed_has_no_hc2_interval() -> None:
    frame, layout = runs(("none", "fd"), 1)
    assert robust.hc2(frame, layout)["se"].isna().all()


def blocks(values: np.ndarray) -> pd.Series:
    index = pd.MultiIndex.from_tuples([("a", "half", i) for i in range(len(values))], names=["arch", "size", "seed"])
    return pd.Series(values, index)


def test_swaps_are_scipys_exact_permutation_test() -> None:
    values = np.random.default_rng(1).normal(0.6, 1, 9)
    exact = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert robust.swap_test(blocks(values)) == pytest.approx(exact.pvalue)
    many = np.random.default_rng(2).normal(0.3, 1, 20)
    drawn = stats.permutation_test((many,), np.mean, permutation_type="samples", n_resamples=20_000, rng=0)
    assert robust.swap_test(blocks(many)) == pytest.approx(drawn.pvalue, abs=0.015)


def test_too_few_blocks_for_swaps_are_said_and_not_printed() -> None:
    assert np.isnan(robust.swap_test(blocks(np.full(5, 3.0))))
    assert robust.swap_test(blocks(np.full(6, 3.0))) == pytest.approx(2 / 64)


def test_run_level_pairs_are_paired_t_tests_with_bonferroni() -> None:
    frame, layout = runs(("none", "fd", "sd", "dr"), 6)
    table = effects.run_level_pairs(frame, layout, 0.05)
    wide = frame.pivot_table(index="seed", columns="method", values="score")
    plain = [stats.ttest_rel(wide[b], wide[a]).pvalue for a, b in zip(table["first"], table["second"], strict=True)]
    np.testing.assert_allclose(table["p"], plain)
    np.testing.assert_allclose(table["p_adjusted"], np.minimum(3 * np.array(plain), 1))
    assert "none" not in set(table["first"])


def test_standardised_differences_are_cohens_d_z() -> None:
    frame, _ = runs(("none", "fd"), 8)
    wide = frame.pivot_table(index=["arch", "size", "seed"], columns="method", values="score")
    gap = wide["fd"] - wide["none"]
    assert effects.spread_of_differences(gap.to_frame("fd"))["fd"] == pytest.approx(gap.std(ddof=1))


def test_probability_of_improvement_is_mann_whitneys_u() -> None:
    frame, _ = runs(("none", "fd"), 9)
    table = profile.summary(frame, ["none", "fd"], "none").set_index("method")
    ours, theirs = (frame.loc[frame["method"] == m, "score"] for m in ("fd", "none"))
    u = stats.mannwhitneyu(ours, theirs).statistic / 81
    assert table.loc["fd", "improvement"] == pytest.approx(u)
    assert table.loc["fd", "improvement_low"] <= u <= table.loc["fd", "improvement_high"]
    less = profile.summary(frame, ["none", "fd"], "none", higher_is_better=False).set_index("method")
    assert less.loc["fd", "improvement"] == pytest.approx(1 - u)
    assert table["improvement"].isna().tolist() == [True, False]
    middle = np.sort(ours)[2:-2]
    assert table.loc["fd", "iqm"] == pytest.approx(middle.mean())


def test_churn_is_compared_over_the_cells() -> None:
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        [("a", s, m, rng.normal()) for s in ("half", "third", "quarter") for m in ("none", "fd")],
        columns=["arch", "size", "method", "score"],
    )
    [row] = effects.by_cell(table, ["none", "fd"], "none", 0.05).to_dict("records")
    wide = table.pivot_table(index="size", columns="method", values="score")
    assert row["p"] == pytest.approx(stats.ttest_rel(wide["fd"], wide["none"]).pvalue)
    one = effects.by_cell(table[table["size"] == "half"], ["none", "fd"], "none", 0.05)
    assert one["estimate"].notna().all()
    assert one["p"].isna().all()


def test_holm_is_statsmodels() -> None:
    p = [0.04, 0.001, 0.02, 0.9, 0.02]
    np.testing.assert_allclose(inference.holm(p), multipletests(p, method="holm")[1])
    assert inference.holm([]) == []


def kinds(counts: dict[str, list[float]]) -> pd.DataFrame:
    rows = [(f"{m}-s{k}", "a", "half", m, v) for m, values in counts.items() for k, v in enumerate(values)]
    return pd.DataFrame(rows, columns=["cell", "arch", "size", "method", "score"])


def test_a_run_far_from_those_of_its_kind_is_outlying() -> None:
    table = kinds({"none": [40, 40.4, 39.7, 40.2], "fd": [43, 43.5, 42.8, 2.0]})
    assert robust.outlying(table) == ("fd-s3",)
    assert robust.outlying(table[table["cell"] != "fd-s3"]) == ()


def test_a_noisy_method_has_no_outlier_for_its_noise() -> None:
    rng = np.random.default_rng(0)
    named = [
        robust.outlying(kinds({"none": list(rng.normal(0, 1, 5)), "fd": list(rng.normal(0, 1, 5)),
                               "mcl": list(rng.normal(0, 5, 5))}))
        for _ in range(300)
    ]  # fmt: skip
    assert np.mean([bool(found) for found in named]) < 0.05


def test_of_two_runs_neither_is_the_odd_one() -> None:
    assert robust.outlying(kinds({"none": [40, 41], "fd": [43, 2]})) == ()
