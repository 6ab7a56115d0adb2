"""The whole report on small studies: complete, self-contained, and careful with its words."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import __main__ as command
from analysis import measures, wording
from analysis.contrasts import estimate
from study.measures import KINDS
from tests.analysis import simulate


@pytest.fixture(scope="module")
def report(medium: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reports") / "report"
    assert command.main(["--results", str(medium), "--out", str(out)]) == 0
    return out


def text(out: Path) -> str:
    page = (out / "report.html").read_text(encoding="utf-8")
    page = re.sub(r"<(style|svg).*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


def test_everything_is_written(report: Path) -> None:
    names = {"overview", "overview-narrow", "scores", "languages", "tradeoff", "retrieval", "profiles", "pairs"}
    names |= {"diagnostics", "forest-retrieval", "forest-consistency", "forest-vqa", "forest-stability"}
    drawn = {p.name for p in (report / "figures").iterdir()}
    assert {f"{n}.{e}" for n in names for e in ("svg", "png")} <= drawn
    table = pd.read_csv(report / "tables" / "contrasts.csv")
    assert list(table.columns) == estimate.COLUMNS
    assert {"retrieval", "consistency", "vqa", "stability"} <= set(table["outcome"])
    files = {"contrasts", "effects", "means", "pairs", "f_tests", "sensitivity", "variances", "influence", "runs"}
    files |= {"languages", "profiles", "tradeoff", "tradeoff_by_place", "churn", "churn_contrasts", "design", "cost"}
    files |= {"tradeoff_by_construct", "measures", "items", "predictions", "boundary", "power"}
    assert files <= {p.stem for p in (report / "tables").glob("*.csv")}
    for path in (report / "tables").glob("*.csv"):
        found = pd.read_csv(path)
        assert len(found), path
    lines = (report / "findings.txt").read_text(encoding="utf-8").splitlines()
    assert 5 <= len(lines) <= 10
    assert [p for p in report.parent.iterdir() if p != report] == []


def test_the_page_asks_nothing_of_the_network(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 10
    # What it links to lies beside it, and nothing is loaded from there.
    assert not re.findall(r"""src=["'](?!data:)""", page)
    for link in re.findall(r"""href=["'](?!#|data:|https:)([^"']+)""", page):
        assert (report / link).is_file(), link
    assert "<script" not in page
    assert "@import" not in page
    # matplotlib's SVG namespaces are names, not addresses that a browser would fetch
    assert not re.search(r"url\(\s*['\"]?http", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {"main", "declared", "tradeoff", "evidence", "design"} <= set(ids)


def test_words_carry_no_wald_z_and_no_leaks(report: Path) -> None:
    words = text(report)
    assert not re.search(r"\bz\b|P>\|z\||Wald", words)
    for leak in ("nan", "None", "built-in", "Undefined", "inf "):
        assert leak not in words
    assert not re.search(r"p = \.000|p = 1\.000|\+0\.0 ", words)
    assert "statsmodels MixedLM confirms" in words


def test_the_answer_comes_first_and_the_paragraph_for_a_paper_last(report: Path) -> None:
    words = " ".join(text(report).replace("\N{NO-BREAK SPACE}", " ").split())
    page = (report / "report.html").read_text(encoding="utf-8")
    assert page.index('id="figure-overview"') < page.index('id="declared"') < page.index('id="evidence"')
    assert "We trained 32 students (4 methods including the control, 2 architectures, 1 size, 4 seeds)" in words
    assert "On the Pareto front of consistency and stability:" in words


def test_latex_tables_are_booktabs_with_escaped_text(report: Path) -> None:
    names = {"contrasts-retrieval", "contrasts-consistency", "contrasts-vqa", "contrasts-stability", "tradeoff"}
    assert {p.stem for p in (report / "tables").glob("*.tex")} == names
    for path in (report / "tables").glob("*.tex"):
        source = path.read_text(encoding="utf-8")
        assert "\\toprule" in source
        assert source.count("{") == source.count("}")
        assert not re.search(r"(?<!\\)%", source)
        assert "\N{MINUS SIGN}" not in source


def test_findings_state_the_known_effects(report: Path) -> None:
    lines = (report / "findings.txt").read_text(encoding="utf-8")
    assert re.search(r"Retrieval mAP@10 .*: raised by .*FD \+1[2-6]\.\d \[", lines)
    assert re.search(r"Retrieval consistency .*: raised by SD \+\d+\.\d \[.* not significantly different: DR\.", lines)


@pytest.mark.parametrize("seeds", [1, 2])
def test_smoke_study_is_reported_with_caution(tmp_path: Path, seeds: int) -> None:
    results = simulate.write(tmp_path / "results", replace(simulate.smoke(), seeds=seeds))
    assert command.main(["--results", str(results), "--out", str(tmp_path / "report")]) == 0
    words = text(tmp_path / "report")
    assert f"With {seeds} seed" in words
    assert "nan" not in words
    if seeds == 1:
        assert "This study cannot tell what consistency costs" in words


def test_a_report_replaces_a_report_and_nothing_else(
    tmp_path: Path, smoke: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    arguments = ["--results", str(smoke), "--out", str(out)]
    assert command.main(arguments) == 0
    (out / "stale.txt").write_text("old")
    before = (out / "report.html").read_bytes()
    assert command.main(arguments) == 0
    assert not (out / "stale.txt").exists()
    assert (out / "report.html").read_bytes() == before
    other = tmp_path / "precious"
    other.mkdir()
    (other / "file.txt").write_text("keep")
    assert command.main(["--results", str(smoke), "--out", str(other)]) == 2
    assert "is not an earlier report" in capsys.readouterr().err
    assert (other / "file.txt").read_text() == "keep"


def test_a_failed_analysis_leaves_the_old_report(tmp_path: Path, smoke: Path) -> None:
    out = tmp_path / "report"
    assert command.main(["--results", str(smoke), "--out", str(out)]) == 0
    before = (out / "report.html").read_bytes()
    assert command.main(["--results", str(tmp_path / "nowhere"), "--out", str(out)]) == 2
    assert (out / "report.html").read_bytes() == before


def test_description_is_escaped(tmp_path: Path, smoke: Path) -> None:
    choices = tmp_path / "settings.json"
    choices.write_text('{"study": "<script>x</script>", "language_resources": {"en": 0.7, "de": 0.2}}')
    out = tmp_path / "report"
    assert command.main(["--results", str(smoke), "--out", str(out), "--settings", str(choices)]) == 0
    assert "<script>" not in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0004, "p < .001"), (0.0416, "p = .042"), (0.9997, "p > .999"), (float("nan"), "p not available")],
)
def test_p_in_words(value: float, expected: str) -> None:
    assert wording.p_value(value) == expected


def test_signs_in_words() -> None:
    assert [wording.sign(v) for v in (1.26, -1.26, -0.04, np.nan)] == ["+1.3", "\N{MINUS SIGN}1.3", "0.0", "n/a"]
    assert wording.interval(-1.0, 2.0) == "[\N{MINUS SIGN}1.0, 2.0]"


def test_every_measure_of_the_schema_is_defined_with_its_source() -> None:
    table = measures.table()
    assert set(table["measure"]) == {m.name for found in KINDS.values() for m in found}
    assert all(len(text) > 3 for column in ("meaning", "detail", "source") for text in table[column])
    assert (table["low"] < table["high"]).all()
