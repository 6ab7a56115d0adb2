"""Which measures of consistency and stability can be bought? Each under manipulations of one model's real outputs.

    python benchmarks/constructs.py [CELL] [--out docs/constructs.md]     in a study's folder, after `make repro`

Takes the caption embeddings and the answers of one student (clip-half-none-s0 unless named) on the validation split,
changes them in one known way at a time, and scores them as the study does. What a measure moves by under a collapse is
what a collapse could buy. Draws are seeded; figures are points (x 100).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from pipeline import paths
from pipeline.work.device import torch_device
from pipeline.work.inputs import open_corpus, teacher_folder
from study.eval.collapse import collapse_rows
from study.eval.consistency import consistency_rows
from study.eval.evaluation import answers_of, caption_features, images_of, parallel_queries
from study.eval.retrieval import retrieval_rows
from study.eval.stability import run_stability_rows
from study.models import checkpoint

Texts = dict[str, np.ndarray]
SPLIT: Literal["validation"] = "validation"
CONSISTENCY = ["rbo_excess", "rbo_gold_deleted", "rankc", "mrc", "gold_rank_variance", "centred_cosine", "linear_cka"]
STABILITY = ["shared_right", "agreement", "agreement_excess", "both_right", "same_wrong", "alpha"]


def unit(values: Any) -> np.ndarray:
    return np.asarray(values / np.linalg.norm(values, axis=-1, keepdims=True), dtype=np.float32)


def of_embeddings(images: np.ndarray, texts: Texts, gold: np.ndarray) -> dict[str, Texts]:
    """The caption embeddings, changed in one way each: name -> language -> [Q, D]."""
    rng = np.random.default_rng(0)
    width = images.shape[1]
    common, hub = unit(rng.standard_normal(width)), unit(images[:5].mean(axis=0))
    turn = np.linalg.qr(rng.standard_normal((width, width)))[0]
    first = next(iter(texts))
    return {
        "as it is": texts,
        "noise of each language's own": {
            k: unit(v + 0.5 * unit(rng.standard_normal(v.shape))) for k, v in texts.items()
        },
        "a common vector (x 1)": {k: unit(v + common) for k, v in texts.items()},
        "a common vector (x 3)": {k: unit(v + 3 * common) for k, v in texts.items()},
        "drawn to five images (hubs)": {k: unit(v + 2 * hub) for k, v in texts.items()},
        "one language rotated": {k: unit(v @ turn) if k == first else v for k, v in texts.items()},
        "drawn to the right image, each by itself": {
            k: unit(v + rng.uniform(0, 1, (len(v), 1)) * images[gold]) for k, v in texts.items()
        },
    }


def of_answers(answers: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The answers, changed in one way each: name -> rows of `records.VQA`."""
    rng = np.random.default_rng(0)
    options = int(max(answers["chosen"].max(), answers["answer"].max())) + 1
    questions = np.asarray(sorted(set(answers["question"])))
    draw = pd.Series(rng.random(len(questions)), index=questions)
    blind, own = answers["question"].map(draw).to_numpy(), rng.random(len(answers))
    guess, right = rng.integers(0, options, len(answers)), answers["answer"].to_numpy()
    chosen = answers["chosen"].to_numpy()

    def changed(values: np.ndarray) -> pd.DataFrame:
        return answers.assign(chosen=values.astype(np.int8), correct=values == right)

    return {
        "as it is": answers,
        "option 0 to 30 % of the questions, in all languages": changed(np.where(blind < 0.3, 0, chosen)),
        "option 0 to 60 % of the questions, in all languages": changed(np.where(blind < 0.6, 0, chosen)),
        "option 0 to 30 % of the questions, each language its own": changed(np.where(own < 0.3, 0, chosen)),
        "a guess to 30 % of the questions, each language its own": changed(np.where(own < 0.3, guess, chosen)),
        "the right answer to 20 %, each language its own": changed(np.where(own < 0.2, right, chosen)),
        "the right answer to 20 %, in all languages": changed(np.where(blind < 0.2, right, chosen)),
    }


def table(base: pd.Series, rows: dict[str, pd.Series]) -> str:
    """Markdown: the values as they are, then by how much each manipulation moves them."""
    lines = ["| | " + " | ".join(base.index) + " |", "|---" * (len(base) + 1) + "|"]
    for name, values in rows.items():
        shown = [f"{v:.1f}" for v in values] if values is base else [f"{d:+.1f}" for d in values - base]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cell", nargs="?", default="clip-half-none-s0")
    parser.add_argument("--out", type=Path, help="file whose part between the two marks is replaced")
    given = parser.parse_args()
    arch, where, corpus = given.cell.split("-")[0], torch_device("cpu"), open_corpus()
    teacher = checkpoint.load(teacher_folder(arch)).to(where)
    images = images_of(teacher, corpus, SPLIT, where)
    student = checkpoint.load_text(paths.RUNS / given.cell, teacher_folder(arch))
    parallel, gold = parallel_queries(*caption_features(student, corpus, SPLIT, where, "all-captions"))
    answers = answers_of(student, corpus, images, SPLIT, where)[0].assign(cell=given.cell)
    seen = {}
    for name, texts in of_embeddings(images.gallery, dict(parallel), gold).items():
        rows = consistency_rows(images.gallery, texts, gold).groupby("construct")["score"].mean()
        index = dict.fromkeys(texts, gold)
        found = retrieval_rows(images.gallery, texts, index, protocol="first-caption").query("metric == 'recall@1'")
        signs = collapse_rows(images.gallery, texts, answers.head(0)).groupby("indicator")["score"].mean()
        values = pd.concat([pd.Series({"recall@1": found["score"].mean()}), rows[CONSISTENCY]]) * 100
        seen[name] = pd.concat([values, signs[["effective_rank", "hubness"]]])
    said = {}
    for name, frame in of_answers(answers).items():
        stable = run_stability_rows(frame)
        stable = stable[stable["language"] == "all"].set_index("construct")
        most = collapse_rows(images.gallery, {}, frame)["score"].mean()
        said[name] = 100 * pd.concat([stable["score"][["accuracy", *STABILITY]], pd.Series({"top_answer": most})])
    text = "\n".join([
        f"`python benchmarks/constructs.py {given.cell}`: points, effective_rank in dimensions, hubness as skewness; "
        "the first row as it is, the others as differences from it.", "",
        "Consistency:", "", table(seen["as it is"], seen), "", "Stability:", "", table(said["as it is"], said),
    ])  # fmt: skip
    print(text)
    if given.out:
        before, _, rest = given.out.read_text(encoding="utf-8").partition("<!-- measured -->")
        after = rest.partition("<!-- end -->")[2]
        given.out.write_text(f"{before}<!-- measured -->\n{text}\n<!-- end -->{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
