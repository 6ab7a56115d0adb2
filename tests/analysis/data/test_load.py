"""Results that cannot be used are refused by name; missing runs are named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis import settings
from analysis.data import load
from analysis.settings import AnalysisError, AnalysisSettings


@pytest.fixture
def spoil(smoke: Path, tmp_path: Path) -> Callable[[str, Callable[[pd.DataFrame], pd.DataFrame]], Path]:
    folder = tmp_path / "results"
    shutil.copytree(smoke, folder)

    def change(table: str, how: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
        path = folder / f"{table}.parquet"
        how(pd.read_parquet(path)).to_parquet(path, index=False)
        return folder

    return change


def test_scores_are_points_averaged_over_directions(smoke: Path) -> None:
    study = load.load(smoke, AnalysisSettings())
    raw = pd.read_parquet(smoke / "retrieval.parquet").query("metric == 'map@10'")
    expected = 100 * raw[(raw["cell"] == "clip-half-fd-s0") & (raw["language"] == "de")]["score"].mean()
    frame = study.headlines["retrieval"].frame
    got = frame[(frame["cell"] == "clip-half-fd-s0") & (frame["language"] == "de")]["score"]
    assert got.tolist() == [pytest.approx(expected)]
    assert "teacher" not in set(frame["method"])
    assert len(study.headlines["stability"].frame) == 6 * 5  # five languages have questions
    assert len(study.secondary["stability:alpha"].frame) == 6


def test_missing_and_unplanned_cells_are_named(smoke: Path) -> None:
    study = load.load(smoke, AnalysisSettings(planned=("clip-half-fd-s0", "clip-half-fd-s7")))
    assert study.missing == ["clip-half-fd-s7"]
    assert "clip-half-none-s0" in study.extra


def test_without_a_plan_holes_in_the_crossing_are_named(
    spoil: Callable[[str, Callable[[pd.DataFrame], pd.DataFrame]], Path],
) -> None:
    for table in ("cells", "retrieval", "consistency", "vqa", "stability", "pairs"):
        folder = spoil(table, lambda f: f[f["cell"] != "clip-half-sd-s1"])
    assert load.load(folder, AnalysisSettings()).missing == ["clip-half-sd-s1"]


def test_incomplete_scores_are_named(spoil: Callable[[str, Callable[[pd.DataFrame], pd.DataFrame]], Path]) -> None:
    folder = spoil("retrieval", lambda f: f[~((f["cell"] == "clip-half-fd-s1") & (f["language"] == "sw"))])
    assert load.load(folder, AnalysisSettings()).incomplete == ["clip-half-fd-s1: retrieval in 5 of 6 languages"]


@pytest.mark.parametrize(
    ("table", "how", "message"),
    [
        ("vqa", lambda f: f.drop(columns="type"), r"vqa.parquet: .*missing columns \['type'\]"),
        ("retrieval", lambda f: f.replace({"cell": {"clip-half-fd-s0": "clip-haff-fd-s0"}}), "mean 'clip-half-fd-s0'"),
        ("cells", lambda f: f[f["method"] != "none"], "no run of the control 'none'"),
        ("cells", lambda f: f.assign(role="studnet"), "role 'studnet'; did you mean 'student'"),
        ("cells", lambda f: f[f["role"] == "teacher"], "no student"),
        ("consistency", lambda f: pd.concat([f, f.head(1)]), "repeat a key"),
    ],
)
def test_unusable_results_are_refused(
    spoil: Callable[[str, Callable[[pd.DataFrame], pd.DataFrame]], Path],
    table: str,
    how: Callable[[pd.DataFrame], pd.DataFrame],
    message: str,
) -> None:
    with pytest.raises(AnalysisError, match=message):
        load.load(spoil(table, how), AnalysisSettings())


def test_absent_folder_file_and_rubbish_are_refused(tmp_path: Path, smoke: Path) -> None:
    with pytest.raises(AnalysisError, match="no such folder"):
        load.load(tmp_path / "nowhere", AnalysisSettings())
    with pytest.raises(AnalysisError, match=r"cells.parquet: missing"):
        load.load(tmp_path, AnalysisSettings())
    shutil.copytree(smoke, tmp_path / "r")
    (tmp_path / "r" / "vqa.parquet").write_text("rubbish")
    with pytest.raises(AnalysisError, match=r"vqa.parquet: not a readable parquet file"):
        load.load(tmp_path / "r", AnalysisSettings())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"contol": "none"}, "unknown key 'contol'; did you mean 'control'"),
        ({"languages": "mixed"}, "'random' or 'fixed'"),
        ({"alpha": 5}, "between 0 and 0.5"),
        ({"primary": "retrieval"}, "must be a list of names"),
        ({"smallest_effect": {"vqa": -1}}, "must be above 0"),
    ],
)
def test_settings_are_checked(values: dict[str, object], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        settings.parse(values)


def test_an_unknown_primary_outcome_offers_the_nearest(smoke: Path) -> None:
    with pytest.raises(AnalysisError, match="'retrival' is not in the results; did you mean 'retrieval'"):
        load.load(smoke, AnalysisSettings(primary=("retrival",)))


def test_order_of_methods_and_hash(smoke: Path, tmp_path: Path) -> None:
    assert load.method_order(["zeta", "dr", "none", "alpha", "fd"], "none") == ["none", "fd", "dr", "alpha", "zeta"]
    shutil.copytree(smoke, tmp_path / "r")
    path = tmp_path / "r" / "vqa.parquet"
    before = load.load(smoke, AnalysisSettings()).data_hash
    pd.read_parquet(path).iloc[::-1].to_parquet(path, index=False)
    assert load.load(tmp_path / "r", AnalysisSettings()).data_hash == before
    pd.read_parquet(path).iloc[1:].to_parquet(path, index=False)
    assert load.load(tmp_path / "r", AnalysisSettings()).data_hash != before


def test_measures_over_pairs_are_read_as_independent_languages(smoke: Path) -> None:
    study = load.load(smoke, AnalysisSettings())
    for kind, table, columns in (
        ("consistency", "consistency", "construct == 'rbo_excess'"),
        ("stability", "stability", "construct == 'shared_right' and language != 'all'"),
    ):
        raw = pd.read_parquet(smoke / f"{table}.parquet").query(f"{columns} and cell == 'clip-half-fd-s0'")
        score = 100 * raw.set_index("language")["score"]
        frame = study.headlines[kind].frame
        got = frame[frame["cell"] == "clip-half-fd-s0"].set_index("language")["score"]
        count = len(score)
        expected = score.mean() + 2 * (count - 1) / (count - 2) * (score - score.mean())
        pd.testing.assert_series_equal(got.sort_index(), expected.sort_index(), check_names=False)
        assert study.headlines[kind].measure == raw["construct"].iloc[0]


def test_a_study_of_two_languages_compares_runs(
    spoil: Callable[[str, Callable[[pd.DataFrame], pd.DataFrame]], Path],
) -> None:
    spoil("stability", lambda f: f[f["language"].isin(["all", "en", "de"])])
    spoil("pairs", lambda f: f[f["language"].isin(["en", "de"]) & f["partner"].isin(["en", "de"])])
    folder = spoil("consistency", lambda f: f[f["language"].isin(["en", "de"])].assign(partners=1))
    study = load.load(folder, AnalysisSettings())
    assert not study.headlines["consistency"].by_language
    assert not study.headlines["stability"].by_language
    assert len(study.headlines["consistency"].frame) == 6
