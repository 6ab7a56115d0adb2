"""The tables of all cells: a corpus without questions has two empty ones, and a report all the same."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.report import page as report
from analysis.settings import AnalysisSettings
from pipeline import collect, paths, publish, stage
from study import records
from tests.analysis import simulate


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A study's folder with the runs and scores of simulated cells; their names."""
    monkeypatch.chdir(tmp_path)
    tables = simulate.tables(simulate.smoke())
    cells = tables["cells"].astype(object).to_dict("records")
    for row in cells:
        name = row["cell"]
        stage.write_json(collect.model_folder(name) / "run.json", {"cell": name, "row": row})
        (paths.SCORES / name).mkdir(parents=True)
        for table in ("retrieval", "consistency", "vqa"):
            frame = tables[table]
            frame[frame["cell"] == name].to_parquet(paths.SCORES / name / f"{table}.parquet", index=False)
        sign = {"cell": name, "language": "en", "indicator": "effective_rank", "score": 9.0}
        pd.DataFrame([sign]).to_parquet(paths.SCORES / name / "collapse.parquet", index=False)
        item = {"cell": name, "measure": "map@10", "item": "0", "score": 0.5}
        pd.DataFrame([item]).to_parquet(paths.SCORES / name / "items.parquet", index=False)
    return [row["cell"] for row in cells]


def silence(cell: str) -> None:
    """What a cell's scores are where the corpus asks no questions."""
    path = paths.SCORES / cell / "vqa.parquet"
    pd.read_parquet(path).head(0).to_parquet(path, index=False)


def test_every_cell_is_in_every_table(names: list[str]) -> None:
    tables = collect.result_tables(names)
    for name in ("cells", "retrieval", "consistency", "vqa"):
        assert list(dict.fromkeys(tables[name]["cell"])) == names
    for name in ("pairs", "collapse", "items"):
        assert set(tables[name]["cell"]) == set(names)
    assert set(tables["stability"].query("level == 'run'")["cell"]) == set(names)


def test_without_questions_the_report_says_that_vqa_is_missing(names: list[str], tmp_path: Path) -> None:
    for name in names:
        silence(name)
    tables = collect.result_tables(names)
    paths.RESULTS.mkdir()
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(frame, records.check(frame, {**records.TABLES, **records.OPTIONAL_TABLES}[name]))
        frame.to_parquet(paths.RESULTS / f"{name}.parquet", index=False)
    assert tables["vqa"].empty
    assert tables["stability"].empty
    assert set(publish.scores()) == set(names)
    report.build(paths.RESULTS, tmp_path / "report", AnalysisSettings())
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    for outcome in ("vqa", "stability"):
        assert f"No method can be compared with the control on {outcome}: scores are missing." in page
    assert ">nan<" not in page


def test_answers_that_only_some_cells_lack_are_named(names: list[str]) -> None:
    silence(names[1])
    with pytest.raises(stage.StageError, match=f"1 of {len(names)} cells have no answers, .*{names[1]}"):
        collect.result_tables(names)


def test_a_cell_without_scores_and_a_foreign_one_are_named(names: list[str]) -> None:
    (paths.SCORES / names[0] / "retrieval.parquet").rename(paths.SCORES / names[1] / "retrieval.parquet")
    with pytest.raises(stage.StageError, match=f"cell {names[0]} was not scored"):
        collect.result_tables(names)
    with pytest.raises(stage.StageError, match=f"holds rows of .*{names[0]}"):
        collect.result_tables(names[1:])


def test_answers_to_be_submitted_are_pointed_out_and_change_no_table(names: list[str]) -> None:
    before = collect.score_rows(names, "retrieval")
    assert collect.submissions(names) == ""
    for name in names:
        (paths.SCORES / name / "submission-cvqa-local.csv").write_text("ID,Prediction\n1_0,2\n")
    assert collect.submissions(names).endswith("scores/<cell>/ submission-cvqa-local.csv")
    pd.testing.assert_frame_equal(collect.score_rows(names, "retrieval"), before)


def test_languages_that_share_no_question_have_accuracy_and_no_stability(names: list[str], tmp_path: Path) -> None:
    for name in names:
        path = paths.SCORES / name / "vqa.parquet"
        frame = pd.read_parquet(path)
        frame.assign(question=frame["language"] + ":" + frame["question"]).to_parquet(path, index=False)
    tables = collect.result_tables(names)
    runs = tables["stability"].query("level == 'run'")
    flips = {"negative_flips", "positive_flips", "net_flips"}
    assert set(runs["construct"]) == {"accuracy", *flips}
    assert tables["stability"]["score"].notna().all()
    paths.RESULTS.mkdir()
    for table, frame in tables.items():
        frame.to_parquet(paths.RESULTS / f"{table}.parquet", index=False)
    assert set(publish.scores()) == set(names)
    report.build(paths.RESULTS, tmp_path / "report", AnalysisSettings())
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "No method can be compared with the control on stability: scores are missing." in page
    assert "No method can be compared with the control on vqa" not in page
    assert "VQA stability compares languages on the questions that they share" in page
    assert ">nan<" not in page
