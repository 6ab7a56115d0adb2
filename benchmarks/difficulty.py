"""Is the declared difficulty a discriminating one? Teacher and control alone, on the validation split.

    python benchmarks/difficulty.py        in a study's folder, after `dvc repro settle`

Trains the control of every arch and size as the study does, but with the first tuning seed, and prints
mAP@10 and VQA accuracy, and holds the default study's conditions: the control at most 85 % of its
teacher's mAP, low-resource languages clearly lower than high-resource ones, VQA between 35 and 85 %.
No objective is scored here, so a choice made by these figures is blind to them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from pipeline import paths, stage
from pipeline.work.device import execution, torch_device
from pipeline.work.inputs import open_corpus, open_teacher
from study.declared import load
from study.distillation import Corner, StudentSpec, distil
from study.encoders import scale_of
from study.evaluation import Scores, evaluate, images_of
from study.towers.protocol import DualEncoder

MOST_OF_TEACHER, LEAST_VQA, MOST_VQA = 0.85, 0.35, 0.85


def row(name: str, size: str, scores: Scores, richest: list[str], poorest: list[str]) -> dict[str, float | str]:
    """mAP@10 over all, the best and the worst resourced fifth of the languages, and VQA accuracy."""
    precision = scores.retrieval.query("metric == 'map@10'").groupby("language")["score"].mean()
    return {
        "model": name,
        "size": size,
        "map@10": precision.mean(),
        "rich": precision[richest].mean(),
        "poor": precision[poorest].mean(),
        "least": precision.min(),
        "vqa": scores.vqa["correct"].mean(),
    }


def main() -> int:
    stage.limit_threads(execution()["threads"])
    params, corpus, where = load(Path("params.yaml")), open_corpus(), torch_device(execution()["device"])
    ranked = sorted(corpus.languages, key=lambda language: -corpus.card.captions["distil"].get(language, 0))
    fifth = max(1, len(ranked) // 5)
    rows = []

    def score(model: DualEncoder, arch: str, size: str) -> None:
        scores = evaluate(arch, model, corpus, images_of(model, corpus, "validation", where), "validation", where)
        rows.append(row(arch, size, scores, ranked[:fifth], ranked[-fifth:]))
        print(rows[-1], file=sys.stderr, flush=True)

    for arch in params.grid.archs:
        teacher = open_teacher(arch).to(where)
        score(teacher, arch, "teacher")
        for size in params.grid.sizes:
            plan = stage.read_json(paths.SETTLED / f"{arch}-{size}-{params.analysis.control}.json")
            spec = StudentSpec.model_validate(plan["spec"])
            corner = Corner(arch, size, scale_of(plan), params.tuning.seeds[0], plan["objectives"], spec)
            score(distil(corner, teacher, corpus, paths.EMBEDDINGS / arch, where)[0], arch, size)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    teachers = table[table["size"] == "teacher"].set_index("model")["map@10"]
    control = table[table["size"] != "teacher"]
    conditions = {
        "control at most 85 % of its teacher": (
            control["map@10"] <= MOST_OF_TEACHER * control["model"].map(teachers)
        ).all(),
        "low-resource languages clearly lower": (control["poor"] < 0.9 * control["rich"]).all(),
        "VQA between 35 and 85 %": table["vqa"].between(LEAST_VQA, MOST_VQA).all(),
    }
    for condition, holds in conditions.items():
        print(f"{'holds' if holds else 'FAILS'}: {condition}")
    return 0 if all(conditions.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
