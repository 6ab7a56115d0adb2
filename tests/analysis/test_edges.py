"""Results with holes: the report is still written, and says what is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.report import page as report
from analysis.settings import AnalysisError, AnalysisSettings
from tests.analysis import simulate

TABLES = ("cells", "retrieval", "consistency", "vqa", "stability", "pairs")
Change = Callable[[pd.DataFrame], pd.DataFrame]


def of_method(levels: dict[str, float]) -> Callable[[pd.DataFrame], pd.Series]:
    """Each row's method looked up: scores that separate the methods without any noise."""
    return lambda f: f["cell"].str.split("-").str[2].map(levels).fillna(0.75)


SEPARATED = of_method({"none": 0.1, "fd": 0.7, "sd": 0.4})


def answered(f: pd.DataFrame, right: pd.Series) -> pd.DataFrame:
    """The answers with just those right that are to be."""
    return f.assign(chosen=f["answer"].where(right, (f["answer"] + 1) % 4), correct=right)


def language_of_run(f: pd.DataFrame) -> pd.Series:
    """Rows of the first, second, ... language for the first, second, ... run."""
    runs, languages = pd.factorize(f["cell"])[0], pd.factorize(f["language"])[0]
    return pd.Series(languages == runs % (languages.max() + 1), index=f.index)


def one_direction(f: pd.DataFrame) -> pd.DataFrame:
    return f[~(f["cell"].str.contains("-fd-") & (f["direction"] == "image_to_text"))]


def without(*prefixes: str) -> dict[str, Change]:
    return dict.fromkeys(TABLES, lambda f: f[~f["cell"].str.startswith(prefixes)])


TWO = replace(simulate.smoke(), archs=("clip", "siglip2"), seeds=3)


@pytest.mark.parametrize(
    ("plan", "changes"),
    [
        pytest.param(replace(simulate.smoke(), methods=("none", "zeta", "dr+ed")), {}, id="methods of their own"),
        pytest.param(TWO, without("clip-half-fd-s0", "siglip2-half-none-s1"), id="runs lost"),
        pytest.param(TWO, without("clip-half-none"), id="control lacks an architecture"),
        pytest.param(TWO, without("siglip2-half-fd"), id="a method in one architecture"),
        pytest.param(
            TWO, without("siglip2-half-fd-s0", "siglip2-half-none-s1", "siglip2-half-none-s2"), id="seeds that part"
        ),
        pytest.param(TWO, {"retrieval": one_direction}, id="a method with one direction"),
        pytest.param(TWO, without("clip-half-none", "siglip2-half-fd"), id="a method never beside the control"),
        pytest.param(simulate.smoke(), without("clip-teacher"), id="no teacher"),
        pytest.param(simulate.smoke(), {"vqa": lambda f: f.head(0)}, id="no vqa"),
        pytest.param(simulate.smoke(), {"vqa": lambda f: answered(f, f["answer"] < 0)}, id="nothing right"),
        pytest.param(simulate.smoke(), {"stability": lambda f: f[f["level"] == "group"]}, id="no stability"),
        pytest.param(simulate.smoke(), {"retrieval": lambda f: f.head(0)}, id="no retrieval"),
        pytest.param(TWO, {"vqa": lambda f: answered(f, SEPARATED(f) == 0.7)}, id="vqa separated"),
        pytest.param(replace(TWO, archs=("clip",), methods=("none", "fd")), {}, id="one method and the control"),
        pytest.param(TWO, {"consistency": lambda f: f.head(0)}, id="no consistency"),
        pytest.param(simulate.smoke(), dict.fromkeys(TABLES[1:], lambda f: f.head(0)), id="no score at all"),
        pytest.param(TWO, without("clip-half-fd-s1", "clip-half-fd-s2"), id="a method with one seed in one place"),
        pytest.param(
            TWO, without(*(f"{a}-half-fd-s{i}" for a in TWO.archs for i in (1, 2))), id="a method with one seed"
        ),
        pytest.param(TWO, {"retrieval": lambda f: f[language_of_run(f)]}, id="a language of its own for every run"),
        pytest.param(TWO, dict.fromkeys(TABLES[1:3] + TABLES[4:], lambda f: f.assign(score=0.5)), id="all constant"),
        pytest.param(
            TWO, dict.fromkeys(TABLES[1:3] + TABLES[4:], lambda f: f.assign(score=SEPARATED(f))), id="all separated"
        ),
    ],
)
def test_a_report_is_written(tmp_path: Path, plan: simulate.Plan, changes: dict[str, Change]) -> None:
    folder = simulate.write(tmp_path / "results", plan)
    for table, change in changes.items():
        path = folder / f"{table}.parquet"
        change(pd.read_parquet(path)).to_parquet(path, index=False)
    lines = report.build(folder, tmp_path / "report", AnalysisSettings())
    assert len(lines) >= 2
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert ">nan<" not in page
    assert " nan " not in page


def test_one_language_says_nothing_of_others(tmp_path: Path) -> None:
    plan = replace(simulate.smoke(), languages=["en"], vqa_languages=1, seeds=3)
    report.build(simulate.write(tmp_path / "results", plan), tmp_path / "report", AnalysisSettings())
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "nothing is said about other languages" in page
    assert "crossed REML" not in page


def test_nothing_beside_the_control_is_refused(tmp_path: Path) -> None:
    folder = simulate.write(tmp_path / "results", TWO)
    for table, change in without("clip-half-none", "siglip2-half-fd", "siglip2-half-sd").items():
        path = folder / f"{table}.parquet"
        change(pd.read_parquet(path)).to_parquet(path, index=False)
    with pytest.raises(AnalysisError, match="no method shares an arch and size with 'none'"):
        report.build(folder, tmp_path / "report", AnalysisSettings())


@pytest.mark.parametrize(
    ("table", "change"),
    [
        pytest.param("retrieval", lambda f: f.assign(score=SEPARATED(f)), id="retrieval"),
        pytest.param("vqa", lambda f: answered(f, SEPARATED(f) == 0.7), id="vqa"),
        # Differences of runs that are alike but for rounding.
        pytest.param(
            "stability",
            lambda f: f[f["language"] == "all"].assign(score=lambda g: SEPARATED(g) + 0.1 * g["seed"].fillna(0)),
            id="stability",
        ),
    ],
)
def test_perfect_separation_has_a_difference_and_no_p(tmp_path: Path, table: str, change: Change) -> None:
    folder = simulate.write(tmp_path / "results", TWO)
    path = folder / f"{table}.parquet"
    change(pd.read_parquet(path)).to_parquet(path, index=False)
    (folder / "pairs.parquet").unlink()  # stability is then what its own table says
    report.build(folder, tmp_path / "report", AnalysisSettings())
    contrasts = pd.read_csv(tmp_path / "report" / "tables" / "contrasts.csv")
    found = contrasts[(contrasts["outcome"] == table) & (contrasts["contrast"] == "fd - none")]
    assert (found["estimate"] > 50).all()
    assert found[["p", "p_adjusted", "ci_low", "ci_high"]].isna().all(axis=None)
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "no interval" in page


@pytest.mark.parametrize(("value", "message"), [(float("nan"), "empty value in row 7"), (float("inf"), "infinite")])
def test_scores_that_are_no_numbers_are_refused(tmp_path: Path, value: float, message: str) -> None:
    folder = simulate.write(tmp_path / "results", simulate.smoke())
    path = folder / "retrieval.parquet"
    frame = pd.read_parquet(path)
    frame.loc[7, "score"] = value
    frame.to_parquet(path, index=False)
    with pytest.raises(AnalysisError, match=f"retrieval.*score.*{message}"):
        report.build(folder, tmp_path / "report", AnalysisSettings())


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("retrieval", lambda f: f.assign(score=f["score"] * 100), r"recall@1.* is [\d.]+, outside 0 to 1|map@10"),
        ("stability", lambda f: f.assign(score=-2.0), "outside -1 to 1|outside 0 to 1"),
        (
            "retrieval",
            lambda f: f.replace({"metric": {"map@10": "map10"}}),
            "unknown metric 'map10'; did you mean 'map@10'",
        ),
        ("consistency", lambda f: f.replace({"construct": {"rankc": "rankd"}}), "unknown construct 'rankd'"),
    ],
)
def test_scores_that_are_not_of_their_measure_are_refused(
    tmp_path: Path, table: str, change: Change, message: str
) -> None:
    folder = simulate.write(tmp_path / "results", simulate.smoke())
    path = folder / f"{table}.parquet"
    change(pd.read_parquet(path)).to_parquet(path, index=False)
    with pytest.raises(AnalysisError, match=f"{table}.parquet: .*({message})"):
        report.build(folder, tmp_path / "report", AnalysisSettings())


def test_a_contrast_of_no_method_is_refused_unless_its_runs_were_planned(tmp_path: Path) -> None:
    folder = simulate.write(tmp_path / "results", simulate.smoke())
    with pytest.raises(AnalysisError, match="contrast 'fdd'; did you mean 'fd'"):
        report.build(folder, tmp_path / "report", AnalysisSettings(contrasts=("fdd",)))
    cells = pd.read_parquet(folder / "cells.parquet").query("role == 'student'")["cell"]
    planned = (*cells, "clip-half-ed-s0", "clip-half-ed-s1")
    report.build(folder, tmp_path / "report", AnalysisSettings(contrasts=("ed",), planned=planned))
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "2 planned runs missing: clip-half-ed-s0, clip-half-ed-s1." in page
    assert "Declared but without a run: ED." in page


@pytest.mark.parametrize(
    "settings", [AnalysisSettings(languages="fixed"), AnalysisSettings(family="study"), AnalysisSettings(alpha=0.01)]
)
def test_every_choice_of_the_declaration_has_a_report(tmp_path: Path, settings: AnalysisSettings) -> None:
    folder = simulate.write(tmp_path / "results", TWO)
    assert len(report.build(folder, tmp_path / "report", settings)) >= 5


def test_names_with_signs_of_html_and_latex_are_escaped(tmp_path: Path) -> None:
    plan = replace(simulate.smoke(), methods=("none", "a_b&c%", "<i>"))
    report.build(simulate.write(tmp_path / "results", plan), tmp_path / "report", AnalysisSettings())
    assert "<i>" not in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    source = (tmp_path / "report" / "tables" / "contrasts-retrieval.tex").read_text(encoding="utf-8")
    assert r"a\_b\&c\%" in source


def test_runs_of_a_seed_may_repeat_at_other_values_of_a_covariate(tmp_path: Path) -> None:
    """Scores rise by 2 points from one temperature to the other; the methods' differences stay as they were."""
    plan = replace(TWO, archs=("clip",), methods=("none", "fd"), vqa_languages=3)
    tables, warm = simulate.tables(plan), simulate.tables(replace(plan, seed=12))
    folder = tmp_path / "results"
    folder.mkdir()
    for name, table in tables.items():
        cool, hot = table.copy(), (table if name == "vqa" else warm[name]).copy()  # the same questions
        group = hot["level"] == "group" if name == "stability" else pd.Series(False, index=hot.index)
        hot = hot[~group & ~hot["cell"].str.endswith("teacher")]
        hot["cell"] += "-hot"
        if name == "retrieval":
            hot["score"] += 0.02
        if name == "cells":
            cool["temperature"], hot["temperature"] = 0.1, 0.5
        pd.concat([cool, hot], ignore_index=True).to_parquet(folder / f"{name}.parquet", index=False)
    with pytest.raises(AnalysisError, match="unknown columns"):
        report.build(folder, tmp_path / "report", AnalysisSettings())
    report.build(folder, tmp_path / "report", AnalysisSettings(covariates=("temperature",)))
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "+ temperature" in page
    contrasts = pd.read_csv(tmp_path / "report" / "tables" / "contrasts.csv").query("language == 'average'")
    row = contrasts[contrasts["outcome"] == "retrieval"].iloc[0]
    raw = pd.read_parquet(folder / "retrieval.parquet").query("metric == 'map@10'")
    means = raw[~raw["cell"].str.contains("teacher")].groupby(raw["cell"].str.split("-").str[2])["score"].mean()
    assert row["estimate"] == pytest.approx(100 * (means["fd"] - means["none"]), abs=1e-6)
