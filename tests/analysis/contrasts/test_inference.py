"""Intervals and adjusted p agree by construction; closed forms, scipy and R's tables where there are some."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.contrasts import inference, verdict
from analysis.contrasts.inference import Family
from analysis.mixed.design import AVERAGE, contrast_families
from analysis.settings import AnalysisSettings


def rows(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"estimate": rng.normal(0, 2.5, count), "se": rng.uniform(0.3, 1.5, count),
                         "df": rng.uniform(2.5, 60, count)})  # fmt: skip


def families(count: int, kind: str, widened: int) -> list[Family]:
    matrix = np.full((count, count), 0.5) + 0.5 * np.eye(count)
    if kind == "paired":
        return [Family("f", range(count), matrix, np.arange(count), matrix, widened)]
    return [Family("f", range(count), matrix if kind == "dunnett" else None, widened=widened)]


@pytest.mark.parametrize("widened", [1, 4])
@pytest.mark.parametrize("kind", ["dunnett", "paired", "bonferroni"])
@pytest.mark.parametrize("seed", range(4))
def test_interval_and_p_say_the_same(kind: str, widened: int, seed: int) -> None:
    points = 1.5
    table = inference.judge(rows(12, seed), families(12, kind, widened), 0.05, points)
    outside = (table["ci_low"] > 0) | (table["ci_high"] < 0)
    within = (table["ci_low"] > -points) & (table["ci_high"] < points)
    assert (outside == (table["p_adjusted"] < 0.05)).all()
    assert (within == (table["p_equivalent"] < 0.05)).all()
    assert outside.any()
    assert (table["p_adjusted"] >= table["p"]).all()
    assert (table["tests"] == 12 * widened).all()


@pytest.mark.parametrize("kind", ["dunnett", "paired", "bonferroni"])
def test_the_interval_ends_where_the_p_is_the_level(kind: str) -> None:
    [family] = families(5, kind, 1)
    df = np.array([4.0, 4.0, 9.0, 20.0, 55.0])
    found = family.largest(np.ones(5, dtype=bool), df)
    for nu in df:
        assert found.chance(found.critical(0.05, nu), nu) == pytest.approx(0.05, abs=1e-8)


def test_critical_values_are_dunnetts() -> None:
    # Dunnett (1964), two-sided 5 %, treatments and degrees of freedom: table values to two digits.
    for treatments, df, value in ((3, 16, 2.59), (5, 20, 2.74), (5, 10, 3.0), (2, 6, 2.86)):
        matrix = np.full((treatments, treatments), 0.5) + 0.5 * np.eye(treatments)
        assert inference.largest(matrix).critical(0.05, df) == pytest.approx(value, abs=0.07)


def test_all_pairs_are_tukeys() -> None:
    contrasts = np.array([[1, -1, 0, 0], [1, 0, -1, 0], [1, 0, 0, -1], [0, 1, -1, 0], [0, 1, 0, -1], [0, 0, 1, -1]])
    found = inference.largest(inference.correlation(contrasts @ contrasts.T)).critical(0.05, 20)
    assert found == pytest.approx(stats.studentized_range.isf(0.05, 4, 20) / np.sqrt(2), abs=5e-3)


def test_independent_contrasts_are_sidaks_where_variances_are_known() -> None:
    found = inference.largest(np.eye(4)).critical(0.05, 1e6)
    assert found == pytest.approx(stats.norm.isf((1 - 0.95**0.25) / 2), abs=5e-3)


def test_one_contrast_is_a_t_test() -> None:
    table = inference.judge(rows(1), families(1, "dunnett", 1), 0.05, 1.0)
    row = table.iloc[0]
    assert row["p_adjusted"] == row["p"]
    half = stats.t.isf(0.025, row["df"]) * row["se"]
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((row["estimate"] - half, row["estimate"] + half))


def test_a_standard_deviation_that_contrasts_share_is_shared() -> None:
    # One method in two places: with one deviation for both, the largest |t| is Dunnett's with correlation 0.
    df = np.array([4.0, 4.0])
    shared = inference.largest_paired(df, np.eye(2), np.array([0, 0]), np.eye(1), power=16)
    assert shared.critical(0.05, 4.0) == pytest.approx(inference.largest(np.eye(2)).critical(0.05, 4.0), abs=0.04)
    own = inference.largest_paired(df, np.eye(2), np.array([0, 1]), np.eye(2), power=16)
    sidak = stats.t.isf((1 - np.sqrt(0.95)) / 2, 4)
    assert own.critical(0.05, 4.0) == pytest.approx(sidak, abs=0.04)


@pytest.mark.parametrize("seeds", [3, 8])
def test_simultaneous_intervals_hold_all_differences_at_once(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    runs = rng.normal(size=(4000, 2, seeds, 6))
    gaps = runs[..., 1:] - runs[..., :1]
    df = 2 * (seeds - 1)
    spread = np.sqrt(((gaps - gaps.mean(axis=2, keepdims=True)) ** 2).sum(axis=(1, 2)) / df)
    matrix = np.full((5, 5), 0.5) + 0.5 * np.eye(5)
    # Ten rows: each method in each of two places, a method's deviation pooled over both.
    owner = np.tile(np.arange(5), 2)
    found = inference.largest_paired(np.full(10, float(df)), np.kron(np.eye(2), matrix), owner, matrix)
    t = np.abs(gaps.mean(axis=2)) / (spread / np.sqrt(seeds))[:, None, :]
    missed = (t.max(axis=(1, 2)) > found.critical(0.05, df)).mean()
    assert missed == pytest.approx(0.05, abs=0.012)


def test_nothing_that_varies_gives_no_interval() -> None:
    table = pd.DataFrame({"estimate": [1.0, 2.0], "se": [0.0, 0.5], "df": [4.0, 4.0]})
    found = inference.judge(table, families(2, "dunnett", 1), 0.05, 1.0)
    assert found.loc[0, ["ci_low", "p", "p_adjusted", "p_equivalent"]].isna().all()
    assert found.loc[1, "p_adjusted"] == pytest.approx(found.loc[1, "p"])  # the only one that can be judged


def test_declared_contrasts_are_a_family_and_others_do_not_pay_for_them() -> None:
    keys = [((AVERAGE, AVERAGE), m) for m in ("fd", "ed", "sd")] + [(("clip", "half"), "fd"), (("clip", AVERAGE), "fd")]
    found = contrast_families("consistency", keys, AnalysisSettings(contrasts=("sd",)))
    assert [(rows, widened) for _, rows, widened in found] == [([0, 1], 1), ([2], 1), ([3], 1), ([4], 1)]
    assert len({name for name, _, _ in found}) == 4
    wide = contrast_families("consistency", keys, AnalysisSettings(family="study"))
    assert [(rows, widened) for _, rows, widened in wide] == [([0, 1, 2], 4), ([3], 1), ([4], 1)]


@pytest.mark.parametrize(
    ("p", "equivalent", "estimate", "said"),
    [
        (0.01, 1.0, 2.0, verdict.RAISED),
        (0.01, 0.001, -0.2, verdict.LOWERED),
        (0.2, 0.01, 0.1, verdict.EQUIVALENT),
        (0.2, 0.2, 3.0, verdict.OPEN),
        (np.nan, np.nan, 3.0, verdict.UNKNOWN),
    ],
)
def test_verdicts(p: float, equivalent: float, estimate: float, said: str) -> None:
    assert verdict.verdict({"p_adjusted": p, "p_equivalent": equivalent, "estimate": estimate}, 0.05) == said
