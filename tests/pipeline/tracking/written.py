"""A study's folder as the stages before `publish` leave it, with made-up scores."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import params, publish
from pipeline.tracking.experiment import FACTORS
from pipeline.tracking.run_record import RunRecord
from study.records import CELLS, CONSISTENCY, DIRECTIONS, RETRIEVAL, STABILITY, VQA, check
from tests.pipeline import studies

STUDENTS = ["clip-half-fd-s0", "clip-half-none-s0"]
TEACHER = "clip-teacher"
LANGUAGES = ["de", "th"]


def parts(cell: str) -> tuple[str, str, str, int]:
    """Architecture, size, method and seed."""
    arch, size, method, seed = cell.split("-")
    return arch, size, method, int(seed[1:])


def write_study(folder: Path, students: list[str], languages: Iterable[str] = LANGUAGES) -> None:
    """A study's folder as the stages before `publish` leave it, with made-up scores."""
    names = [TEACHER, *students]
    rows = [cell_row(name) for name in names]
    folder.mkdir(parents=True, exist_ok=True)
    grid = {
        factor: list(dict.fromkeys(levels))
        for factor, levels in zip(FACTORS, zip(*map(parts, students), strict=True), strict=True)
    }
    study = {"name": "tiny", "description": "A tiny study."}
    studies.declare(folder, {"study": study, "grid": grid})
    for row in rows:
        name = row["cell"]
        run = folder / ("teachers/clip" if name == TEACHER else f"runs/{name}")
        run.mkdir(parents=True, exist_ok=True)
        settings = {"training": {"steps": 20, "learning_rate": 0.001}, "layers": [0, 2]}
        record = {"cell": name, "row": row, "settings": settings, "versions": {"torch": "2.13.0"}}
        (run / "run.json").write_text(json.dumps(record))
        (run / "config.json").write_text("{}")
        (run / "fragmentation.csv").write_text("language,tokens\nde,4.5\n")
        steps = range(0, 20, 2)
        history = pd.DataFrame({"step": steps, "learning_rate": 0.001, "loss": [1 / (s + 1) for s in steps]})
        history.assign(fd=[math.nan, *[0.5] * 9]).to_csv(run / "history.csv", index=False)
    write_results(folder / "results", rows, list(languages))


def cell_row(name: str) -> dict[str, Any]:
    _, size, method, seed = (*name.split("-"), "", "")[:4]
    teacher = name == TEACHER
    numbers = {column.name: 1 for column in CELLS.columns if column.dtype in ("int64", "float64")}
    return {
        **numbers,
        "cell": name,
        "role": "teacher" if teacher else "student",
        "arch": "clip",
        "size": "full" if teacher else size,
        "method": "teacher" if teacher else method,
        "seed": 0 if teacher else int(seed[1:]),
        "towers": "both" if teacher else "text",
        "device": "cpu",
        "fingerprint": f"f-{name}",
    }


def write_results(folder: Path, rows: list[dict[str, Any]], languages: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    keys = [{"cell": row["cell"], "language": language} for row, language in product(rows, languages)]
    scores = {language: 0.1 * (i + 1) for i, language in enumerate(languages)}
    retrieval = [
        {**k, "direction": d, "metric": m, "protocol": "p", "score": scores[k["language"]], "queries": 9, "gallery": 9}
        for k, d, m in product(keys, DIRECTIONS, ("map@10", "recall@1"))
    ]
    consistency = [
        {**k, "construct": c, "score": scores[k["language"]], "queries": 9, "partners": 1}
        for k, c in product(keys, ("rbo_gold_deleted", "rankc"))
    ]
    vqa = [
        {**k, "question": f"q{i}", "type": "colour", "chosen": i, "answer": 0, "correct": i == 0}
        for k, i in product(keys, range(4))
    ]
    factors = ("cell", "arch", "size", "method", "seed")
    stability = [
        {"level": "run", **{f: row[f] for f in factors}, "language": "all", "construct": c, "score": score, "n": 4}
        for row, (c, score) in product(rows, (("alpha", 0.25), ("churn", None)))
    ]
    for table, found in ((CELLS, rows), (RETRIEVAL, retrieval), (CONSISTENCY, consistency), (VQA, vqa)):
        check(pd.DataFrame(found), table).to_parquet(folder / f"{table.name}.parquet")
    check(pd.DataFrame(stability), STABILITY).to_parquet(folder / "stability.parquet")


def records(folder: Path) -> list[RunRecord]:
    with contextlib.chdir(folder):
        grid = params.grid()
    return publish.run_records(grid)
