"""A short form of benchmarks/calibration.py: what it measures on hundreds of studies, on a few.

Limits are wide enough for a few studies and far from what the faults gave that they guard against: with means over
partners as languages, standard errors were half of what they should be; with gains judged without adjustment, a third
of the studies without effects had a place where "both" had risen.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.contrasts import estimate
from analysis.data import load
from analysis.settings import AnalysisSettings
from benchmarks import calibration


@pytest.fixture(scope="module")
def run_level() -> pd.DataFrame:
    found = [calibration.answers(calibration.simulate("run", "null", 3, 8, index), index) for index in range(40)]
    return pd.concat(found, ignore_index=True)


@pytest.fixture(scope="module")
def of_pairs() -> pd.DataFrame:
    found = [calibration.answers(calibration.simulate("pairs", "language", 3, 10, i), i) for i in range(30)]
    return pd.concat(found, ignore_index=True)


def test_standard_errors_of_pair_measures_are_as_large_as_the_estimates_vary(of_pairs: pd.DataFrame) -> None:
    whole = of_pairs[of_pairs["arch"] == "average"]
    for name in calibration.OUTCOMES:
        # p of a true null is uniform: 30 studies x 3 methods
        p = whole[f"{name}_p"]
        assert (p < 0.05).mean() < 0.13
        assert (p < 0.5).mean() == pytest.approx(0.5, abs=0.17)


def test_means_over_partners_as_languages_would_be_found_out() -> None:
    ratios: list[float] = []
    for index in range(12):
        study = calibration.simulate("pairs", "language", 3, 10, index)
        outcome = study.headlines["consistency"]
        wide = outcome.frame.pivot_table(index="cell", columns="language", values="score")
        # Back to means over partners, the inverse of what `pairs` does.
        mean = wide.mean(axis=1).to_numpy()[:, None]
        partners = pd.DataFrame(mean + (wide - mean) * 8 / (2 * 9), index=wide.index, columns=wide.columns)
        long = partners.reset_index().melt(id_vars="cell", var_name="language", value_name="score")
        frame = outcome.frame.drop(columns="score").merge(long, on=["cell", "language"])
        other = load.Outcome("consistency", "", "", frame, pd.DataFrame(), True)
        ours, theirs = (
            estimate.analyse(o, study, AnalysisSettings(), checks=False).marginal() for o in (outcome, other)
        )
        np.testing.assert_allclose(ours["estimate"], theirs["estimate"], atol=0.3)
        ratios.extend(ours["se"] / theirs["se"])
    assert np.mean(ratios) > 1.25


def test_false_verdicts_are_rare(run_level: pd.DataFrame, of_pairs: pd.DataFrame) -> None:
    for table in (run_level, of_pairs):
        count = table["index"].nunique()
        for sign in (-1.0, 1.0):
            # Stability truly falls, or rises, by far more than its error, and consistency does not move.
            gained = table["consistency_low"] > 0
            moved = (table["stability_high"] - 50 < 0) if sign < 0 else (table["stability_low"] + 50 > 0)
            hit = table[gained & moved]
            for places in (False, True):
                false = hit[(hit["arch"] != "average") == places]["index"].nunique()
                assert false <= 0.05 * count + 3 * np.sqrt(0.05 * 0.95 * count)


def test_joint_regions_hold_the_truth_of_the_population(of_pairs: pd.DataFrame) -> None:
    known = of_pairs["region"].dropna()
    assert len(known) == len(of_pairs)
    assert known.mean() > 0.9


def test_the_report_of_results_holds_for_each_kind_of_scores() -> None:
    calibration.check()
