"""The checks of variances at 0: against REML away from 0, statsmodels' sums of squares, and studies drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm

from analysis.contrasts import estimate
from analysis.mixed import model as mixed
from analysis.power.power import Plan
from analysis.sensitivity import boundary
from analysis.settings import AnalysisSettings
from tests.analysis.power.test_power import study


def draw(
    rng: np.random.Generator, places: int = 2, seeds: int = 3, languages: int = 8, run: float = 1.0, own: float = 1.0
) -> list[np.ndarray]:
    """Differences [seeds, languages] of each place, true average 0, noise 1."""
    by_language = rng.normal(0, own, languages)
    return [
        by_language + rng.normal(0, run, (seeds, 1)) + rng.normal(0, 1.0, (seeds, languages)) for _ in range(places)
    ]


def test_mean_squares_are_those_of_statsmodels() -> None:
    [gap] = draw(np.random.default_rng(0), 1, 5, 7)
    found = boundary.mean_squares([gap])
    assert found is not None
    long = pd.DataFrame([(s, n, gap[s, n]) for s in range(5) for n in range(7)], columns=["s", "l", "y"])
    table = anova_lm(smf.ols("y ~ C(s) + C(l)", long).fit())
    squares = table["sum_sq"] / table["df"]
    assert found.blocks * 35 == pytest.approx(squares["C(s)"])
    assert found.languages * 35 == pytest.approx(squares["C(l)"])
    assert found.noise * 35 == pytest.approx(squares["Residual"])
    assert (found.df_blocks, found.df_languages, found.df_noise) == (4, 6, 24)


def test_away_from_0_the_variance_and_df_are_remls() -> None:
    [gap] = draw(np.random.default_rng(1), 1, 12, 9)
    found = boundary.mean_squares([gap])
    assert found is not None
    seed, language = (index.ravel() for index in np.indices(gap.shape))
    terms = [mixed.Term.of("seed", seed), mixed.Term.of("language", language)]
    [row] = estimate.rows(mixed.fit(gap.ravel(), np.ones((gap.size, 1)), terms).contrast([[1.0]]))
    assert found.estimate == pytest.approx(row["estimate"])
    assert np.sqrt(found.variance) == pytest.approx(row["se"], rel=1e-6)
    assert found.df == pytest.approx(row["df"], rel=1e-5)


@pytest.mark.parametrize(("run", "own"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])
def test_the_analysis_of_variance_holds_its_level_at_3_seeds(run: float, own: float) -> None:
    rng, studies, wrong = np.random.default_rng(5), 1500, 0
    for _ in range(studies):
        found = boundary.mean_squares(draw(rng, run=run, own=own))
        assert found is not None
        wrong += 2 * stats.t.sf(abs(found.estimate) / np.sqrt(found.variance), found.df) < 0.05
    assert wrong / studies < 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)


def test_upper_limits_lie_above_the_true_parts_in_95_of_100_studies() -> None:
    rng, studies, above = np.random.default_rng(6), 1500, np.zeros(2)
    for _ in range(studies):
        found = boundary.mean_squares(draw(rng, run=0.7, own=0.5))
        assert found is not None
        above += np.array(found.limits()) >= [0.49 / 6, 0.25 / 8]
    assert (above / studies > 0.93).all()


def test_what_does_not_repeat_has_no_check() -> None:
    rng = np.random.default_rng(0)
    assert boundary.mean_squares([]) is None
    assert boundary.mean_squares(draw(rng, seeds=1)) is None
    assert boundary.mean_squares(draw(rng, languages=1)) is None


@pytest.fixture(scope="module")
def result() -> estimate.Result:
    drawn = study(Plan(("none", "fd", "mcl"), 2, 3, 8), np.random.default_rng(2), {"fd": 4.0})
    return estimate.analyse(drawn.headlines["vqa"], drawn, AnalysisSettings())


def test_every_averaged_contrast_is_checked(result: estimate.Result) -> None:
    table = boundary.analyse({"vqa": result}, 0.05)
    main = result.marginal()
    assert list(table.columns) == boundary.COLUMNS
    assert table["method"].tolist() == ["fd", "mcl"]
    np.testing.assert_allclose(table["estimate_anova"], main["estimate"])  # balanced: every analysis has these means
    assert table["found"].tolist() == list(main["p_adjusted"] < 0.05)
    assert (table["se_limit"] >= table["se"]).all()
    assert boundary.analyse({"vqa": replace(result, population=estimate.TESTED)}, 0.05).empty


def test_a_variance_at_0_is_named_and_moves_the_limit(result: estimate.Result) -> None:
    assert result.fit is not None
    names = list(result.fit.names)
    variances, zero = result.fit.variances.copy(), np.zeros_like(result.fit.zero)
    variances[names.index("run fd")], zero[names.index("run fd")] = 0.0, True
    table = boundary.analyse({"vqa": replace(result, fit=replace(result.fit, variances=variances, zero=zero))}, 0.05)
    fd, mcl = estimate.rows(table)
    assert (fd["zero"], mcl["zero"]) == ("run fd", "")
    assert fd["se_limit"] > fd["se"]
    assert mcl["se_limit"] == pytest.approx(mcl["se"])
    wide = result.outcome.frame.pivot_table(index=["arch", "size", "seed"], columns="method", values="score")
    gap = wide["fd"] - wide["none"]
    upper = (gap - gap.groupby(level="arch").transform("mean")).pow(2).sum() / stats.chi2.ppf(0.05, 4) / 6
    squares = boundary.mean_squares(boundary.differences(_by_language(result), _layout(result), "fd"))
    assert squares is not None
    assert squares.limits()[0] == pytest.approx(upper - squares.noise)
    known = variances[names.index("run none")] / 6
    assert fd["se_limit"] ** 2 == pytest.approx(fd["se"] ** 2 + max(upper - squares.noise - known, 0.0))
    said = boundary.sentences(table)
    assert len(said) == 1
    assert said[0].startswith("vqa: REML puts the variance of run fd at 0. An analysis of variance of the paired")
    assert boundary.sentences(table[table["method"] == "mcl"]) == []


def _by_language(result: estimate.Result) -> pd.DataFrame:
    frame = result.outcome.frame
    return frame.pivot_table(index=["arch", "size", "seed", "language"], columns="method", values="score")


def _layout(result: estimate.Result) -> boundary.Layout:
    assert result.design is not None
    return result.design
