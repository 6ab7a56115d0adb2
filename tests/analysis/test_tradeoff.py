"""The joint test of consistency and stability, and the sentence made of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import sentences, tradeoff
from analysis.settings import Settings


def points(consistency: float, stability: float, n: int = 5, places: int = 2, sd: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(17)
    index = pd.MultiIndex.from_product([[f"a{i}" for i in range(places)], ["half"], range(n)])
    index = index.set_names(["arch", "size", "seed"])
    return pd.DataFrame(
        {"consistency": rng.normal(consistency, sd, len(index)), "stability": rng.normal(stability, sd, len(index))},
        index=index,
    )


def said(consistency: float, stability: float, **options: float) -> str:
    found = tradeoff.joint(points(consistency, stability, **options), "fd", 0.05)  # type: ignore[arg-type]
    found = tradeoff.Tradeoff(**{**found.__dict__, "p_bought_holm": found.p_bought})
    return sentences.tradeoff_sentence(found, Settings())


def test_one_place_is_the_textbook_hotelling_test() -> None:
    data = points(1.0, -0.5, n=8, places=1)
    found = tradeoff.joint(data, "fd", 0.05)
    x = data.to_numpy()
    t2 = 8 * x.mean(0) @ np.linalg.inv(np.cov(x.T)) @ x.mean(0)
    assert found.p_joint == pytest.approx(stats.f.sf(t2 * 6 / 14, 2, 6))
    assert found.p_up == pytest.approx(stats.ttest_1samp(x[:, 0], 0, alternative="greater").pvalue)
    assert found.p_bought == max(found.p_up, found.p_down)


def test_every_point_of_the_ellipse_is_as_far_as_the_region_says() -> None:
    found = tradeoff.joint(points(3.0, -2.0), "fd", 0.05)
    away = found.ellipse() - found.mean
    distance = np.einsum("ij,jk,ik->i", away, np.linalg.inv(found.cov), away)
    np.testing.assert_allclose(distance, 2 * 8 / 7 * stats.f.isf(0.05, 2, 7), rtol=1e-9)


@pytest.mark.parametrize(
    ("consistency", "stability", "sd", "expected"),
    [
        (6, -4, 1.0, "paid for consistency with stability"),
        (6, 4, 1.0, "raised both"),
        (6, 0, 0.5, "at no loss of VQA stability as large as 2 points"),
        (6, 0, 4.0, "cannot tell what that cost"),
        (0, -4, 1.0, "did not demonstrably raise consistency"),
        (-6, -4, 1.0, "lowered consistency"),
    ],
)
def test_the_sentence_follows_the_numbers(consistency: float, stability: float, sd: float, expected: str) -> None:
    assert expected in said(consistency, stability, sd=sd)


def test_two_blocks_have_an_interval_but_no_ellipse() -> None:
    found = tradeoff.joint(points(6, -4, n=2, places=1), "fd", 0.05)
    assert np.isfinite(found.ci).all()
    assert len(found.ellipse()) == 0


def test_one_block_cannot_tell() -> None:
    assert "cannot tell" in said(6, -4, n=1, places=1)


def test_the_method_by_task_contrast_is_a_paired_t_test() -> None:
    data = points(1.0, -0.5, n=8, places=1)
    found = tradeoff.joint(data, "fd", 0.05)
    expected = stats.ttest_rel(data["stability"], data["consistency"])
    assert found.task[0] == pytest.approx((data["stability"] - data["consistency"]).mean())
    assert found.task[3] == pytest.approx(expected.pvalue)
    np.testing.assert_allclose(found.task[1:3], expected.confidence_interval())


def test_the_pareto_front_holds_what_nothing_beats() -> None:
    found = [
        tradeoff.joint(points(c, s, sd=0.2), name, 0.05)
        for name, c, s in (("fd", 3.0, -2.0), ("ed", 2.0, 1.0), ("sd", 1.0, 0.0))
    ]
    front = tradeoff.pareto(found, "none").set_index("method")
    assert front["member"].to_dict() == {"none": False, "fd": True, "ed": True, "sd": False}
    assert front.loc["ed", "probability"] == 1
    assert front.loc["sd", "probability"] == 0
    assert front["probability"].between(0, 1).all()
    assert "FD (100 % of bootstrap draws) and ED (100 % of bootstrap draws)" in sentences.front_sentence(
        front.reset_index()
    )
    assert tradeoff.pareto([tradeoff.joint(points(1, 1, n=1), "fd", 0.05)], "none").empty


def test_a_price_that_the_average_hides_is_found_where_it_was_paid() -> None:
    first, second = points(4.0, 5.0, n=6, places=1, sd=0.3), points(4.0, -5.0, n=6, places=1, sd=0.3)
    second = second.rename(index={"a0": "b"}, level="arch")
    whole = tradeoff.joint(pd.concat([first, second]), "sd", 0.05)
    assert abs(whole.mean[1]) < 0.5
    places = dict(tradeoff.by_place([whole], 0.05))
    assert places[("b", "half")].p_bought_holm < 0.001 < places[("a0", "half")].p_bought_holm
    said_of = sentences.places_sentence(list(places.items()), Settings())
    assert "bought with stability in b half by SD (+3.9, \N{MINUS SIGN}5.2)" in said_of
    assert "both up in a0 half by SD (+3.9, +4.8)" in said_of
    assert tradeoff.by_place([tradeoff.joint(first, "sd", 0.05)], 0.05) == []
