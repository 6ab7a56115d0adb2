"""Tables that cannot be compared are refused by name, or compared on what they share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import frames
from analysis.settings import AnalysisError, Settings
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
        (put("cells", temperature=lambda t: 0.1), "unknown columns .*temperature"),
    ],
    ids=["text", "fraction", "contradiction", "wrapped", "half a seed", "seed as text", "undeclared column"],
)  # fmt: skip
def test_a_value_that_a_cast_would_change_is_refused(
    tmp_path: Path, change: Callable[[Tables], None], match: str
) -> None:
    with pytest.raises(AnalysisError, match=match):
        frames.load(written(tmp_path / "results", change), Settings())


def test_whole_numbers_and_truth_values_of_another_dtype_are_taken(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        tables["cells"] = tables["cells"].assign(seed=lambda t: t["seed"].astype(float))
        tables["vqa"] = tables["vqa"].assign(correct=lambda t: t["correct"].astype(int))

    plain = frames.load(written(tmp_path / "plain", lambda tables: None), Settings())
    other = frames.load(written(tmp_path / "other", change), Settings())
    pd.testing.assert_frame_equal(plain.headlines["vqa"].frame, other.headlines["vqa"].frame)


def test_a_method_without_a_seed_of_the_control_is_refused(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        moved = tables["cells"]["method"] == "fd"
        tables["cells"].loc[moved, "seed"] += 10

    with pytest.raises(AnalysisError, match=r"'fd' shares no seed with the control 'none' .* seeds \[10, 11\]"):
        frames.load(written(tmp_path / "results", change), Settings())


def test_a_direction_that_one_method_lacks_is_left_out_of_all(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        table = tables["retrieval"]
        gone = table["cell"].str.contains("-fd-") & (table["direction"] == "image_to_text")
        tables["retrieval"] = table[~gone]

    whole = simulate.tables(simulate.smoke())["retrieval"]
    study = frames.load(written(tmp_path / "results", change), Settings())
    expected = whole[(whole["metric"] == "map@10") & (whole["direction"] == "text_to_image")]
    expected = expected[~expected["cell"].str.endswith("teacher")]
    assert study.headlines["retrieval"].frame["score"].mean() == pytest.approx(100 * expected["score"].mean())
    assert "Retrieval map@10 is of text to image alone: fd has no image to text." in study.notes


def test_several_protocols_need_a_declared_one(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        second = tables["retrieval"].assign(protocol="first-caption", score=lambda t: t["score"] / 2)
        tables["retrieval"] = pd.concat([tables["retrieval"], second], ignore_index=True)

    folder = written(tmp_path / "results", change)
    with pytest.raises(AnalysisError, match=r"2 protocols, .* say which one by the setting 'protocol'"):
        frames.load(folder, Settings())
    with pytest.raises(AnalysisError, match="did you mean 'first-caption'"):
        frames.load(folder, Settings(protocol="first-captions"))
    halves = [frames.load(folder, Settings(protocol=p)).headlines["retrieval"].frame["score"].mean()
              for p in ("all-captions", "first-caption")]  # fmt: skip
    assert halves[0] == pytest.approx(2 * halves[1])


def test_a_declared_covariate_must_be_a_finite_number(tmp_path: Path) -> None:
    folder = written(tmp_path / "results", put("cells", temperature=lambda t: np.linspace(0.1, 0.2, len(t))))
    assert "temperature" in frames.load(folder, Settings(covariates=("temperature",))).cells.columns
    with pytest.raises(AnalysisError, match=r"covariate 'warmth' is not there; valid are \['temperature'\]"):
        frames.load(folder, Settings(covariates=("temperature", "warmth")))
    with pytest.raises(AnalysisError, match="covariate 'seed' is a column of the schema"):
        frames.load(folder, Settings(covariates=("temperature", "seed")))
    broken = written(tmp_path / "broken", put("cells", temperature=lambda t: np.nan))
    with pytest.raises(AnalysisError, match=r"covariate 'temperature' of cell .* is not finite"):
        frames.load(broken, Settings(covariates=("temperature",)))
