"""Known effects are found, adjusted p values agree with Dunnett's, degenerate designs are survived."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.contrasts import estimate, inference, languages, paired
from analysis.data import load
from analysis.mixed import blup, design
from analysis.report import diagnostics
from analysis.sensitivity import influence, statsmodels_check
from analysis.settings import AnalysisSettings
from tests.analysis import simulate


@pytest.fixture(scope="module")
def study(medium: Path) -> load.StudyData:
    return load.load(medium, AnalysisSettings())


@pytest.fixture(scope="module")
def results(study: load.StudyData) -> dict[str, estimate.Result]:
    return {name: estimate.analyse(o, study, AnalysisSettings()) for name, o in study.headlines.items()}


def by_method(result: estimate.Result) -> dict[str, dict[str, Any]]:
    return {row["method"]: row for row in estimate.rows(result.marginal())}


@pytest.mark.parametrize(("outcome", "index"), [("retrieval", 0), ("consistency", 1)])
def test_known_effects_lie_in_wider_intervals(
    results: dict[str, estimate.Result], medium_plan: simulate.Plan, outcome: str, index: int
) -> None:
    table = by_method(results[outcome])
    for method in ("fd", "sd", "dr"):
        row = table[method]
        # Four standard errors: the test fails on a wrong estimate or on a standard error that is far too small.
        assert abs(row["estimate"] - medium_plan.effects[method][index]) < 4 * row["se"]
        assert row["se"] < 1.5
        assert row["ci_low"] < row["estimate"] < row["ci_high"]
        assert row["p"] <= row["p_adjusted"] <= min(1, 3 * row["p"]) + 1e-12
    assert table["fd"]["p_adjusted"] < 0.001


def test_no_effect_of_dr_on_consistency_is_no_finding(results: dict[str, estimate.Result]) -> None:
    row = by_method(results["consistency"])["dr"]
    assert row["p_adjusted"] > 0.05


def test_stability_falls_for_sd(study: load.StudyData, results: dict[str, estimate.Result]) -> None:
    by_language = results["stability"]
    assert by_language.procedure == estimate.REML
    assert by_language.population == estimate.LIKE_THESE
    runs = estimate.analyse(study.secondary["stability:alpha"], study, AnalysisSettings())
    row = by_method(runs)["sd"]
    assert (runs.procedure, runs.population) == (estimate.PAIRED, estimate.TESTED)
    assert row["estimate"] < 0
    assert row["df"] == 6  # two architectures of four blocks


def test_paired_t_is_scipys_on_one_place(study: load.StudyData) -> None:
    frame = study.secondary["stability:alpha"].frame
    one = frame[frame["arch"] == "clip"]
    outcome = replace(study.secondary["stability:alpha"], frame=one)
    found = by_method(estimate.analyse(outcome, replace(study, archs=["clip"]), AnalysisSettings()))
    wide = one.pivot(index="seed", columns="method", values="score")
    for method in ("fd", "sd", "dr"):
        expected = stats.ttest_rel(wide[method], wide["none"])
        row = found[method]
        np.testing.assert_allclose(row["p"], expected.pvalue, rtol=1e-9)
        # Three methods share the level, so the interval lies between that of one test and Bonferroni's.
        plain, wide_one = (expected.confidence_interval(1 - 0.05 / tests) for tests in (1, 3))
        assert wide_one.low <= row["ci_low"] < plain.low < plain.high < row["ci_high"] <= wide_one.high


def test_places_average_to_the_marginal_contrast(results: dict[str, estimate.Result]) -> None:
    table = results["retrieval"].contrasts
    places = table[table["arch"] != design.AVERAGE].groupby("method")["estimate"].mean()
    marginal = results["retrieval"].marginal().set_index("method")["estimate"]
    np.testing.assert_allclose(places[marginal.index], marginal, rtol=1e-9)
    assert set(table["arch"]) == {design.AVERAGE, "clip", "siglip2"}


def test_only_averages_of_primary_outcomes_are_confirmatory(study: load.StudyData) -> None:
    table = estimate.analyse(study.headlines["stability"], study, AnalysisSettings(primary=("retrieval",))).contrasts
    assert table["exploratory"].all()
    table = estimate.analyse(study.headlines["stability"], study, AnalysisSettings(primary=("stability",))).contrasts
    assert list(table.loc[~table["exploratory"], "arch"].unique()) == [design.AVERAGE]


def test_contrasts_that_were_not_declared_are_exploratory(study: load.StudyData) -> None:
    table = estimate.analyse(study.headlines["stability"], study, AnalysisSettings(contrasts=("sd",))).contrasts
    assert set(table.loc[~table["exploratory"], "contrast"]) == {"sd - none"}


def test_the_wide_family_pays_for_every_primary_outcome(study: load.StudyData) -> None:
    narrow = estimate.analyse(study.headlines["stability"], study, AnalysisSettings()).marginal()
    wide = estimate.analyse(study.headlines["stability"], study, AnalysisSettings(family="study")).marginal()
    np.testing.assert_allclose(wide["p_adjusted"], (4 * narrow["p_adjusted"]).clip(upper=1))
    np.testing.assert_allclose(wide["p"], narrow["p"])


def test_five_analyses_stand_side_by_side(study: load.StudyData, results: dict[str, estimate.Result]) -> None:
    table = results["retrieval"].sensitivity
    assert table["analysis"].nunique() == 5
    assert list(table.columns) == estimate.SENSITIVITY
    spread = table.groupby("method")["estimate"].agg(lambda e: e.max() - e.min())
    assert (spread < 1e-6).all()  # balanced data: they differ in their errors alone
    assert estimate.ACCURACY in set(results["stability"].sensitivity["analysis"])
    runs = estimate.analyse(study.secondary["stability:alpha"], study, AnalysisSettings())
    assert runs.sensitivity["analysis"].nunique() == 3


def test_means_and_pairs_of_the_model_hang_together(results: dict[str, estimate.Result]) -> None:
    for result in (results["retrieval"], results["stability"]):
        means = result.means[result.means["arch"] == design.AVERAGE].set_index("method")["estimate"]
        expected = means[result.pairs["second"]].to_numpy() - means[result.pairs["first"]].to_numpy()
        np.testing.assert_allclose(result.pairs["estimate"], expected, atol=1e-6)
        assert len(result.pairs) == 3  # the control's differences are in the table of contrasts
        assert (result.pairs["p_adjusted"] >= result.pairs["p"]).all()


def test_one_language_that_stands_apart_is_drawn_in_and_found_by_leaving_it_out(study: load.StudyData) -> None:
    outcome = study.headlines["retrieval"]
    odd = (outcome.frame["language"] == "tr") & (outcome.frame["method"] == "fd")
    planted = replace(outcome, frame=outcome.frame.assign(score=outcome.frame["score"] + 30.0 * odd))
    result = estimate.analyse(planted, study, AnalysisSettings())
    assert result.fit is not None
    assert result.design is not None
    table = blup.language_differences(result.fit, planted, result.design, 0.05)
    row = table[(table["language"] == "tr") & (table["method"] == "fd")].iloc[0]
    rest = table[(table["language"] != "tr") & (table["method"] == "fd")]
    assert rest["estimate"].max() < row["estimate"] < row["observed"]
    assert (rest["low"] < rest["estimate"]).all()
    found = influence.leave_out(planted, study, AnalysisSettings(), result.fit)
    without = found.languages.query("left_out == 'tr' and method == 'fd'")["estimate"].item()
    whole = result.marginal().set_index("method").loc["fd", "estimate"]
    assert whole - without == pytest.approx(30 / 12, abs=0.6)
    assert "FD without Turkish" in diagnostics.influence_phrase(found, result)
    assert len(found.seeds) == 4 * 3


def test_one_language_is_a_paired_t_of_its_own_scores(study: load.StudyData) -> None:
    outcome = study.headlines["retrieval"]
    table = languages.contrast_table(outcome, study.methods, AnalysisSettings())
    assert len(table) == 12 * 3
    assert table["exploratory"].all()
    assert (table["p_adjusted"] >= table["p"]).all()
    one = outcome.frame[(outcome.frame["arch"] == "clip") & (outcome.frame["language"] == "tr")]
    [row] = (
        languages.contrast_table(replace(outcome, frame=one), ["none", "sd"], AnalysisSettings())
        .query("contrast == 'sd - none'").to_dict("records")
    )  # fmt: skip
    wide = one.pivot(index="seed", columns="method", values="score")
    expected = stats.ttest_rel(wide["sd"], wide["none"])
    np.testing.assert_allclose([row["p"], row["df"]], [expected.pvalue, 3], rtol=1e-9)
    # 1 method in 1 language: a family of one
    np.testing.assert_allclose([row["ci_low"], row["ci_high"]], expected.confidence_interval(), rtol=1e-9)
    assert languages.contrast_table(study.secondary["stability:alpha"], study.methods, AnalysisSettings()).empty


def test_adjusted_p_agrees_with_scipys_dunnett() -> None:
    rng = np.random.default_rng(3)
    control, samples = rng.normal(0, 1, 9), [rng.normal(m, 1, 9) for m in (0.4, 0.9, 1.3)]
    expected = stats.dunnett(*samples, control=control, rng=np.random.default_rng(1))
    pooled = np.mean([np.var(g, ddof=1) for g in (control, *samples)])
    t = np.array([(s.mean() - control.mean()) / np.sqrt(2 * pooled / 9) for s in samples])
    correlation = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
    found = inference.dunnett(t, np.full(3, 32.0), correlation)
    np.testing.assert_allclose(found, expected.pvalue, atol=1e-3)


def test_critical_value_of_dunnetts_table() -> None:
    # Dunnett (1964), two-sided 5 %, three treatments, 16 degrees of freedom: 2.59.
    correlation = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
    assert inference.dunnett(np.full(3, 2.59), np.full(3, 16.0), correlation)[0] == pytest.approx(0.05, abs=6e-4)


@pytest.mark.parametrize("seeds", [3, 10])
def test_paired_ts_with_their_own_deviations_reject_in_5_percent_of_families(seeds: int) -> None:
    rng = np.random.default_rng(5)
    runs = rng.normal(size=(20_000, 2, seeds, 6))  # data sets, places, seeds, control and five methods
    gaps = runs[..., 1:] - runs[..., :1]
    df = 2 * (seeds - 1)
    spread = np.sqrt(((gaps - gaps.mean(axis=2, keepdims=True)) ** 2).sum(axis=(1, 2)) / df / (2 * seeds))
    largest = np.abs(gaps.mean(axis=(1, 2)) / spread).max(axis=1)
    t, nu = np.full(5, np.quantile(largest, 0.95)), np.full(5, float(df))
    correlation = np.full((5, 5), 0.5) + 0.5 * np.eye(5)
    assert inference.dunnett_paired(t, nu, correlation)[0] == pytest.approx(0.05, abs=0.005)
    assert inference.dunnett_paired(np.full(5, 60.0), nu, correlation)[0] <= 5 * 2 * stats.t.sf(60.0, df)


def test_a_difference_that_can_be_detected_is_found_four_times_in_five() -> None:
    se, df = pd.Series([1.0, 1.0, 0.0]), pd.Series([12.0, 12.0, 12.0])
    found = inference.detectable(se, df, 0.05, pd.Series([1, 5, 1]))
    power = stats.nct.sf(stats.t.isf(0.025, 12), 12, found[0])
    assert power == pytest.approx(0.8, abs=0.01)
    assert found[1] > found[0]
    assert np.isnan(found[2])


def test_fixed_languages_leave_balanced_estimates_alone(
    study: load.StudyData, results: dict[str, estimate.Result]
) -> None:
    fixed = estimate.analyse(study.headlines["retrieval"], study, AnalysisSettings(languages="fixed"))
    random = results["retrieval"].marginal()
    np.testing.assert_allclose(fixed.marginal()["estimate"], random["estimate"], rtol=1e-6)
    assert (fixed.marginal()["se"] < random["se"]).all()


@pytest.mark.parametrize("name", ["retrieval", "stability"])
def test_statsmodels_confirms_the_reported_model_and_would_notice_another(
    study: load.StudyData, results: dict[str, estimate.Result], name: str
) -> None:
    result = results[name]
    fit = result.fit
    assert fit is not None
    y, x = result.outcome.frame["score"].to_numpy(), estimate.fixed_effects(result, study, AnalysisSettings())
    found = statsmodels_check.confirm(y, x, fit, result.formula)
    assert found.agrees
    assert found.model == result.formula
    assert "its own variance for each method" in found.model
    assert not statsmodels_check.confirm(y, x, replace(fit, cov=fit.cov * 1.1), "").agrees
    assert not statsmodels_check.confirm(
        y, x, replace(fit, beta=fit.beta + 0.01 * np.sqrt(np.diag(fit.cov))), ""
    ).agrees
    assert not statsmodels_check.confirm(
        y, x, replace(fit, variances=fit.variances * [*[2.0] * len(fit.terms), 1.0]), ""
    ).agrees
    # The model with one run variance is another one, and its numbers are not taken for those of this one.
    assert result.pooled is not None
    assert abs(result.pooled.criterion - fit.criterion) > 1e-3


def test_statsmodels_finds_the_same_optimum_by_itself(study: load.StudyData) -> None:
    outcome = study.headlines["retrieval"]
    small = outcome.frame[(outcome.frame["arch"] == "clip") & outcome.frame["method"].isin(["none", "sd"])]
    found = estimate.analyse(replace(outcome, frame=small.reset_index(drop=True)), study, AnalysisSettings())
    assert found.fit is not None
    x = estimate.fixed_effects(found, study, AnalysisSettings())
    program = statsmodels_check._model(found.outcome.frame["score"].to_numpy(), x, list(found.fit.terms))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # variances at zero are reported in many ways
        theirs = program.fit(reml=True, method="powell")
    assert theirs.llf <= -found.fit.criterion / 2 + 1e-4
    assert theirs.llf == pytest.approx(-found.fit.criterion / 2, abs=0.05)


def test_a_method_absent_from_one_place_is_averaged_over_the_rest(study: load.StudyData) -> None:
    outcome = study.headlines["retrieval"]
    frame = outcome.frame[~((outcome.frame["arch"] == "clip") & (outcome.frame["method"] == "sd"))]
    result = estimate.analyse(replace(outcome, frame=frame.reset_index(drop=True)), study, AnalysisSettings())
    assert any("sd: averaged over 1 of 2" in note for note in result.notes)
    assert result.marginal()["method"].tolist() == ["fd", "sd", "dr"]
    assert ("clip", "sd") not in set(zip(result.contrasts["arch"], result.contrasts["method"], strict=True))


def test_one_seed_gives_differences_without_intervals(tmp_path: Path) -> None:
    folder = simulate.write(tmp_path / "r", replace(simulate.smoke(), seeds=1))
    one = load.load(folder, AnalysisSettings())
    for outcome in one.headlines.values():
        result = estimate.analyse(outcome, one, AnalysisSettings())
        assert result.marginal()["estimate"].notna().all()
        assert result.contrasts[["se", "p", "p_adjusted", "ci_low"]].isna().all().all()
        assert any("one seed" in note for note in result.notes)


def test_constant_scores_do_not_break_the_analysis(study: load.StudyData) -> None:
    outcome = study.headlines["retrieval"]
    flat = replace(outcome, frame=outcome.frame.assign(score=50.0))
    table = estimate.analyse(flat, study, AnalysisSettings()).marginal()
    assert (table["estimate"] == 0).all()
    assert table["p"].isna().all()


def test_columns_are_the_published_ones(results: dict[str, estimate.Result]) -> None:
    table = pd.concat([r.contrasts[estimate.COLUMNS] for r in results.values()])
    assert list(table.columns) == [
        "outcome", "measure", "arch", "size", "language", "contrast", "estimate", "se", "df", "ci_low", "ci_high", "p",
        "p_adjusted", "p_equivalent", "family", "procedure", "exploratory",
    ]  # fmt: skip
    assert set(table["contrast"]) == {"fd - none", "sd - none", "dr - none"}


def test_a_run_without_a_poor_language_does_not_look_better_for_it(study: load.StudyData) -> None:
    outcome = study.headlines["retrieval"]
    poorest = outcome.frame.groupby("language")["score"].mean().idxmin()
    odd = (outcome.frame["cell"] == "clip-half-fd-s0") & (outcome.frame["language"] == poorest)
    frame = outcome.frame[~odd].reset_index(drop=True)
    shared = paired.run_means(outcome.frame[outcome.frame["language"] != poorest])
    pd.testing.assert_frame_equal(paired.run_means(frame), shared)


def with_cells(study: load.StudyData, **columns: np.ndarray) -> load.StudyData:
    return replace(study, cells=study.cells.assign(**columns))


def test_a_covariate_is_a_linear_term_of_the_model(study: load.StudyData) -> None:
    rng = np.random.default_rng(4)
    temperature = rng.uniform(1, 3, len(study.cells))
    known = with_cells(study, temperature=temperature)
    settings, outcome = AnalysisSettings(covariates=("temperature",)), study.headlines["retrieval"]
    by_row = outcome.frame["cell"].map(dict(zip(study.cells["cell"], temperature, strict=True))).to_numpy()
    heated = replace(outcome, frame=outcome.frame.assign(score=outcome.frame["score"] + 4.0 * by_row))
    plain, adjusted = (estimate.analyse(o, known, settings, checks=False) for o in (outcome, heated))
    assert "+ temperature" in plain.formula
    # What the covariate explains moves no difference and no standard error.
    columns = ["estimate", "se", "df", "ci_low", "ci_high"]
    np.testing.assert_allclose(adjusted.contrasts[columns], plain.contrasts[columns], rtol=1e-4, atol=1e-5)
    without = estimate.analyse(heated, known, AnalysisSettings(), checks=False)
    assert (without.marginal()["se"] > 1.5 * adjusted.marginal()["se"]).all()
    assert plain.fit is not None
    assert statsmodels_check.confirm(
        outcome.frame["score"].to_numpy(), estimate.fixed_effects(plain, known, settings), plain.fit, ""
    ).agrees


def test_a_covariate_that_does_not_vary_within_a_method_is_left_out_and_named(study: load.StudyData) -> None:
    known = with_cells(study, images=np.where(study.cells["method"] == "fd", 10.0, 20.0))
    found = estimate.analyse(
        study.headlines["retrieval"], known, AnalysisSettings(covariates=("images",)), checks=False
    )
    assert any("images does not vary within" in note for note in found.notes)
    assert "images" not in found.formula


def test_stability_at_equal_accuracy_stands_beside_the_main_analysis(study: load.StudyData) -> None:
    outcome, vqa = study.headlines["stability"], study.headlines["vqa"].frame
    accuracy = outcome.frame[["cell", "language"]].merge(vqa[["cell", "language", "score"]])["score"].to_numpy()
    gained = replace(outcome, frame=outcome.frame.assign(score=outcome.frame["score"] + 0.5 * accuracy))
    before, after = (estimate.analyse(one, study, AnalysisSettings()).sensitivity for one in (outcome, gained))
    moved = after.assign(moved=after["estimate"] - before["estimate"])
    main, equal = (moved[moved["analysis"] == name] for name in (estimate.REML, estimate.ACCURACY))
    gap = vqa.groupby(["method", "arch"])["score"].mean().groupby("method").mean()
    np.testing.assert_allclose(main["moved"], 0.5 * (gap[main["method"]] - gap["none"]), atol=1e-6)
    np.testing.assert_allclose(equal["moved"], 0.0, atol=0.02)


def test_one_diverged_run_is_named_and_the_analysis_without_it_parts_from_the_main_one(study: load.StudyData) -> None:
    outcome = study.headlines["retrieval"]
    whole = estimate.analyse(outcome, study, AnalysisSettings())
    assert whole.outliers == whole.parted == ()
    bad = outcome.frame["cell"] == "clip-half-fd-s2"
    diverged = replace(outcome, frame=outcome.frame.assign(score=outcome.frame["score"].where(~bad, 1.0)))
    found = estimate.analyse(diverged, study, AnalysisSettings())
    assert found.outliers == ("clip-half-fd-s2",)
    assert found.parted == ("fd",)
    [row] = estimate.rows(found.sensitivity.query("analysis == @estimate.OUTLIERS and method == 'fd'"))
    before = by_method(whole)["fd"]
    assert row["estimate"] == pytest.approx(before["estimate"], abs=2 * before["se"])
    assert row["p_adjusted"] < 0.001 < 0.05 < by_method(found)["fd"]["p_adjusted"]
