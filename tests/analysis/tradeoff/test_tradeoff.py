"""The two rows of the table of contrasts read together: verdicts, the joint region, the front, pairs of measures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.contrasts import estimate, verdict
from analysis.data import load
from analysis.data.load import FACTORS, Outcome
from analysis.report import sentences
from analysis.settings import AnalysisSettings
from analysis.tradeoff import joint, measure_pairs, pareto, tradeoff

SETTINGS = AnalysisSettings()


def outcome(name: str, values: dict[str, np.ndarray], archs: tuple[str, ...] = ("a0", "a1")) -> Outcome:
    """Scores of runs: `values` are method -> [places, seeds]."""
    rows = [
        (f"{a}-half-{m}-s{k}", a, "half", m, k, float(v[i, k]))
        for m, v in values.items() for i, a in enumerate(archs) for k in range(v.shape[1])
    ]  # fmt: skip
    return Outcome(name, name, "", pd.DataFrame(rows, columns=[*FACTORS, "score"]), pd.DataFrame(), False, True, name)


def study_of(found: Outcome) -> Any:
    frame = found.frame
    methods = list(dict.fromkeys(frame["method"]))
    cells = frame[FACTORS].drop_duplicates()
    return cast(Any, SimpleNamespace(archs=sorted(set(frame["arch"])), sizes=["half"], methods=methods, headlines={},
                                     cells=cells))  # fmt: skip


def results(
    effects: dict[str, tuple[float, float]], seeds: int = 5, places: int = 2, sd: float = 1.0, seed: int = 17
) -> tuple[estimate.Result, estimate.Result]:
    """Run-level results of consistency and stability, each method with its true differences from the control."""
    rng = np.random.default_rng(seed)
    archs = tuple(f"a{i}" for i in range(places))
    found = []
    for i, name in enumerate(("consistency", "stability")):
        values = {"none": 50 + rng.normal(0, sd / 2, (places, seeds))}
        values |= {m: 50 + e[i] + rng.normal(0, sd / 2, (places, seeds)) for m, e in effects.items()}
        one = outcome(name, values, archs)
        found.append(estimate.analyse(one, study_of(one), SETTINGS))
    return found[0], found[1]


def average(consistency: float, stability: float, **options: Any) -> tradeoff.Tradeoff:
    [found] = tradeoff.averages(tradeoff.analyse(*results({"fd": (consistency, stability)}, **options), SETTINGS))
    return found


@pytest.mark.parametrize(
    ("consistency", "stability", "sd", "said", "expected"),
    [
        (6, -4, 1.0, verdict.COST, "Consistency cost stability with FD (consistency +6."),
        (6, 4, 1.0, verdict.BOTH_RAISED, "FD raised both"),
        (6, 0, 0.5, verdict.FREE, "FD raised consistency with stability within 2 points of the control's"),
        (9, 0, 7.0, verdict.GAIN, "raised consistency at a cost that is open"),
        (0, -4, 1.0, verdict.NONE, "No method raised consistency significantly"),
        (-6, -4, 1.0, verdict.BOTH_LOWERED, "FD lowered both"),
    ],
)
def test_the_verdict_follows_from_the_rows(
    consistency: float, stability: float, sd: float, said: str, expected: str
) -> None:
    found = average(consistency, stability, sd=sd)
    assert found.verdict == said
    assert expected in sentences.answer([found], SETTINGS)


def test_every_number_is_a_row_of_the_contrasts() -> None:
    pair = results({"fd": (3.0, -2.0), "sd": (1.0, 0.5)})
    for found in tradeoff.analyse(*pair, SETTINGS):
        for name, result in zip(joint.NAMES, pair, strict=True):
            table = result.contrasts
            here = (table["arch"] == found.arch) & (table["size"] == found.size) & (table["method"] == found.method)
            assert estimate.rows(table[here]) == [getattr(found, name)]
        if found.verdict == verdict.COST:
            assert found.consistency["ci_low"] > 0 > found.stability["ci_high"]
            assert found.p_tradeoff == max(found.consistency["p_adjusted"], found.stability["p_adjusted"])


def test_gains_and_costs_mirror_one_another() -> None:
    pair = results({"fd": (2.0, -1.5), "sd": (1.0, -0.7)})
    flipped = pair[1].outcome.frame.assign(score=100 - pair[1].outcome.frame["score"])
    mirror = estimate.analyse(replace(pair[1].outcome, frame=flipped), study_of(pair[1].outcome), SETTINGS)
    for ours, theirs in zip(
        tradeoff.analyse(*pair, SETTINGS), tradeoff.analyse(pair[0], mirror, SETTINGS), strict=True
    ):
        assert ours.p_both == pytest.approx(theirs.p_both)
        assert (ours.verdict == verdict.COST) == (theirs.verdict == verdict.BOTH_RAISED)
        assert ours.correlation == pytest.approx(-theirs.correlation)


def test_one_place_without_languages_is_the_textbook_hotelling_region() -> None:
    found = average(1.0, -0.5, seeds=8, places=1)
    x = found.points.to_numpy()
    cov = np.cov(x.T) / 8
    assert found.region is not None
    np.testing.assert_allclose(found.region.cov, cov, rtol=1e-9)
    assert found.correlation_df == pytest.approx(7)
    assert found.region.radius**2 == pytest.approx(2 * 7 / 6 * stats.f.isf(0.05, 2, 6), rel=0.02)


@pytest.mark.parametrize("df", [3.0, 6.0, 12.0, 40.0])
def test_with_one_number_of_degrees_of_freedom_the_radius_is_hotellings(df: float) -> None:
    expected = np.sqrt(2 * df / (df - 1) * stats.f.isf(0.05, 2, df - 1))
    assert joint.region_radius(df, df, df, 0.05) == pytest.approx(expected, rel=0.04)


def test_with_all_variances_known_the_radius_is_that_of_chi_squared() -> None:
    assert joint.region_radius(1e7, 1e7, 1e7, 0.05) == pytest.approx(np.sqrt(stats.chi2.isf(0.05, 2)), rel=0.01)


def test_every_point_of_the_outline_is_on_the_edge_of_the_region() -> None:
    region = average(3.0, -2.0).region
    assert region is not None
    away = region.outline() - region.centre
    distance = np.einsum("ij,jk,ik->i", away, np.linalg.inv(region.cov), away)
    np.testing.assert_allclose(distance, region.radius**2, rtol=1e-9)
    assert region.holds(region.centre + 0.99 * away[7])
    assert not region.holds(region.centre + 1.01 * away[7])


def test_two_blocks_have_intervals_but_no_region() -> None:
    found = average(6, -4, seeds=2, places=1, sd=0.2)
    assert np.isfinite(found.consistency["ci_low"])
    assert found.region is None
    assert len(found.ellipse()) == 0


def test_one_block_cannot_tell() -> None:
    found = average(6, -4, seeds=1, places=1)
    assert found.verdict == verdict.UNKNOWN
    assert np.isnan(found.p_tradeoff)
    assert "cannot tell" in sentences.answer([found], SETTINGS)


def test_the_method_by_task_contrast_is_a_paired_t_test() -> None:
    found = average(1.0, -0.5, seeds=8, places=1)
    expected = stats.ttest_rel(found.points["stability"], found.points["consistency"])
    assert found.task["p"] == pytest.approx(expected.pvalue)
    assert (found.task["ci_low"], found.task["ci_high"]) == pytest.approx(tuple(expected.confidence_interval()))


def test_the_pareto_front_holds_what_nothing_beats() -> None:
    pair = results({"fd": (3.0, -2.0), "ed": (2.0, 1.0), "sd": (1.0, 0.0)}, sd=0.2)
    found = tradeoff.averages(tradeoff.analyse(*pair, SETTINGS))
    front = pareto.front(found, *pair, "none").set_index("method")
    assert front["member"].to_dict() == {"none": False, "fd": True, "ed": True, "sd": False}
    assert front.loc["ed", "probability"] == 1
    assert front.loc["sd", "probability"] == 0
    said = sentences.front_sentence(front.reset_index())
    assert "FD (100 % of bootstrap draws) and ED (100 % of bootstrap draws)" in said
    single = results({"fd": (1.0, 1.0)}, seeds=1)
    assert pareto.front(tradeoff.averages(tradeoff.analyse(*single, SETTINGS)), *single, "none").empty


def test_a_price_that_the_average_hides_is_found_where_it_was_paid() -> None:
    rng = np.random.default_rng(3)
    pair = []
    for name, gains in (("consistency", (4.0, 4.0)), ("stability", (5.0, -5.0))):
        none = 50 + rng.normal(0, 0.2, (2, 6))
        one = outcome(name, {"none": none, "sd": none + np.array(gains)[:, None] + rng.normal(0, 0.2, (2, 6))})
        pair.append(estimate.analyse(one, study_of(one), SETTINGS))
    found = tradeoff.analyse(pair[0], pair[1], SETTINGS)
    assert abs(tradeoff.averages(found)[0].mean[1]) < 0.5
    places = {t.arch: t for t in tradeoff.by_place(found)}
    assert places["a1"].verdict == verdict.COST
    assert places["a0"].verdict == verdict.BOTH_RAISED
    said = sentences.places_sentence(tradeoff.by_place(found))
    assert "consistency raised at the cost of stability in a1 half by SD" in said
    assert "both raised in a0 half by SD" in said
    assert tradeoff.by_place(tradeoff.analyse(*results({"sd": (1.0, 1.0)}, places=1), SETTINGS)) == []


def test_pairs_of_measures_that_disagree_are_named() -> None:
    first, second = results({"fd": (6.0, -4.0), "sd": (6.0, 4.0)})
    other = results({"fd": (6.0, 4.0), "sd": (6.0, 4.0)}, seed=3)[1]
    main = tradeoff.analyse(first, second, SETTINGS)
    pairs = [
        measure_pairs.ConstructPair("consistency", "stability", True, main),
        measure_pairs.ConstructPair("consistency", "both_right", False, tradeoff.analyse(first, other, SETTINGS)),
    ]
    found = measure_pairs.disagreements(pairs)
    assert {d.method for d in found} == {"fd"}
    whole = next(d for d in found if d.arch == "average")
    assert list(whole.verdicts.values()) == [verdict.COST, verdict.BOTH_RAISED]
    assert whole.about_cost


def test_a_study_has_its_trade_off_under_three_pairs_of_measures(medium: Path) -> None:
    study = load.load(medium, SETTINGS)
    every = {
        n: estimate.analyse(o, study, SETTINGS, checks=False)
        for n, o in {**study.headlines, **study.secondary}.items()
        if n in ("consistency", "stability", *measure_pairs.secondary_measures(list(study.secondary)))
    }
    main = tradeoff.analyse(every["consistency"], every["stability"], SETTINGS)
    pairs = measure_pairs.analyse(main, every, SETTINGS)
    assert [(p.consistency, p.stability) for p in pairs] == [
        ("rbo_excess", "shared_right"), ("rbo_gold_deleted", "agreement"), ("centred_cosine", "both_right"),
    ]  # fmt: skip
    assert [p.primary for p in pairs] == [True, False, False]
    for pair in pairs:
        assert {t.populations for t in pair.tradeoffs} == {(estimate.LIKE_THESE, estimate.LIKE_THESE)}
        assert {t.consistency["measure"] for t in pair.tradeoffs} == {pair.consistency}
    # Scores that are multiples of one another come to one verdict, so only stability can make a difference.
    for found in measure_pairs.disagreements(pairs):
        assert set(found.verdicts) <= {(p.consistency, p.stability) for p in pairs}


def test_the_correlation_over_runs_is_pearsons_and_says_when_it_has_no_interval() -> None:
    pair = results({"fd": (1.0, -1.0), "sd": (0.5, 0.5)})
    found = tradeoff.averages(tradeoff.analyse(*pair, SETTINGS))
    stacked = pd.concat([t.points for t in found])
    r = tradeoff.correlation(found)
    assert r is not None
    assert r.estimate == pytest.approx(stats.pearsonr(stacked["consistency"], stacked["stability"])[0])
    assert r.low < r.estimate < r.high
    few = tradeoff.averages(tradeoff.analyse(*results({"fd": (1.0, -1.0)}, seeds=4, places=1), SETTINGS))
    short = tradeoff.correlation(few)
    assert short is not None
    assert np.isnan(short.low)


def test_no_cost_is_claimed_where_both_intervals_hold_zero() -> None:
    # Blocks' differences with a one-sided p of .035 each, two-sided .07: the numbers are exact.
    z = np.array([-1.2, -0.6, 0.0, 0.2, 0.5, 1.1])
    z = (z - z.mean()) / z.std(ddof=1)
    reach = stats.t.isf(0.035, 5) / np.sqrt(6)
    none = np.full((1, 6), 50.0) + np.arange(6)
    pair = []
    for name, moved in (("consistency", z + reach), ("stability", -(np.roll(z, 2) + reach))):
        one = outcome(name, {"none": none, "fd": none + moved}, ("a0",))
        pair.append(estimate.analyse(one, study_of(one), SETTINGS))
    [found] = tradeoff.averages(tradeoff.analyse(pair[0], pair[1], SETTINGS))
    assert found.consistency["p"] == pytest.approx(0.07)
    assert found.consistency["ci_low"] < 0 < found.stability["ci_high"]
    assert found.verdict == verdict.NONE
    assert sentences.answer([found], SETTINGS).startswith("No method raised consistency significantly")
