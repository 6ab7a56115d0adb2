"""Is the declared difficulty a discriminating one? Teacher and control alone, on the validation split.

    python benchmarks/difficulty.py        in a study's folder, after `dvc repro embed`

Trains the control of every arch and size as the study does, but with the first tuning seed, and holds the
default study's conditions (`conditions`). Two tables are printed: mAP@10, VQA accuracy and the agreement of
answers over languages of each model; and its VQA accuracy by kind of question. No objective is scored here, so
a choice made by these figures is blind to them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom

from pipeline import paths, stage
from pipeline.work.device import execution, torch_device
from pipeline.work.distil import DistilTask
from pipeline.work.inputs import open_corpus, open_teacher
from study.config.check import load
from study.config.grid import Cell
from study.config.size import scale_of
from study.config.student import StudentSpec
from study.distill.student import StudentConfig, distil
from study.eval.evaluation import Scores, evaluate, images_of
from study.eval.stability import run_stability_rows
from study.models.dual_encoder import DualEncoder

MOST_OF_TEACHER, MUCH_POORER = 0.85, 0.9
LEAST_VQA: Mapping[str, float] = {"teacher": 0.60, "half": 0.48, "quarter": 0.42}
"""By size; of other sizes nothing is asked."""

MOST_VQA = 0.85
CHANCE = 0.25
ROOM = 0.05
"""Least fall of agreement from the teacher to its control, which methods can win back."""


def row(name: str, size: str, scores: Scores, richest: list[str], poorest: list[str]) -> dict[str, Any]:
    """One model's figures: mAP@10 over all, the best and the worst resourced fifth of the languages, and VQA.

    "lowest" is the language with the least VQA accuracy, p the binomial probability that guessing does
    as well in any of the languages (Bonferroni). Of one run's 240 questions p is under 0.05 from 34.2 % on: a
    lower accuracy that is above chance may still be guessing in that one language.
    """
    precision = scores.retrieval.query("metric == 'map@10'").groupby("language")["score"].mean()
    right = {str(language): rows.to_numpy(bool) for language, rows in scores.vqa.groupby("language")["correct"]}
    lowest = min(right, key=lambda language: right[language].mean())
    stability = run_stability_rows(scores.vqa).query("language == 'all'").set_index("construct")["score"]
    return {
        "model": name,
        "size": size,
        "map@10": precision.mean(),
        "rich": precision[richest].mean(),
        "poor": precision[poorest].mean(),
        "least": precision.min(),
        "vqa": np.mean([answers.mean() for answers in right.values()]),
        "lowest": lowest,
        "lowest vqa": right[lowest].mean(),
        "p": min(1.0, len(right) * binom.sf(right[lowest].sum() - 1, len(right[lowest]), CHANCE)),
        "agreement": stability["agreement"],
    }


def by_kind(name: str, size: str, scores: Scores) -> dict[str, Any]:
    """VQA accuracy by kind of question."""
    return {"model": name, "size": size, **scores.vqa.groupby("type")["correct"].mean()}


def conditions(table: pd.DataFrame) -> dict[str, bool]:
    """What the default study promises, of a table of `row`s."""
    teachers, control = table[table["size"] == "teacher"].set_index("model"), table[table["size"] != "teacher"]
    over = {column: control["model"].map(teachers[column]) for column in ("map@10", "agreement")}
    floors = table["size"].map(LEAST_VQA).fillna(0.0)
    asked = ", ".join(f"{size} {least:.0%}" for size, least in LEAST_VQA.items())
    return {
        f"control at most {MOST_OF_TEACHER:.0%} of its teacher's mAP@10": bool(
            (control["map@10"] <= MOST_OF_TEACHER * over["map@10"]).all()
        ),
        f"low-resource languages at most {MUCH_POORER:.0%} of high-resource ones": bool(
            (control["poor"] <= MUCH_POORER * control["rich"]).all()
        ),
        f"VQA at least {asked}": bool((table["vqa"] >= floors).all()),
        f"VQA at most {MOST_VQA:.0%}": bool((table["vqa"] <= MOST_VQA).all()),
        f"VQA above chance ({CHANCE:.0%}) in every language": bool((table["lowest vqa"] > CHANCE).all()),
        f"agreement of answers: the control's at least {100 * ROOM:.0f} points below its teacher's": bool(
            (control["agreement"] <= over["agreement"] - ROOM).all()
        ),
    }


def main() -> int:
    stage.limit_threads(execution().threads)
    params, corpus, where = load(Path("params.yaml")), open_corpus(), torch_device(execution().device)
    ranked = sorted(corpus.languages, key=lambda language: -corpus.card.captions["distil"].get(language, 0))
    fifth = max(1, len(ranked) // 5)
    rows, kinds = [], []

    def score(model: DualEncoder, arch: str, size: str) -> None:
        scores = evaluate(arch, model, corpus, images_of(model, corpus, "validation", where), "validation", where)
        rows.append(row(arch, size, scores, ranked[:fifth], ranked[-fifth:]))
        kinds.append(by_kind(arch, size, scores))
        print(rows[-1], file=sys.stderr, flush=True)

    for arch in params.grid.archs:
        teacher = open_teacher(arch).to(where)
        score(teacher, arch, "teacher")
        for size in params.grid.sizes:
            settings = DistilTask(Cell(arch, size, params.analysis.control, 0)).settings
            spec = StudentSpec.model_validate(settings["spec"])
            config = StudentConfig(arch, size, scale_of(settings), params.tuning.seeds[0], settings["objectives"], spec)
            score(distil(config, teacher, corpus, paths.EMBEDDINGS / arch, where)[0], arch, size)
    table = pd.DataFrame(rows)
    for shown in (table, pd.DataFrame(kinds)):
        print(shown.to_string(index=False, float_format=lambda value: f"{value:.3f}"), end="\n\n")
    held = conditions(table)
    for condition, holds in held.items():
        print(f"{'holds' if holds else 'FAILS'}: {condition}")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
