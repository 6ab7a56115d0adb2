"""Power against dense algebra, the fits themselves, statsmodels, draws and studies sent through the real model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from analysis import figures
from analysis.__main__ import main
from analysis.contrasts import estimate
from analysis.data import load
from analysis.mixed import model as mixed
from analysis.mixed.design import Layout, crossed_design
from analysis.power import assumptions, power
from analysis.power.assumptions import Assumed, Assumptions
from analysis.power.power import AdjustedTest, Plan
from analysis.settings import AnalysisError, AnalysisSettings

SD = {
    "block": 0.8, "run none": 0.7, "run fd": 0.4, "run mcl": 1.5, "language": 5.0, "language:method": 0.9,
    "language:place": 2.0, "language:place:method": 0.6, "residual": 1.0,
}  # fmt: skip
METHODS = ("none", "fd", "mcl")
ASSUMED = Assumed({name: sd**2 for name, sd in SD.items()})


def study(
    plan: Plan, rng: np.random.Generator, effects: dict[str, float] | None = None, names: tuple[str, ...] = ("vqa",)
) -> load.StudyData:
    """A balanced study drawn from SD; several outcomes have the same effects and nothing else in common."""
    places = [(f"a{i}", "half") for i in range(plan.places)]
    grid = [(f"{a}-{s}-{m}-s{i}", a, s, m, i) for a, s in places for i in range(plan.seeds) for m in plan.methods]
    cells = pd.DataFrame(grid, columns=load.FACTORS)
    k, s, m, n = plan.places, plan.seeds, len(plan.methods), plan.languages
    headlines = {}
    for name in names:
        run = np.array([SD[f"run {method}"] for method in plan.methods])
        level = np.array([(effects or {}).get(method, 0.0) for method in plan.methods])
        score = 50 + level + rng.normal(0, SD["block"], (k, s, 1)) + run * rng.standard_normal((k, s, m))
        by_language = rng.normal(0, SD["language"], n) + rng.normal(0, SD["language:method"], (m, n))
        if k > 1:
            by_language = by_language + rng.normal(0, SD["language:place"], (k, 1, n))
            by_language = by_language + rng.normal(0, SD["language:place:method"], (k, m, n))
        by_language = np.broadcast_to(by_language, (k, m, n))[:, None]
        every = score[..., None] + by_language + rng.normal(0, SD["residual"], (k, s, m, n))
        frame = cells.loc[cells.index.repeat(n)].reset_index(drop=True)
        frame = frame.assign(language=np.tile([f"l{i:02d}" for i in range(n)], len(cells)), score=every.ravel())
        headlines[name] = load.Outcome(name, name, "", frame, pd.DataFrame(), True)
    return load.StudyData(
        cells, headlines, {}, pd.DataFrame(), [], {}, list(plan.methods), [a for a, _ in places], ["half"], len(cells),
        [], [], [], [], "",
    )  # fmt: skip


@pytest.mark.parametrize("places", [1, 2])
@pytest.mark.parametrize("languages", ["random", "fixed"])
def test_standard_errors_and_df_are_those_of_the_whole_covariance_matrix(places: int, languages: str) -> None:
    plan = Plan(METHODS, places, 3, 4)
    drawn = study(plan, np.random.default_rng(0))
    outcome, settings = drawn.headlines["vqa"], AnalysisSettings(languages=languages)
    layout = Layout.of(outcome.frame, drawn, "none")
    design = crossed_design(outcome, drawn, layout, settings, own=True)
    names = [assumptions._plain(term.name) for term in design.terms]
    parts = [(t.codes[:, None] == t.codes[None, :]) & (t.codes[:, None] >= 0) for t in design.terms]
    kernels = [part.astype(float) for part in parts] + [np.eye(len(outcome.frame))]
    used = {name: ASSUMED.variances[name] for name in (*names, "residual")}
    v = sum((value * kernel for value, kernel in zip(used.values(), kernels, strict=True)), np.zeros(()))
    inverse = np.linalg.inv(v)
    cov = np.linalg.inv(design.x.T @ inverse @ design.x)
    p = inverse - inverse @ design.x @ cov @ design.x.T @ inverse
    products = [p @ kernel for kernel in kernels]
    expected = np.array([[np.trace(a @ b) / 2 for b in products] for a in products])
    for method in layout.methods:
        vector = layout.average(method, design.x.shape[1])
        value = float(vector @ cov @ vector)
        weight = inverse @ design.x @ cov @ vector
        slope = np.array([weight @ kernel @ weight for kernel in kernels])
        df = 2 * value**2 / float(slope @ np.linalg.solve(expected, slope))
        assumed = Assumed(used)
        assert power.covariance(assumed, plan, [method])[0, 0] == pytest.approx(value)
        assert power.degrees_of_freedom(assumed, plan, method) == pytest.approx(df, rel=1e-6)
    both = np.array([layout.average(m, design.x.shape[1]) for m in layout.methods])
    np.testing.assert_allclose(power.covariance(Assumed(used), plan, layout.methods), both @ cov @ both.T, rtol=1e-8)


def test_a_balanced_fit_has_the_degrees_of_freedom_of_its_own_variances() -> None:
    plan = Plan(("none", "mcl"), 1, 20, 10)
    drawn = study(plan, np.random.default_rng(0), {"mcl": 2.0})
    result = estimate.analyse(drawn.headlines["vqa"], drawn, AnalysisSettings())
    assert result.fit is not None
    assert not result.fit.zero.any()
    given = assumptions.of_study({"vqa": result}, AnalysisSettings())
    [row] = estimate.rows(result.marginal())
    test = power.adjusted_tests(given.outcomes["vqa"], plan, ["mcl"], 0.05, 1)["mcl"]
    assert test.se == pytest.approx(row["se"], rel=1e-6)
    assert test.df == pytest.approx(row["df"], rel=1e-5)
    assert test.critical == pytest.approx((row["ci_high"] - row["estimate"]) / row["se"], rel=1e-5)


def test_paired_runs_have_the_power_that_statsmodels_gives() -> None:
    plan, assumed = Plan(("none", "fd"), 1, 8, 5), Assumed({"difference fd": 1.7**2})
    test = power.adjusted_tests(assumed, plan, ["fd"], 0.05, 1)["fd"]
    known = TTestPower()
    for effect in (0.5, 2.0, 3.0):
        both_ways = known.power(effect / 1.7, nobs=8, alpha=0.05)
        wrong = stats.nct.cdf(-test.critical, 7, effect / test.se)
        assert test.power(effect) == pytest.approx(both_ways - wrong, abs=1e-6)
    wanted = known.solve_power(None, nobs=8, alpha=0.05, power=0.8) * 1.7
    assert test.detectable() == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("r", [-0.7, 0.0, 0.6, 0.95])
def test_joint_power_agrees_with_draws(r: float) -> None:
    up, down = AdjustedTest(1.0, 9.0, 2.5), AdjustedTest(0.5, 24.0, 2.3)
    rng, n = np.random.default_rng(1), 200_000
    z = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], n)
    t = np.column_stack([(z[:, 0] + 3.0), (z[:, 1] - 1.4 / 0.5)]) / np.sqrt(
        np.column_stack([rng.chisquare(9, n) / 9, rng.chisquare(24, n) / 24])
    )
    drawn = ((t[:, 0] > 2.5) & (t[:, 1] < -2.3)).mean()
    assert power.joint_power(up, down, (3.0, 1.4), r) == pytest.approx(drawn, abs=0.004)
    if r == 0:
        assert drawn == pytest.approx(up.power(3.0) * down.power(1.4), abs=0.004)


def test_more_seeds_languages_and_a_larger_effect_find_more_and_a_larger_family_less() -> None:
    def chance(
        seeds: int, languages: int, effect: float, methods: tuple[str, ...] = ("fd",), widened: int = 1
    ) -> float:
        plan = Plan(METHODS, 2, seeds, languages)
        return power.adjusted_tests(ASSUMED, plan, list(methods), 0.05, widened)["fd"].power(effect)

    middle = chance(5, 16, 1.5)
    assert chance(3, 16, 1.5) < middle < chance(10, 16, 1.5)
    assert chance(5, 8, 1.5) < middle < chance(5, 36, 1.5)
    assert chance(5, 16, 1.0) < middle < chance(5, 16, 2.0)
    assert chance(5, 16, 1.5, ("fd", "mcl")) < middle
    assert chance(5, 16, 1.5, widened=4) < middle
    assert power.adjusted_tests(ASSUMED, Plan(METHODS, 2, 1, 8), ["fd"], 0.05, 1) == {}


def test_power_is_the_share_of_studies_that_find_the_effect() -> None:
    plan, settings, effect, draws = Plan(("none", "fd"), 1, 4, 8), AnalysisSettings(), 1.6, 80
    test = power.adjusted_tests(Assumed({**ASSUMED.variances}), plan, ["fd"], 0.05, 1)["fd"]
    found = 0
    for index in range(draws):
        drawn = study(plan, np.random.default_rng([5, index]), {"fd": effect})
        outcome = drawn.headlines["vqa"]
        layout = Layout.of(outcome.frame, drawn, "none")
        design = crossed_design(outcome, drawn, layout, settings, own=True)
        fit = mixed.fit(outcome.frame["score"], design.x, design.terms)
        [row] = estimate.rows(fit.contrast(layout.average("fd", 2)))
        found += 2 * stats.t.sf(row["estimate"] / row["se"], row["df"]) < 0.05
    # Three Monte-Carlo standard errors.
    assert found / draws == pytest.approx(test.power(effect), abs=3 * np.sqrt(0.25 / draws))
    assert 0.5 < test.power(effect) < 0.9


def test_the_table_holds_every_outcome_and_the_tradeoffs_test() -> None:
    given = Assumptions(METHODS, 2, {"consistency": ASSUMED, "stability": ASSUMED}, {"fd": 0.5, "mcl": 0.0})
    settings = AnalysisSettings(contrasts=("fd",), smallest_effect={"stability": 1.0, "default": 2.0})
    table = power.table(given, settings, seeds=(3, 5), languages=(8,))
    assert list(table.columns) == power.COLUMNS
    assert set(table["method"]) == {"fd"}  # what is not declared is no part of the family
    wide = table.pivot_table(index="seeds", columns="outcome", values="power")
    assert (wide[power.TRADEOFF] < wide[["consistency", "stability"]].min(axis=1)).all()
    joint = table[table["outcome"] == power.TRADEOFF]
    assert joint[["effect", "effect_stability", "correlation"]].to_numpy().tolist() == [[2.0, 1.0, 0.5]] * 2
    said = power.sentences(table)
    assert len(said) == 3
    assert said[-1].startswith("trade-off, 8 languages: 2 points up in consistency and 1 down in stability found in ")
    same = power.table(given, settings, seeds=(3,), languages=(8,), effect=3.0)
    assert same["effect"].tolist() == [3.0] * 3


def write(path: Path, values: dict[str, Any]) -> Path:
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


FILE: dict[str, Any] = {
    "methods": list(METHODS), "places": 2, "correlation": 0.3,
    "outcomes": {"consistency": {"run": 0.7, "run mcl": 2.1, "residual": 1.0}, "stability": {"difference": 1.2}},
}  # fmt: skip


def test_assumptions_of_a_file_come_back_as_written(tmp_path: Path) -> None:
    given = assumptions.read(write(tmp_path / "v.json", FILE), AnalysisSettings())
    assert given.outcomes["consistency"].variances == pytest.approx(
        {"run none": 0.49, "run fd": 0.49, "run mcl": 4.41, "residual": 1.0}
    )
    assert given.outcomes["stability"].variances == pytest.approx({"difference fd": 1.44, "difference mcl": 1.44})
    assert given.correlations == {"fd": 0.3, "mcl": 0.3}
    again = assumptions.read(write(tmp_path / "w.json", assumptions.written(given)), AnalysisSettings())
    assert again == given


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": []}, "unknown key 'method'; did you mean 'methods'?"),
        ({"methods": ["fd", "none"]}, "the first method must be the control 'none', not 'fd'"),
        ({"places": 0}, "'places' must be a number of architectures x sizes, not 0"),
        ({"correlation": 2}, "'correlation' must lie between -1 and 1, not 2"),
        ({"outcomes": {"retreival": {}}}, "outcome 'retreival'; did you mean 'retrieval'?"),
        ({"outcomes": {"vqa": {"run": 1, "residul": 1}}}, "component 'residul' of 'vqa'; did you mean"),
        ({"outcomes": {"vqa": {"run": -1, "residual": 1}}}, "'run' of 'vqa' must be a standard deviation, not -1"),
        ({"outcomes": {"vqa": {"run fd": 1, "residual": 1}}}, "'vqa' lacks 'run'"),
        ({"outcomes": {"vqa": {"run": 1}}}, "'vqa' lacks 'residual'"),
    ],
)
def test_what_a_file_cannot_mean_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=r"v\.json: ") as error:
        assumptions.read(write(tmp_path / "v.json", {**FILE, **change}), AnalysisSettings())
    assert message in str(error.value)


def test_the_figure_has_a_panel_for_every_outcome() -> None:
    given = Assumptions(METHODS, 2, {"consistency": ASSUMED, "stability": ASSUMED}, {})
    table = power.table(given, AnalysisSettings(), seeds=(3, 5), languages=(8, 16))
    figure = figures.power(table)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title(loc="left") for axis in shown] == [
        "Consistency: 2 points", "Stability: 2 points", "Trade-off: consistency +2, stability \N{MINUS SIGN}2",
    ]  # fmt: skip
    drawn = shown[0].lines[1].get_ydata()
    expected = power.middle(table).query("outcome == 'consistency' and languages == 8")["power"]
    np.testing.assert_allclose(np.asarray(drawn), expected)


def test_the_command_writes_table_figure_and_assumptions(medium: Path, tmp_path: Path) -> None:
    chosen = write(tmp_path / "settings.json", {"contrasts": ["fd", "sd"]})
    out = tmp_path / "power"
    given = ["power", "--results", str(medium), "--settings", str(chosen), "--seeds", "3,5", "--languages", "8,16"]
    assert main([*given, "--effect", "2.0", "--out", str(out)]) == 0
    table = pd.read_csv(out / "power.csv")
    assert list(table.columns) == power.COLUMNS
    assert set(table["outcome"]) == {"retrieval", "consistency", "vqa", "stability", power.TRADEOFF}
    assert set(table["method"]) == {"fd", "sd"}
    assert (out / "power.svg").is_file()
    assert (out / "power.png").is_file()
    again = tmp_path / "again"
    variances = ["--variances", str(out / "variances.json"), "--settings", str(chosen)]
    assert main(["power", *variances, "--seeds", "3,5", "--languages", "8,16", "--out", str(again)]) == 0
    same = pd.read_csv(again / "power.csv").query("outcome != 'trade-off'")["power"].to_numpy()
    np.testing.assert_allclose(same, table.query("outcome != 'trade-off'")["power"], atol=1e-4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--seeds", "3,x"], "--seeds: a list of whole numbers of at least 2 is expected, not '3,x'"),
        (["--seeds", "1,3"], "--seeds: a list of whole numbers of at least 2 is expected, not '1,3'"),
        (["--effect", "-1"], "--effect must be above 0, not -1.0"),
    ],
)
def test_a_command_that_cannot_be_is_refused(
    given: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ["--variances", str(write(tmp_path / "v.json", FILE))]
    assert main(["power", *source, *given, "--out", str(tmp_path / "o")]) == 2
    assert message in capsys.readouterr().err
