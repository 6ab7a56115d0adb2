"""Scores of pairs into independent languages: brute-force least squares, the algebra, what cannot be told."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from analysis.data import language_pairs


def table(cells: int, languages: int, seed: int = 0, noise: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    names = [f"l{i:02d}" for i in range(languages)]
    rows = []
    for cell in range(cells):
        own = rng.normal(0, 2, languages)
        rows += [(f"c{cell}", names[i], names[j], 30 + own[i] + own[j] + rng.normal(0, noise))
                 for i, j in combinations(range(languages), 2)]  # fmt: skip
    return pd.DataFrame(rows, columns=["cell", "language", "partner", "score"])


def partner_means(of: pd.DataFrame) -> pd.DataFrame:
    other = of.rename(columns={"language": "partner", "partner": "language"})
    both = pd.concat([of, other])
    found = both.groupby(["cell", "language"])["score"].agg(["mean", "size"]).reset_index()
    return found.rename(columns={"mean": "score", "size": "partners"})


def by_hand(one: pd.DataFrame) -> dict[str, float]:
    """Level and language effects that add up to 0, by least squares with the constraint written out."""
    names = sorted({*one["language"], *one["partner"]})
    x = np.zeros((len(one) + 1, len(names) + 1))
    x[:-1, 0] = 1.0
    for row, (a, b) in enumerate(zip(one["language"], one["partner"], strict=True)):
        x[row, 1 + names.index(a)] = x[row, 1 + names.index(b)] = 1.0
    x[-1, 1:] = 1e4  # the effects add up to 0
    level, *effects = np.linalg.lstsq(x, np.append(one["score"], 0.0), rcond=None)[0]
    return {name: level + 2 * effect for name, effect in zip(names, effects, strict=True)}


@pytest.mark.parametrize("missing", [0, 3, 7])
def test_languages_are_the_least_squares_of_the_pairs(missing: int) -> None:
    whole = table(3, 6)
    rng = np.random.default_rng(missing)
    kept = pd.concat([g.drop(rng.choice(g.index, missing, replace=False)) for _, g in whole.groupby("cell")])
    found = language_pairs.language_scores(kept).set_index(["cell", "language"])["score"]
    for cell, one in kept.groupby("cell"):
        expected = by_hand(one)
        degree = pd.concat([one["language"], one["partner"]]).value_counts()
        assert set(found[cell].index) <= set(degree.index)
        if missing < 7:  # with 8 of 15 pairs some language may hang on a circle of even length
            assert set(found[cell].index) == set(expected)
            for language, value in expected.items():
                assert found[cell, language] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("languages", [3, 4, 10, 36])
def test_the_closed_form_is_least_squares_of_all_pairs(languages: int) -> None:
    whole = table(2, languages)
    expected = language_pairs.language_scores(whole)
    found = language_pairs.from_partner_means(partner_means(whole))
    pd.testing.assert_frame_equal(
        found.sort_values(["cell", "language"]).reset_index(drop=True),
        expected.sort_values(["cell", "language"]).reset_index(drop=True),
    )
    np.testing.assert_allclose(found.groupby("cell")["score"].mean(), whole.groupby("cell")["score"].mean())


def test_additive_pairs_give_back_what_each_language_brings() -> None:
    rng = np.random.default_rng(1)
    own = rng.normal(20, 3, 7)
    rows = [("c", f"l{i}", f"l{j}", own[i] + own[j]) for i, j in combinations(range(7), 2)]
    whole = pd.DataFrame(rows, columns=["cell", "language", "partner", "score"])
    found = language_pairs.language_scores(whole.drop([0, 5, 9])).set_index("language")["score"]
    np.testing.assert_allclose(found, 2 * own, rtol=1e-9)


def test_a_gain_of_one_language_stays_in_its_row() -> None:
    plain = table(1, 8, noise=0.0)
    gained = plain.assign(score=plain["score"] + 3.0 * (plain[["language", "partner"]] == "l03").any(axis=1))
    moved = (
        language_pairs.language_scores(gained).set_index("language")["score"]
        - language_pairs.language_scores(plain).set_index("language")["score"]
    )
    np.testing.assert_allclose(moved, [6.0 * (name == "l03") for name in moved.index], atol=1e-9)


def test_runs_that_lack_languages_keep_what_the_others_bring() -> None:
    whole = table(2, 6, noise=0.0)
    lacking = whole[~((whole["cell"] == "c1") & (whole[["language", "partner"]] == "l05").any(axis=1))]
    expected = language_pairs.language_scores(whole).query("not (cell == 'c1' and language == 'l05')")
    for found in (language_pairs.language_scores(lacking), language_pairs.from_partner_means(partner_means(lacking))):
        both = found.merge(expected, on=["cell", "language"])
        assert len(found) == len(both) == 11
        np.testing.assert_allclose(both["score_x"], both["score_y"], rtol=1e-9)


def test_two_languages_are_one_number_per_run() -> None:
    two = table(3, 2)
    assert language_pairs.language_scores(two).empty
    assert language_pairs.from_partner_means(partner_means(two)).empty
    np.testing.assert_allclose(language_pairs.run_scores(partner_means(two))["score"], two["score"])


def test_a_circle_of_even_length_tells_nothing_of_its_languages() -> None:
    circle = [("c", "a", "b", 1.0), ("c", "b", "d", 2.0), ("c", "d", "e", 3.0), ("c", "a", "e", 4.0)]
    found = language_pairs.language_scores(pd.DataFrame(circle, columns=["cell", "language", "partner", "score"]))
    assert found.empty


def test_partner_means_of_missing_pairs_are_left_to_the_table_of_pairs() -> None:
    lacking = table(2, 5).drop(index=0)
    found = language_pairs.from_partner_means(partner_means(lacking))
    assert set(found["cell"]) == {"c1"}
