"""Test items as random: the bootstrap against its closed form, and intervals on items drawn anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.contrasts import estimate as contrasts
from analysis.contrasts import paired
from analysis.data import load
from analysis.mixed.design import Layout
from analysis.sensitivity import items
from analysis.settings import AnalysisSettings

METHODS = ("none", "fd", "sd")
PLACES = (("a", "half"), ("b", "half"))


def study(
    rng: np.random.Generator, seeds: int = 3, count: int = 60, item_sd: float = 8.0, effect: float = 0.0
) -> tuple[load.StudyData, pd.DataFrame]:
    """One score a run, the mean of its items; methods differ on items with `item_sd`, by `effect` on all together."""
    grid = [(f"{a}-{s}-{m}-s{i}", a, s, m, i) for a, s in PLACES for i in range(seeds) for m in METHODS]
    cells = pd.DataFrame(grid, columns=load.FACTORS)
    common = rng.normal(0, 15, count)
    own = {m: rng.normal(effect * (m == "fd"), item_sd / np.sqrt(2), count) for m in METHODS}
    scores = np.array([
        50 + common + own[m] + rng.normal(0, 1.0) + rng.normal(0, 6.0, count) for _, _, _, m, _ in grid
    ])  # fmt: skip
    frame = cells.assign(score=scores.mean(axis=1))
    outcome = load.Outcome("vqa", "vqa", "", frame, pd.DataFrame(), False, measure="accuracy")
    long = pd.DataFrame(scores / 100, index=cells["cell"]).reset_index()
    table = long.melt(id_vars="cell", var_name="item", value_name="score").assign(measure="accuracy", n=4)
    return load.StudyData(
        cells, {"vqa": outcome}, {}, pd.DataFrame(), [], {}, list(METHODS), ["a", "b"], ["half"], len(cells),
        [], [], [], [], "",
    ), table  # fmt: skip


def analysed(drawn: load.StudyData, table: pd.DataFrame, alpha: float = 0.05) -> tuple[pd.DataFrame, pd.DataFrame]:
    result = contrasts.analyse(drawn.headlines["vqa"], drawn, AnalysisSettings(alpha=alpha))
    return items.analyse({"vqa": result}, table, alpha), result.marginal()


def test_the_bootstrap_has_the_standard_error_of_the_mean() -> None:
    values = np.random.default_rng(0).gamma(1.0, 5.0, 50)
    closed = values.std(ddof=1) / np.sqrt(50)
    assert items.bootstrap(values, 40_000, 0) == pytest.approx(closed, rel=0.015)
    # scipy's understates it by the (n - 1) / n that is made good here.
    theirs = stats.bootstrap((values,), np.mean, n_resamples=40_000, rng=1).standard_error
    assert items.bootstrap(values, 40_000, 0) == pytest.approx(theirs * np.sqrt(50 / 49), rel=0.02)


def test_estimates_are_the_main_ones_and_intervals_at_least_as_wide() -> None:
    drawn, table = study(np.random.default_rng(1), effect=5.0)
    found, main = analysed(drawn, table)
    assert list(found.columns) == items.COLUMNS
    assert found["method"].tolist() == ["fd", "sd"]
    np.testing.assert_allclose(found["estimate"], main["estimate"])
    np.testing.assert_allclose(found["item_estimate"], main["estimate"])  # every item weighs the same here
    np.testing.assert_allclose(found["se"] ** 2, main["se"] ** 2 + found["se_items"] ** 2)
    assert (found["low"] <= main["ci_low"]).all()
    assert (found["high"] >= main["ci_high"]).all()
    assert found["share"].between(0.1, 0.95).all()


def test_items_on_which_methods_do_not_differ_add_nothing() -> None:
    drawn, table = study(np.random.default_rng(2))
    flat = table.assign(score=table["cell"].map(drawn.headlines["vqa"].frame.set_index("cell")["score"]) / 100)
    found, main = analysed(drawn, flat)
    np.testing.assert_allclose(found["se_items"], 0.0, atol=1e-9)
    np.testing.assert_allclose(found["high"], main["ci_high"])


def test_an_item_that_some_run_lacks_is_left_out_and_few_items_are_no_sample() -> None:
    drawn, table = study(np.random.default_rng(3))
    gone = table[~((table["cell"] == "a-half-fd-s1") & (table["item"] < 5))]
    found, _ = analysed(drawn, gone)
    assert found.set_index("method")["items"].to_dict() == {"fd": 55, "sd": 60}
    few, _ = analysed(drawn, table[table["item"] < items.FEWEST - 1])
    assert few.empty
    other, _ = analysed(drawn, table.assign(measure="another"))
    assert other.empty


def test_intervals_hold_the_difference_on_other_items_where_the_main_ones_do_not() -> None:
    held, studies = np.zeros(2), 120
    for index in range(studies):
        drawn, table = study(np.random.default_rng([7, index]))
        frame = drawn.headlines["vqa"].frame
        layout = Layout.of(frame, drawn, "none")
        wide = paired.paired_differences(paired.run_means(frame), layout)["fd"]
        # The paired t by hand: two places of three seeds, one spread.
        estimate, se = wide.mean(), np.sqrt(wide.groupby(level="arch").var(ddof=1).mean() / 6)
        half = stats.t.isf(0.025, 4) * se
        row = {"estimate": estimate, "se": se, "df": 4.0, "ci_high": estimate + half}
        scores = table.pivot_table(index="cell", columns="item", values="score") * 100
        by_item = items.differences(scores, frame, layout, "fd")
        wider = items.widened(row, items.bootstrap(by_item, 300, index), len(by_item), 0.05)
        held += [abs(estimate) <= half, wider["low"] <= 0 <= wider["high"]]
    # The truth is 0 over all items; noise of single items in single runs counts twice.
    assert held[0] / studies < 0.9
    assert held[1] / studies > 0.92


def test_accuracy_has_its_items_from_the_answers() -> None:
    vqa = pd.DataFrame({
        "cell": ["r"] * 4, "language": ["de", "en", "de", "en"], "question": ["q1", "q1", "q2", "q2"],
        "correct": [True, False, True, True],
    })  # fmt: skip
    answers = [
        {"cell": "r", "measure": "accuracy", "item": "q1", "score": 0.5},
        {"cell": "r", "measure": "accuracy", "item": "q2", "score": 1.0},
    ]
    assert load.item_scores({"vqa": vqa}).to_dict("records") == answers
    table = pd.DataFrame([("r", "map@10", "7", 0.2, 2)], columns=["cell", "measure", "item", "score", "n"])
    both = load.item_scores({"vqa": vqa, "items": table})
    assert both["measure"].tolist() == ["map@10", "accuracy", "accuracy"]
    given = table.assign(measure="accuracy")
    assert len(load.item_scores({"vqa": vqa, "items": given})) == 1


def test_the_sentence_names_what_does_not_stand() -> None:
    drawn, table = study(np.random.default_rng(1), effect=5.0)
    found, _ = analysed(drawn, table)
    rows = found.assign(found=[True, True], found_items=[True, False])
    start = "vqa: with 60 test items drawn anew as well as runs and languages "
    assert items.sentences(rows) == [start + "the intervals of SD hold 0; 1 of 2 differences stand."]
    assert items.sentences(rows.assign(found_items=True)) == [start + "every difference that is found stands."]
    assert items.sentences(rows.assign(found=False)) == [start + "no difference is found either."]
