"""Tables that cannot be compared are refused by name, or compared on what they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.data import load
from analysis.settings import AnalysisError, AnalysisSettings
from study import records
from tests.analysis import simulate

Tables = dict[str, pd.DataFrame]


def written(folder: Path, change: Callable[[Tables], None], plan: simulate.Plan | None = None) -> Path:
    """A small study with its tables changed, as files."""
    tables = simulate.tables(plan or simulate.smoke())
    change(tables)
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def put(table: str, **columns: Callable[[pd.DataFrame], object]) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        tables[table] = tables[table].assign(**columns)  # type: ignore[arg-type]

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (put("vqa", correct=lambda t: t["correct"].astype(str)), "'(True|False)' in row 0 is not True or False"),
        (put("vqa", correct=lambda t: t["correct"] * 0.3), "is not True or False"),
        (put("vqa", correct=lambda t: ~t["correct"]), "'correct' contradicts 'chosen' and 'answer'"),
        (put("vqa", chosen=lambda t: t["chosen"].astype(int) + 300), "30[0-3] is not a whole number that fits int8"),
        (put("cells", seed=lambda t: t["seed"] + 0.5), "0.5 is not a whole number that fits int64"),
        (put("cells", seed=lambda t: t["seed"].astype(str)), "'0' in row 0 is not a number"),
        (put("cells", temperature=lambda t: 0.1), r"unknown columns \['temperature'\].* setting 'covariates'"),
        (put("retrieval", score=lambda t: t["score"].astype(str)), "'0.[0-9]*' in row 0 is not a number"),
        (put("consistency", score=lambda t: t["score"].astype(str).where(t.index > 3, "nan")), "'nan' in row 0"),
        (put("stability", score=lambda t: t["score"].where(t.index > 3, np.inf)), "infinite value in row 0"),
        (put("retrieval", score=lambda t: t["score"] > 0.5), "holds True and False, not numbers"),
        (put("vqa", language=lambda t: t["language"] == "no"), "holds True and False, not names"),
        (put("vqa", answer=lambda t: t["answer"].where(t["language"] != "de", 3),
             correct=lambda t: t["chosen"] == t["answer"]), r"question 'q0\d+' has the answers \[\d, 3\]"),
        (put("stability", method=lambda t: t["method"].replace("fd", "sd")), "method of cell .* 'sd' here and 'fd'"),
        (put("cells", seed=lambda t: (t["seed"] - (t["method"] == "fd")).abs()), "which its name contradicts"),
        (put("retrieval", gallery=lambda t: t["gallery"].where(t["cell"] != "clip-half-fd-s1", 100)),
         "gallery of cell 'clip-half-fd-s1' .* is 100, of others 500"),
        (put("consistency", queries=lambda t: t["queries"].where(t["cell"] != "clip-half-fd-s1", 9)), "is 9, of "),
        (put("pairs", score=lambda t: t["score"] * 100), "outside -1 to 1|outside 0 to 1"),
        (put("pairs", n=lambda t: t["n"].where(t["cell"] != "clip-half-fd-s1", 10)), "is 10, of others 60"),
    ],
    ids=["text", "fraction", "contradiction", "wrapped", "half a seed", "seed as text", "undeclared column",
         "score as text", "nan as text", "infinite", "score as truth value", "language as truth value",
         "answers by language", "factors by table", "factors by name", "gallery", "queries", "pairs in points",
         "questions of pairs"],
)  # fmt: skip
def test_a_value_that_a_cast_would_change_is_refused(
    tmp_path: Path, change: Callable[[Tables], None], match: str
) -> None:
    with pytest.raises(AnalysisError, match=match):
        load.load(written(tmp_path / "results", change), AnalysisSettings())


def test_whole_numbers_and_truth_values_of_another_dtype_are_taken(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        tables["cells"] = tables["cells"].assign(seed=lambda t: t["seed"].astype(float))
        tables["vqa"] = tables["vqa"].assign(correct=lambda t: t["correct"].astype(int))

    plain = load.load(written(tmp_path / "plain", lambda tables: None), AnalysisSettings())
    other = load.load(written(tmp_path / "other", change), AnalysisSettings())
    pd.testing.assert_frame_equal(plain.headlines["vqa"].frame, other.headlines["vqa"].frame)


def test_a_method_without_a_seed_of_the_control_is_refused(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        moved = tables["cells"]["method"] == "fd"
        tables["cells"].loc[moved, "seed"] += 10

    with pytest.raises(AnalysisError, match=r"'fd' shares no seed with the control 'none' .* seeds \[10, 11\]"):
        load.load(written(tmp_path / "results", change), AnalysisSettings())


def test_truth_values_among_objects_are_taken(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        tables["vqa"]["correct"] = tables["vqa"]["correct"].astype(object)

    table = simulate.tables(simulate.smoke())["vqa"]
    mixed = pd.Series([np.bool_(v) for v in table["correct"]], dtype=object)
    checked = records.check(table.assign(correct=mixed), records.VQA)
    pd.testing.assert_frame_equal(checked, table)
    load.load(written(tmp_path / "results", change), AnalysisSettings())


def test_a_direction_that_one_method_lacks_is_left_out_of_all(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        table = tables["retrieval"]
        gone = table["cell"].str.contains("-fd-") & (table["direction"] == "image_to_text")
        tables["retrieval"] = table[~gone]

    whole = simulate.tables(simulate.smoke())["retrieval"]
    study = load.load(written(tmp_path / "results", change), AnalysisSettings())
    expected = whole[(whole["metric"] == "map@10") & (whole["direction"] == "text_to_image")]
    expected = expected[~expected["cell"].str.endswith("teacher")]
    assert study.headlines["retrieval"].frame["score"].mean() == pytest.approx(100 * expected["score"].mean())
    assert "Retrieval map@10 is of text to image alone: fd has no image to text." in study.left_out


def test_several_protocols_need_a_declared_one(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        second = tables["retrieval"].assign(protocol="first-caption", score=lambda t: t["score"] / 2)
        tables["retrieval"] = pd.concat([tables["retrieval"], second], ignore_index=True)

    folder = written(tmp_path / "results", change)
    with pytest.raises(AnalysisError, match=r"2 protocols, .* say which one by the setting 'protocol'"):
        load.load(folder, AnalysisSettings())
    with pytest.raises(AnalysisError, match="did you mean 'first-caption'"):
        load.load(folder, AnalysisSettings(protocol="first-captions"))
    halves = [load.load(folder, AnalysisSettings(protocol=p)).headlines["retrieval"].frame["score"].mean()
              for p in ("all-captions", "first-caption")]  # fmt: skip
    assert halves[0] == pytest.approx(2 * halves[1])


def test_a_declared_covariate_must_be_a_finite_number(tmp_path: Path) -> None:
    folder = written(tmp_path / "results", put("cells", temperature=lambda t: np.linspace(0.1, 0.2, len(t))))
    assert "temperature" in load.load(folder, AnalysisSettings(covariates=("temperature",))).cells.columns
    with pytest.raises(AnalysisError, match=r"covariate 'warmth' is not there; valid are \['temperature'\]"):
        load.load(folder, AnalysisSettings(covariates=("temperature", "warmth")))
    with pytest.raises(AnalysisError, match="covariate 'seed' is a column of the schema"):
        load.load(folder, AnalysisSettings(covariates=("temperature", "seed")))
    broken = written(tmp_path / "broken", put("cells", temperature=lambda t: np.nan))
    with pytest.raises(AnalysisError, match=r"covariate 'temperature' of cell .* is not finite"):
        load.load(broken, AnalysisSettings(covariates=("temperature",)))


def test_a_direction_that_one_run_lacks_is_its_own_loss(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        table = tables["retrieval"]
        of_run = (table["cell"] == "clip-half-fd-s0") & (table["direction"] == "image_to_text")
        of_teacher = table["cell"].str.endswith("teacher") & (table["direction"] == "image_to_text")
        tables["retrieval"] = table[~of_run & ~of_teacher]

    whole = load.load(written(tmp_path / "whole", lambda tables: None), AnalysisSettings())
    study = load.load(written(tmp_path / "results", change), AnalysisSettings())
    expected = whole.headlines["retrieval"].frame
    expected = expected[expected["cell"] != "clip-half-fd-s0"].reset_index(drop=True)
    pd.testing.assert_frame_equal(study.headlines["retrieval"].frame, expected)
    assert study.headlines["retrieval"].teachers.empty
    assert "clip-half-fd-s0: no retrieval" in study.incomplete


def test_methods_without_a_direction_in_common_are_refused(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        table = tables["retrieval"]
        ours = table["cell"].str.contains("-fd-")
        tables["retrieval"] = table[ours == (table["direction"] == "image_to_text")]

    with pytest.raises(AnalysisError, match=r"no direction of map@10 .* image_to_text lacks none, sd"):
        load.load(written(tmp_path / "results", change), AnalysisSettings())


def test_accuracy_is_over_the_questions_that_runs_share(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        table = tables["vqa"]
        number = table["question"].str[1:].astype(int)
        easy = table["correct"] | (table["cell"] != "clip-half-fd-s0") | (table["language"] != "de") | (number >= 30)
        few = (table["cell"] != "clip-half-sd-s0") | (table["language"] != "de") | (number < 10)
        tables["vqa"] = table[easy & few]

    table = simulate.tables(simulate.smoke())["vqa"]
    german = table[table["language"] == "de"]
    kept = german[(german["cell"] == "clip-half-fd-s0")
                  & (german["correct"] | (german["question"].str[1:].astype(int) >= 30))]["question"]  # fmt: skip
    assert 30 < len(kept) < 60
    study = load.load(written(tmp_path / "results", change), AnalysisSettings())
    found = study.headlines["vqa"].frame.query("language == 'de'").set_index("cell")["score"]
    expected = 100 * german[german["question"].isin(kept)].groupby("cell")["correct"].mean()
    for cell in ("clip-half-none-s0", "clip-half-fd-s0", "clip-half-fd-s1"):
        assert found[cell] == pytest.approx(expected[cell])
    assert "clip-half-sd-s0" not in found
    assert "clip-half-sd-s0: vqa in 4 of 5 languages" in study.incomplete
    assert any("questions that runs share" in note and "clip-half-sd-s0 (de)" in note for note in study.left_out)


TWO = replace(simulate.smoke(), archs=("clip", "siglip2"))


def test_where_nothing_is_paired_a_method_is_left_out(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        for name in simulate.tables(TWO):
            table = tables[name]
            swapped = table["cell"].str.contains("siglip2-half-fd-s") & (name != "cells")
            if name == "cells":
                moved = table["cell"].str.contains("siglip2-half-fd-s")
                table.loc[moved, "seed"] += 10
                table.loc[moved, "cell"] = "siglip2-half-fd-s" + table.loc[moved, "seed"].astype(str)
            else:
                table.loc[swapped, "cell"] = "siglip2-half-fd-s1" + table.loc[swapped, "cell"].str[-1]
                if name == "stability":
                    table.loc[swapped, "seed"] += 10

    study = load.load(written(tmp_path / "results", change, TWO), AnalysisSettings())
    for outcome in study.headlines.values():
        fd = outcome.frame[outcome.frame["method"] == "fd"]
        assert set(fd["arch"]) == {"clip"}
        assert set(outcome.frame.loc[outcome.frame["method"] == "sd", "arch"]) == {"clip", "siglip2"}
    (note,) = [note for note in study.left_out if "left out" in note]
    assert note.startswith("fd is left out in siglip2 half (retrieval mAP@10, ")


def test_seeds_that_part_in_one_outcome_only_leave_it_out_there(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        table = tables["vqa"]
        gone = table["cell"].isin(["clip-half-fd-s0", "clip-half-none-s1"])
        tables["vqa"] = table[~gone]

    study = load.load(written(tmp_path / "results", change), AnalysisSettings())
    assert set(study.headlines["vqa"].frame["method"]) == {"none", "sd"}
    assert set(study.headlines["retrieval"].frame["method"]) == {"none", "fd", "sd"}
    assert any(note.startswith("fd is left out in clip half (VQA accuracy)") for note in study.left_out)


@pytest.mark.parametrize(
    ("chosen", "match"),
    [
        (AnalysisSettings(smallest_effect={"consistency:rbo_excess": 0.5}), "headline outcome, named 'consistency'"),
        (AnalysisSettings(primary=("stability:shared_right",)), "headline outcome, named 'stability'"),
        (AnalysisSettings(language_resources={"en": 0.5, "quzz": 0.1}), "'quzz'; did you mean 'quz'"),
    ],
)
def test_settings_that_would_be_used_nowhere_are_refused(smoke: Path, chosen: AnalysisSettings, match: str) -> None:
    with pytest.raises(AnalysisError, match=match):
        load.load(smoke, chosen)


def test_shares_may_name_languages_that_are_not_tested(smoke: Path) -> None:
    study = load.load(smoke, AnalysisSettings(language_resources={"en": 0.5, "quz": 0.3, "zh": 0.1, "sw": 0.05}))
    assert study.languages[:3] == ["en", "quz", "sw"]
    assert "No share was declared for de, hi, ja: last in the order of languages." in study.notes
