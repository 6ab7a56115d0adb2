"""Results that once were read wrongly, each with what is right to say of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import __main__ as command
from analysis.data import load
from analysis.report import files, findings
from analysis.results import analyse
from analysis.settings import AnalysisError, AnalysisSettings
from study import records

Tables = dict[str, pd.DataFrame]
Score = Callable[[str, str, str, int], float]
"""Points of (outcome, arch, method, seed); outcomes are retrieval, consistency and stability."""

LANGUAGES = ("de", "en", "fi", "hi", "sw", "zh")


def study(
    folder: Path,
    score: Score,
    archs: Sequence[str] = ("clip",),
    methods: Sequence[str] = ("none", "fd"),
    seeds: Sequence[int] = range(6),
    made: Callable[[str, str, int], bool] = lambda arch, method, seed: True,
    change: Callable[[Tables], None] = lambda tables: None,
) -> Path:
    """Five tables without any row that an analysis does not need; half of the answers are right."""
    rng = np.random.default_rng(3)
    rows: dict[str, list[dict[str, object]]] = {name: [] for name in records.TABLES}
    right = rng.integers(0, 4, 8)
    for arch in archs:
        for seed in seeds:
            for method in (m for m in methods if made(arch, m, seed)):
                factors = {"arch": arch, "size": "half", "method": method, "seed": seed}
                cell = f"{arch}-half-{method}-s{seed}"
                rows["cells"].append({"cell": cell, "role": "student", **factors})
                for i, language in enumerate(LANGUAGES):
                    own = {"cell": cell, "language": language}
                    points = {o: score(o, arch, method, seed) + i + rng.normal(0, 0.5)
                              for o in ("retrieval", "consistency")}  # fmt: skip
                    rows["retrieval"] += [
                        {**own, "direction": d, "metric": "map@10", "score": points["retrieval"] / 100}
                        for d in records.DIRECTIONS
                    ]
                    rows["consistency"].append(
                        {**own, "construct": "rbo_gold_deleted", "score": points["consistency"] / 100,
                         "partners": len(LANGUAGES) - 1}
                    )  # fmt: skip
                    chosen = np.where(rng.permutation(8) < 4, right, (right + 1) % 4)
                    rows["vqa"] += [
                        {**own, "question": f"q{q}", "chosen": int(c), "answer": int(a), "correct": bool(c == a)}
                        for q, (c, a) in enumerate(zip(chosen, right, strict=True))
                    ]
                rows["stability"].append(
                    {"cell": cell, "level": "run", **factors, "language": records.ALL_LANGUAGES,
                     "construct": "agreement", "score": score("stability", arch, method, seed) / 100}
                )  # fmt: skip
    tables = {}
    for name, table in records.TABLES.items():
        absent = {c.name: "-" if c.dtype == "str" else 1 for c in table.columns}
        tables[name] = pd.DataFrame(rows[name]).assign(**{c: v for c, v in absent.items() if c not in rows[name][0]})
    change(tables)
    folder.mkdir()
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def level(outcome: str, arch: str, method: str, seed: int) -> float:
    """The same for every method, runs a little apart."""
    return 40 + float(np.random.default_rng([seed, len(method), len(outcome)]).normal(0, 0.4))


def said(folder: Path, settings: AnalysisSettings | None = None) -> str:
    """What a terminal shows."""
    settings = settings or AnalysisSettings()
    return "\n".join(findings.findings(analyse(folder, settings), settings, {}))


def test_correct_as_text_is_not_true_everywhere(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        tables["vqa"]["correct"] = tables["vqa"]["correct"].astype(str)

    with pytest.raises(AnalysisError, match=r"vqa.parquet: .*'correct'.*is not True or False"):
        load.load(study(tmp_path / "text", level, change=change), AnalysisSettings())
    accuracy = load.load(study(tmp_path / "truth", level), AnalysisSettings()).headlines["vqa"].frame["score"]
    assert accuracy.tolist() == [50.0] * len(accuracy)


def test_correct_that_contradicts_the_answers_is_refused(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        tables["vqa"]["correct"] = ~tables["vqa"]["correct"]

    with pytest.raises(AnalysisError, match="'correct' contradicts 'chosen' and 'answer' in 576 of 576 rows"):
        load.load(study(tmp_path / "results", level, change=change), AnalysisSettings())


def test_a_method_of_one_architecture_is_not_ranked_above_methods_of_both(tmp_path: Path) -> None:
    def score(outcome: str, arch: str, method: str, seed: int) -> float:
        return level(outcome, arch, method, seed) + 8 * (method != "none" and arch == "clip")

    folder = study(
        tmp_path / "results", score, archs=("clip", "siglip2"), methods=("none", "fd", "ed"), seeds=range(3),
        made=lambda arch, method, seed: (arch, method) != ("siglip2", "fd"),
    )  # fmt: skip
    text = said(folder)
    (line,) = [line for line in text.splitlines() if line.startswith("Retrieval mAP@10")]
    assert "FD (in 1 of 2 combinations)" in line
    assert 0 <= line.find("ED") < line.find("FD (in 1 of 2 combinations)")


def test_a_diverged_run_is_named_and_counted(tmp_path: Path) -> None:
    def score(outcome: str, arch: str, method: str, seed: int) -> float:
        diverged = outcome == "consistency" and method == "fd" and seed == 3
        return 2.0 if diverged else level(outcome, arch, method, seed) + 3 * (method == "fd")

    folder = study(tmp_path / "results", score, made=lambda arch, method, seed: (method, seed) != ("none", 5))
    found = analyse(folder, AnalysisSettings())
    text = "\n".join(findings.findings(found, AnalysisSettings(), {}))
    assert "1 run far from the others of its kind: clip-half-fd-s3 (retrieval consistency)" in text
    assert "Without it the verdict is another one for FD on retrieval consistency" in text
    assert "clip-half-none-s5" in text
    runs = files.tables(found, AnalysisSettings())["runs"].set_index("cell")
    assert runs["status"].value_counts().to_dict() == {"completed": 10, "outlier": 1, "missing": 1}
    assert runs.loc["clip-half-fd-s3", "why"] == "far from the others of its kind: retrieval consistency"
    assert list(runs.loc["clip-half-none-s5", ["arch", "size", "method", "seed", "status"]]) == [
        "clip", "half", "none", 5, "missing",
    ]  # fmt: skip


def test_a_run_without_an_outcome_is_told_from_a_missing_one(tmp_path: Path) -> None:
    def change(tables: Tables) -> None:
        tables["vqa"] = tables["vqa"][tables["vqa"]["cell"] != "clip-half-fd-s1"]

    found = analyse(
        study(tmp_path / "results", level, change=change), AnalysisSettings(planned=("clip-half-fd-s1", "own name"))
    )
    runs = files.tables(found, AnalysisSettings())["runs"].set_index("cell")
    assert list(runs.loc["clip-half-fd-s1", ["status", "why"]]) == ["no outcome", "no vqa"]
    assert list(runs.loc["clip-half-fd-s0", ["status", "why"]]) == ["completed", "not planned"]
    assert runs.loc["own name", "status"] == "missing"
    assert runs.loc["own name", ["arch", "seed"]].isna().all()


def test_a_smallest_effect_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.json").write_text('{"smallest_effect": {"retreival": 0.1}}')
    given = ["--results", str(tmp_path), "--out", str(tmp_path / "out"), "--settings", str(tmp_path / "s.json")]
    assert command.main(given) == 2
    assert "smallest_effect of 'retreival'; did you mean 'retrieval'?" in capsys.readouterr().err


def test_runs_without_a_common_seed_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seeds = [0, 1, 2, 10, 11, 12]
    folder = study(
        tmp_path / "results", level, seeds=seeds, made=lambda arch, method, seed: (seed >= 10) == (method == "fd")
    )
    assert command.main(["--results", str(folder), "--out", str(tmp_path / "out")]) == 2
    assert "'fd' shares no seed with the control 'none' in any arch and size" in capsys.readouterr().err
