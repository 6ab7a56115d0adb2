"""The mixed model against lme4 and lmerTest (tests/oracles/mixed_models.R), closed forms and its own derivatives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.contrasts import estimate
from analysis.data.load import FACTORS, Outcome, StudyData
from analysis.mixed import model as mixed
from analysis.mixed import newton, reml
from analysis.mixed.design import Layout, contrast_places, crossed_design
from analysis.settings import AnalysisSettings

ORACLES = Path(__file__).parents[2] / "oracles"
METHODS = ("none", "fd", "mcl")


@pytest.fixture(scope="module")
def oracle() -> pd.DataFrame:
    return pd.read_csv(ORACLES / "mixed_models.csv")


def pick(oracle: pd.DataFrame, model: str, kind: str) -> pd.DataFrame:
    return oracle[(oracle["model"] == model) & (oracle["kind"] == kind)].set_index("name")


def crossed(own: bool) -> tuple[mixed.MixedFit, pd.DataFrame, list[tuple[str, str, str]]]:
    data = pd.read_csv(ORACLES / "crossed.csv", keep_default_na=False)
    cells = [(a, s, m) for a in ("clip", "siglip2") for s in ("half", "quarter") for m in METHODS]
    key = list(zip(data["arch"], data["size"], data["method"], strict=True))
    x = np.array([[float(k == cell) for cell in cells] for k in key])
    block = data["arch"] + data["size"] + data["seed"].astype(str)
    run = block + data["method"]
    terms = [mixed.Term.of("block", block)]
    if own:
        terms += [mixed.Term.of(f"run {m}", run, (data["method"] == m).to_numpy()) for m in METHODS]
    else:
        terms += [mixed.Term.of("run", run)]
    terms += [
        mixed.Term.of("language", data["language"]),
        mixed.Term.of("language:method", data["language"] + ":" + data["method"]),
    ]
    return mixed.fit(data["score"], x, terms), data, cells


def contrast_rows(cells: list[tuple[str, str, str]]) -> dict[str, np.ndarray]:
    rows = {}
    for method in ("fd", "mcl"):
        average = np.zeros(len(cells))
        for arch in ("clip", "siglip2"):
            for size in ("half", "quarter"):
                row = np.zeros(len(cells))
                row[cells.index((arch, size, method))] = 1
                row[cells.index((arch, size, "none"))] = -1
                rows[f"{method} - none {arch} {size}"] = row
                average += row / 4
        rows[f"{method} - none"] = average
    return rows


def test_sleepstudy_agrees_with_the_published_estimates(oracle: pd.DataFrame) -> None:
    data = pd.read_csv(ORACLES / "sleepstudy.csv")
    x = np.column_stack([np.ones(len(data)), data["Days"]])
    found = mixed.fit(data["Reaction"], x, [mixed.Term.of("Subject", data["Subject"])])
    table = found.contrast(np.eye(2))
    np.testing.assert_allclose(table["estimate"], [251.4051, 10.46729], rtol=1e-5)
    np.testing.assert_allclose(table["se"], [9.7467, 0.8042], rtol=1e-4)
    np.testing.assert_allclose(np.sqrt(found.variances), [37.12, 30.99], rtol=1e-3)
    expected = pick(oracle, "sleepstudy", "fixed")
    np.testing.assert_allclose(table["se"], expected["se"], rtol=1e-5)
    np.testing.assert_allclose(table["df"], expected["df"], rtol=1e-3)
    np.testing.assert_allclose(found.criterion, 1786.46508539, rtol=1e-9)


@pytest.mark.parametrize("own", [False, True], ids=["pooled", "own"])
def test_crossed_study_agrees_with_lmertest(oracle: pd.DataFrame, own: bool) -> None:
    found, _, cells = crossed(own)
    model = "own" if own else "pooled"
    rows = contrast_rows(cells)
    expected = pd.concat([pick(oracle, model, "cell contrast"), pick(oracle, model, "marginal contrast")])
    table = found.contrast(np.array([rows[name] for name in expected.index]))
    np.testing.assert_allclose(table["estimate"], expected["value"], rtol=2e-5)
    np.testing.assert_allclose(table["se"], expected["se"], rtol=2e-5)
    np.testing.assert_allclose(table["df"], expected["df"], rtol=1e-3)
    assert found.criterion <= pick(oracle, model, "criterion")["value"].iloc[0] + 1e-6
    assert found.converged


@pytest.mark.parametrize("own", [False, True], ids=["pooled", "own"])
def test_f_of_the_three_way_interaction_agrees_with_lmertest(oracle: pd.DataFrame, own: bool) -> None:
    found, _, cells = crossed(own)
    rows = contrast_rows(cells)
    three_way = [
        rows[f"{m} - none clip half"] - rows[f"{m} - none clip quarter"]
        - rows[f"{m} - none siglip2 half"] + rows[f"{m} - none siglip2 quarter"]
        for m in ("fd", "mcl")
    ]  # fmt: skip
    expected = pick(oracle, "own" if own else "pooled", "F").iloc[0]
    f, numerator, denominator, p = found.f_test(np.array(three_way))
    assert numerator == 2
    np.testing.assert_allclose([f, denominator, p], [expected["value"], expected["df"], expected["p"]], rtol=1e-3)


def test_component_sds_agree_with_lme4_and_the_boundary_is_named(oracle: pd.DataFrame) -> None:
    found, _, _ = crossed(own=True)
    expected = pick(oracle, "own", "sd")["value"]
    sd = {row["component"]: row for row in estimate.rows(found.variance_table())}
    assert sd["run none"]["zero"]
    assert sd["run none"]["sd"] == 0.0
    for ours, theirs in (
        ("run fd", 'run.1 dummy(method, "fd")'), ("run mcl", 'run dummy(method, "mcl")'),
        ("block", "block (Intercept)"), ("language", "language (Intercept)"), ("residual", "residual"),
    ):  # fmt: skip
        np.testing.assert_allclose(sd[ours]["sd"], expected[theirs], rtol=1e-4)
        assert sd[ours]["low"] < sd[ours]["sd"] < sd[ours]["high"]


def test_block_variance_at_zero_agrees_with_lme4(oracle: pd.DataFrame) -> None:
    data = pd.read_csv(ORACLES / "boundary.csv", keep_default_na=False)
    x = np.column_stack([np.ones(len(data)), data["method"] == "fd", data["method"] == "mcl"]).astype(float)
    block = data["arch"] + data["size"] + data["seed"].astype(str)
    terms = [
        mixed.Term.of("block", block),
        mixed.Term.of("run", block + data["method"]),
        mixed.Term.of("language", data["language"]),
    ]
    found = mixed.fit(data["score"], x, terms)
    table, expected = found.contrast(np.eye(3)), pick(oracle, "boundary", "fixed")
    assert found.zero.tolist() == [True, False, False, False]
    np.testing.assert_allclose(table["se"], expected["se"], rtol=1e-5)
    np.testing.assert_allclose(table["df"], expected["df"], rtol=1e-3)


@pytest.fixture(scope="module")
def full() -> estimate.Result:
    """The report's own analysis of full.csv: design, fit, contrasts and tests."""
    data = pd.read_csv(ORACLES / "full.csv", keep_default_na=False)
    data["cell"] = data[["arch", "size", "method", "seed"]].astype(str).agg("-".join, axis=1)
    outcome = Outcome("score", "score", "simulated", data, data[["arch", "language", "score"]][:0], True)
    study = StudyData(
        cells=data[FACTORS].drop_duplicates(),
        headlines={"score": outcome},
        secondary={},
        churn=pd.DataFrame(),
        languages=sorted(set(data["language"])),
        resources={},
        methods=list(METHODS),
        archs=["clip", "siglip2"],
        sizes=["half", "quarter"],
        planned_runs=data["cell"].nunique(),
        missing=[],
        extra=[],
        incomplete=[],
        notes=[],
        data_hash="",
    )
    design = crossed_design(outcome, study, Layout.of(data, study, "none"), AnalysisSettings(), own=True)
    assert [term.name for term in design.terms] == list(FULL_TERMS)
    return estimate.analyse(outcome, study, AnalysisSettings())


FULL_TERMS = {
    "block": "block (Intercept)",
    "run none": 'run.2 dummy(method, "none")',
    "run fd": 'run.1 dummy(method, "fd")',
    "run mcl": 'run dummy(method, "mcl")',
    "language": "language (Intercept)",
    "language:method": "cross (Intercept)",
    "language:arch:size": "place (Intercept)",
    "language:arch:size:method": "placecross (Intercept)",
}
"""The terms of the report's model, and lme4's names for them."""


def test_the_reports_model_agrees_with_lme4(oracle: pd.DataFrame, full: estimate.Result) -> None:
    found = full.fit
    assert found is not None
    assert found.converged
    np.testing.assert_allclose(found.criterion, pick(oracle, "full", "criterion")["value"], rtol=0, atol=1e-6)
    sd = found.variance_table().set_index("component")["sd"]
    expected = pick(oracle, "full", "sd")["value"]
    assert len(sd) == len(expected)
    np.testing.assert_allclose(sd, expected[[*FULL_TERMS.values(), "residual"]], rtol=1e-3)
    assert full.design is not None
    first = np.array([float(column == ("clip", "half", "none")) for column in full.design.columns])
    mean = found.contrast(first).iloc[0]
    intercept = pick(oracle, "full", "fixed").loc["(Intercept)"]
    np.testing.assert_allclose(mean[["estimate", "se"]], intercept[["value", "se"]].astype(float), rtol=1e-5)
    np.testing.assert_allclose(mean["df"], intercept["df"], rtol=1e-3)


def test_the_reports_contrasts_agree_with_emmeans(oracle: pd.DataFrame, full: estimate.Result) -> None:
    kinds = ("marginal contrast", "one-factor contrast", "cell contrast")
    expected = pd.concat([pick(oracle, "full", kind) for kind in kinds])
    table = full.contrasts
    where = (" " + table["arch"] + " " + table["size"]).str.replace(" average", "")
    table = table.set_index(table["contrast"] + where)
    assert full.design is not None
    assert len(table) == len(expected) == 2 * len(contrast_places(full.design))
    expected = expected.loc[table.index]
    np.testing.assert_allclose(table["estimate"], expected["value"], rtol=1e-5)
    np.testing.assert_allclose(table["se"], expected["se"], rtol=1e-5)
    np.testing.assert_allclose(table["df"], expected["df"], rtol=1e-3)
    np.testing.assert_allclose(table["p"], expected["p"], rtol=1e-3)


@pytest.mark.parametrize("name", ["method", "method x (arch, size)"])
def test_the_reports_f_tests_agree_with_lmertest(oracle: pd.DataFrame, full: estimate.Result, name: str) -> None:
    expected = pick(oracle, "full", "F").loc[name]
    f, _, denominator, p = full.f_tests[name]
    np.testing.assert_allclose([f, denominator, p], expected[["value", "df", "p"]].astype(float), rtol=1e-3)


def balanced(groups: int, each: int, sd: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(groups), each)
    return rng.normal(0, sd, groups)[group] + rng.normal(10, 1, groups * each), group


def test_balanced_one_way_layout_has_the_anova_solution() -> None:
    y, group = balanced(12, 5, 2.0)
    found = mixed.fit(y, np.ones((60, 1)), [mixed.Term.of("group", group)])
    means = y.reshape(12, 5).mean(axis=1)
    within = ((y.reshape(12, 5) - means[:, None]) ** 2).sum() / 48
    between = 5 * means.var(ddof=1)
    np.testing.assert_allclose(found.variances, [(between - within) / 5, within], rtol=1e-7)
    table = found.contrast([[1.0]])
    np.testing.assert_allclose(table.iloc[0], [means.mean(), np.sqrt(between / 60), 11.0], rtol=1e-7)


def test_start_at_zero_escapes_the_stationary_point() -> None:
    y, group = balanced(12, 5, 2.0)
    found = mixed.fit(y, np.ones((60, 1)), [mixed.Term.of("group", group)], start=[0.0])
    assert found.theta[0] > 1


def test_hessian_and_gradient_agree_with_finite_differences() -> None:
    y, group = balanced(12, 5, 1.0)
    other = np.tile(np.arange(6), 10)
    x = np.column_stack([np.ones(60), np.tile([0.0, 1.0], 30)])
    problem = reml.Problem(y, x, [mixed.Term.of("a", group).codes, mixed.Term.of("b", other).codes])
    theta = np.array([0.8, 0.3])
    state = problem.at(theta)
    tau = state.variances
    step = 1e-5
    numeric = [
        (problem.at(np.sqrt(theta**2 + step * e)).criterion - problem.at(np.sqrt(theta**2 - step * e)).criterion)
        / (2 * step)
        for e in np.eye(2)
    ]
    np.testing.assert_allclose(state.gradient[:2] * state.s2, numeric, rtol=1e-6)  # s2 is at its optimum
    hessian = state.curvature(state.matrix()).hessian
    z = [np.eye(12)[group], np.eye(6)[other]]

    def criterion(v: np.ndarray) -> float:
        cov = v[0] * z[0] @ z[0].T + v[1] * z[1] @ z[1].T + v[2] * np.eye(60)
        inverse = np.linalg.inv(cov)
        inner = x.T @ inverse @ x
        r = y - x @ np.linalg.solve(inner, x.T @ inverse @ y)
        return float(np.linalg.slogdet(cov)[1] + np.linalg.slogdet(inner)[1] + r @ inverse @ r)

    h = 1e-3
    for i in range(3):
        for j in range(3):
            a, b = h * tau[i] * np.eye(3)[i], h * tau[j] * np.eye(3)[j]
            value = criterion(tau + a + b) - criterion(tau + a - b) - criterion(tau - a + b) + criterion(tau - a - b)
            np.testing.assert_allclose(hessian[i, j], value / (4 * h * h * tau[i] * tau[j]), rtol=1e-4)


def test_refuses_dependent_columns_and_constant_scores() -> None:
    y, group = balanced(4, 3, 1.0)
    with pytest.raises(mixed.ModelError, match="linearly dependent"):
        mixed.fit(y, np.ones((12, 2)), [mixed.Term.of("group", group)])
    with pytest.raises(mixed.ModelError, match="no variation"):
        mixed.fit(np.ones(12), np.ones((12, 1)), [mixed.Term.of("group", group)])


@pytest.mark.parametrize("seed", range(12))
def test_small_and_absent_variances_are_settled_and_not_left_where_the_search_began(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks, methods, languages = 10, 4, 12
    b, m, g = (index.ravel() for index in np.meshgrid(range(blocks), range(methods), range(languages), indexing="ij"))
    y = 9.0 * rng.normal(size=languages)[g] + 0.1 * rng.normal(size=blocks)[b] + 2.6 * rng.normal(size=len(b))
    x = np.eye(methods)[m]
    codes = {"block": b, "run": b * methods + m, "language": g, "language:method": g * methods + m}
    terms = [mixed.Term(name, c, tuple(map(str, range(int(c.max()) + 1)))) for name, c in codes.items()]
    fit = mixed.fit(y, x, terms)
    slope = reml.Problem(y, x, [term.codes for term in terms]).at(fit.theta).gradient[:-1]
    inside = fit.theta > 0
    assert fit.converged
    assert np.abs(slope * fit.variances[:-1])[inside].max() < 1e-3
    assert (slope[~inside] > -1e-3).all()


@pytest.mark.parametrize("absorbed", range(4))
def test_the_absorbed_term_changes_nothing(absorbed: int) -> None:
    rng = np.random.default_rng(absorbed)
    codes = [rng.integers(0, levels, 150) for levels in (5, 9, 4)]
    codes.append(np.where(rng.random(150) < 0.3, -1, rng.integers(0, 7, 150)))
    levels = [int(c.max()) + 1 for c in codes]
    codes[absorbed] = np.append(codes[absorbed][:-1], 11)  # the most levels, some of them empty
    y = rng.normal(size=150) + rng.normal(size=levels[0])[np.minimum(codes[0], levels[0] - 1)]
    x = np.column_stack([np.ones(150), rng.normal(size=(150, 2))])
    problem = reml.Problem(y, x, codes)
    assert problem.absorbed == absorbed
    theta = np.array([0.7, 0.0, 1.2, 0.4])
    state = problem.at(theta)
    z = [np.eye(int(c.max()) + 1)[c] * (c >= 0)[:, None] for c in codes]
    v0 = np.eye(150) + sum(t**2 * part @ part.T for t, part in zip(theta, z, strict=True))
    inverse = np.linalg.inv(v0)
    p0 = inverse - inverse @ x @ np.linalg.solve(x.T @ inverse @ x, x.T @ inverse)
    every = np.hstack(z)
    np.testing.assert_allclose(state.matrix(), every.T @ p0 @ every, atol=1e-9)
    np.testing.assert_allclose(state.t, every.T @ p0 @ y, atol=1e-9)
    np.testing.assert_allclose(state.diagonal, np.diag(every.T @ p0 @ every), atol=1e-9)
    np.testing.assert_allclose(state.times(np.eye(len(problem.owner))), every.T @ p0 @ every, atol=1e-9)
    s2 = float(y @ p0 @ y) / 147
    np.testing.assert_allclose(state.s2, s2)
    determinants = np.linalg.slogdet(v0)[1] + np.linalg.slogdet(x.T @ inverse @ x)[1]
    np.testing.assert_allclose(state.criterion, determinants + 147 * (1 + np.log(2 * np.pi * s2)))
    working = np.column_stack([part @ (part.T @ p0 @ y) / s2 for part in z] + [p0 @ y / s2])
    np.testing.assert_allclose(state.information(), working.T @ p0 @ working / s2, rtol=1e-8)


def test_the_lowest_of_several_minima_is_taken() -> None:
    y, group = balanced(12, 5, 2.0)
    problem = reml.Problem(y, np.ones((60, 1)), [mixed.Term.of("group", group).codes])
    found = [newton.minimise(problem, [np.array([start])])[0].criterion for start in (0.0, 1e-6, 0.5, 900.0)]
    np.testing.assert_allclose(found, found[0], atol=1e-6)


def test_predictions_and_their_errors_solve_hendersons_equations() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 6, 80), rng.integers(0, 9, 80)
    x = np.column_stack([np.ones(80), rng.normal(size=80)])
    y = x @ [3.0, 1.0] + rng.normal(0, 1.5, 6)[a] + rng.normal(0, 0.8, 9)[b] + rng.normal(size=80)
    fit = mixed.fit(y, x, [mixed.Term.of("a", a), mixed.Term.of("b", b)])
    z = np.hstack([np.eye(6)[a], np.eye(9)[b]])
    inverse = np.diag(np.repeat(1 / fit.variances[:2], [6, 9]))
    s2 = fit.variances[2]
    equations = np.block([[x.T @ x / s2, x.T @ z / s2], [z.T @ x / s2, z.T @ z / s2 + inverse]])
    errors = np.linalg.inv(equations)
    solution = errors @ np.append(x.T @ y, z.T @ y) / s2
    rows = rng.normal(size=(3, 17))
    found = fit.predict(rows[:, :2], rows[:, 2:])
    np.testing.assert_allclose(found["estimate"], rows @ solution, rtol=1e-6)
    np.testing.assert_allclose(found["se"], np.sqrt(np.einsum("ij,jk,ik->i", rows, errors, rows)), rtol=1e-6)
    np.testing.assert_allclose(fit.fitted, x @ solution[:2] + z @ solution[2:], rtol=1e-6)
    assert fit.column("b", "3") == 9
    assert fit.column("b", "nine") is None
    np.testing.assert_allclose(mixed.coefficients(y, x, fit.terms, fit.theta), fit.beta, rtol=1e-9)
