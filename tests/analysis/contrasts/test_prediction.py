"""Prediction intervals against the analysis of variance of balanced studies, and new languages drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.contrasts import estimate, prediction
from analysis.contrasts.estimate import Result
from analysis.mixed import model as mixed
from analysis.mixed.design import Layout, crossed_design
from analysis.power.power import Plan
from analysis.settings import AnalysisSettings
from tests.analysis.power.test_power import SD, study


def fitted(plan: Plan, seed: int) -> Result:
    drawn = study(plan, np.random.default_rng([11, seed]), {"fd": 2.0})
    outcome = drawn.headlines["vqa"]
    layout = Layout.of(outcome.frame, drawn, "none")
    design = crossed_design(outcome, drawn, layout, AnalysisSettings(), own=True)
    fit = mixed.fit(outcome.frame["score"], design.x, design.terms)
    return Result(outcome, pd.DataFrame(), estimate.REML, "", fit, design=layout, population=estimate.LIKE_THESE)


def test_a_new_language_has_the_variance_and_df_of_the_analysis_of_variance() -> None:
    s, n = 20, 12
    result = fitted(Plan(("none", "fd"), 1, s, n), 0)
    assert result.fit is not None
    assert not result.fit.zero.any()
    wide = result.outcome.frame.pivot_table(index=["method", "seed"], columns="language", values="score")
    ours, theirs = wide.loc["fd"].to_numpy(), wide.loc["none"].to_numpy()
    gap = ours - theirs
    by_language, by_seed = gap.mean(axis=0).var(ddof=1), gap.mean(axis=1).var(ddof=1)
    rest = [y - y.mean(axis=0) - y.mean(axis=1)[:, None] + y.mean() for y in (ours, theirs)]
    residual = sum(float((r**2).sum()) for r in rest) / (2 * (s - 1) * (n - 1))
    parts = np.array([by_language * (1 + 1 / n), by_seed / s, -residual * (2 / s + 2 / (s * n))])
    df = parts.sum() ** 2 / (parts**2 / np.array([n - 1, s - 1, 2 * (s - 1) * (n - 1)])).sum()
    assert result.design is not None
    found = prediction.new_language(result.fit, result.design, "fd")
    assert found["estimate"] == pytest.approx(gap.mean())
    assert found["se"] ** 2 == pytest.approx(parts.sum(), rel=1e-6)
    assert found["df"] == pytest.approx(df, rel=1e-5)
    assert found["sd_between"] ** 2 == pytest.approx(by_language - 2 * residual / s, rel=1e-6)


def test_a_new_place_has_the_variance_of_the_places_and_what_they_share() -> None:
    places, s, n = 6, 3, 8
    result = fitted(Plan(("none", "fd"), places, s, n), 1)
    assert result.fit is not None
    assert result.design is not None
    found = prediction.new_place(result.fit, result.design, "fd")
    means = result.outcome.frame.pivot_table(index="arch", columns="method", values="score")
    gap = (means["fd"] - means["none"]).to_numpy()
    # All places have the languages in common: 2 language:method / n is what the fit says that they share.
    shared = 2 * result.fit.variances[result.fit.names.index("language:method")] / n
    assert found["estimate"] == pytest.approx(gap.mean())
    assert found["se"] ** 2 == pytest.approx(gap.var(ddof=1) * (1 + 1 / places) + shared, rel=1e-5)
    assert places - 1 <= found["df"] < 2 * places + 2 * n
    table = prediction.analyse({"vqa": result}, 0.05)
    assert table["new"].tolist() == ["language", "place"]
    assert list(table.columns) == prediction.COLUMNS
    half = stats.t.isf(0.025, table["df"]) * table["se"]
    np.testing.assert_allclose(table["high"] - table["estimate"], half)


def test_without_spread_between_places_a_new_one_needs_students_prediction_interval() -> None:
    result = fitted(Plan(("none", "fd"), 6, 3, 8), 2)
    assert result.fit is not None
    assert result.design is not None
    variances = result.fit.variances.copy()
    alone = replace(result.fit, cov=np.diag(np.diag(result.fit.cov)), variances=variances)
    found = prediction.new_place(alone, result.design, "fd")
    values = result.outcome.frame.pivot_table(index="arch", columns="method", values="score")
    gap = values["fd"] - values["none"]
    assert found["se"] == pytest.approx(gap.std(ddof=1) * np.sqrt(7 / 6))
    assert found["df"] == pytest.approx(5)


def test_what_cannot_be_predicted_has_a_reason() -> None:
    result = fitted(Plan(("none", "fd"), 2, 3, 5), 3)
    assert prediction.withheld(result, "fd", "language") == ""
    assert prediction.withheld(result, "fd", "place") == (
        "2 places with 2 architectures are no sample of places; at least 6 with 3 architectures would be"
    )
    table = prediction.analyse({"vqa": result}, 0.05)
    assert table["new"].tolist() == ["language"]
    said = prediction.sentences(table, {"vqa": result}, 0.05)
    assert said[0].startswith("vqa: in one new language the difference from the control lies within FD ")
    assert said[1].startswith("vqa: no prediction for a new place: 2 places with 2 architectures")
    fixed = replace(result, population=estimate.TESTED)
    assert "fixed by declaration" in prediction.withheld(fixed, "fd", "language")
    assert "no crossed model" in prediction.withheld(replace(result, fit=None), "fd", "language")
    few = fitted(Plan(("none", "fd"), 2, 3, 3), 4)
    assert prediction.withheld(few, "fd", "language") == "3 languages cannot say how far languages differ"


def test_new_languages_lie_within_as_often_as_the_interval_says() -> None:
    chances = []
    truth = np.sqrt(2 * SD["language:method"] ** 2)
    for index in range(60):
        result = fitted(Plan(("none", "fd", "mcl"), 1, 3, 8), 100 + index)
        row, _ = estimate.rows(prediction.analyse({"vqa": result}, 0.05))
        # The chance that a new language lies within is exact given the interval; only studies are drawn.
        ends = [stats.norm.cdf((row[end] - 2.0) / truth) for end in ("low", "high")]
        chances.append(ends[1] - ends[0])
    error = float(np.std(chances) / np.sqrt(len(chances)))
    assert float(np.mean(chances)) > 0.95 - 3 * error
    assert float(np.mean(chances)) < 0.99
