"""A synthetic study in the schema of study.records, with known effects; run as a module it writes a folder.

python -m tests.analysis.simulate FOLDER [--smoke]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study import records

LANGUAGES = (
    "en", "es", "de", "fr", "ru", "zh", "ja", "it", "pt", "pl", "nl", "tr", "ko", "ar", "vi", "cs", "fa", "hu",
    "id", "sv", "ro", "uk", "fi", "el", "da", "he", "th", "hi", "no", "hr", "bn", "te", "sw", "fil", "mi", "quz",
)  # fmt: skip
"""36 codes, the best resourced first."""

CONSISTENCY = {"rbo_excess": 1.0, "rbo_gold_deleted": 1.2, "centred_cosine": 2.0, "rankc": 1.6}
"""Measure of consistency -> its scores as a multiple of the primary one's."""

METHODS = ("none", "fd", "ed", "sd", "mcl", "dr")

EFFECTS = {
    "fd": (14.0, 6.0, 5.0, 0.00),
    "ed": (12.0, 9.0, 7.0, 0.00),
    "sd": (11.0, 12.0, 5.5, -0.10),
    "mcl": (4.0, 3.0, 1.0, 0.06),
    "dr": (16.0, 0.0, 4.0, 0.04),
}
"""method -> points of retrieval, consistency, VQA accuracy; change of the share of language-independent answers."""


@dataclass(frozen=True)
class Plan:
    """What is simulated; the defaults are the size of the full study."""

    archs: Sequence[str] = ("clip", "siglip2")
    sizes: Sequence[str] = ("half", "quarter")
    methods: Sequence[str] = METHODS
    seeds: int = 5
    languages: Sequence[str] = field(default_factory=lambda: list(LANGUAGES))
    vqa_languages: int = 28
    questions: int = 120
    effects: dict[str, tuple[float, float, float, float]] = field(default_factory=lambda: dict(EFFECTS))
    block_sd: float = 0.8
    run_sd: float = 0.7
    run_sd_of: dict[str, float] = field(default_factory=lambda: {"mcl": 1.6})
    cross_sd: float = 0.8
    noise_sd: float = 0.9
    seed: int = 11


def resources(languages: Sequence[str]) -> dict[str, float]:
    """Web-like shares: each language has 0.8 of the one before it."""
    raw = 0.8 ** np.arange(len(languages))
    return {language: float(share) for language, share in zip(languages, raw / raw.sum(), strict=True)}


def tables(plan: Plan) -> dict[str, pd.DataFrame]:
    """The tables of a complete study."""
    rng = np.random.default_rng(plan.seed)
    languages = list(plan.languages)
    vqa_languages = languages[: plan.vqa_languages]
    rank = np.arange(len(languages)) / max(len(languages) - 1, 1)
    cross = {m: rng.normal(0, plan.cross_sd, (3, len(languages))) for m in plan.methods}
    right = rng.integers(0, 4, plan.questions).astype(np.int8)
    cells, retrieval, consistency, vqa, pairs = [], [], [], [], []
    stability: list[tuple[Any, ...]] = []

    def run(name: str, role: str, arch: str, size: str, method: str, seed: int, block: float) -> None:
        teacher = role == "teacher"
        gain = (22.0, 14.0, 10.0, 0.1) if teacher else plan.effects.get(method, (0.0, 0.0, 0.0, 0.0))
        shift = 3.0 * (arch == "siglip2") - 4.0 * (size == "quarter") + block
        wobble = rng.normal(0, 0.3 if teacher else plan.run_sd_of.get(method, plan.run_sd), 3)
        special = np.zeros((3, len(languages))) if teacher else cross[method]
        captions = 2 if method in ("ed", "sd", "dr") else 1
        cells.append(
            (name, role, arch, size, method, seed, "both", 1_000_000 if teacher else 500_000, 600_000, 300_000,
             1.0 if teacher else {"half": 0.5}.get(size, 0.25), 400_000, 8000, 1e-3, 1000, 128_000,
             128_000 * captions, 1e12 * captions * (1 if size != "half" else 2), "cpu", "abc")
        )  # fmt: skip
        base = np.array([46.0, 22.0, 55.0])
        level = base[:, None] + shift + np.array(gain[:3])[:, None] + wobble[:, None] + special
        level[0] -= 18 * rank * (0.4 if teacher else 1.0)
        level[1] -= 6 * rank
        level[2] -= 5 * rank
        noisy = np.clip(level + rng.normal(0, plan.noise_sd, level.shape), 0.5, 99.5) / 100
        for i, language in enumerate(languages):
            for direction, sign in (("text_to_image", 0.005), ("image_to_text", -0.005)):
                for metric, factor in (("map@10", 1.0), ("recall@1", 0.8), ("recall@10", 1.25)):
                    score = min((noisy[0, i] + sign) * factor, 1.0)
                    retrieval.append((name, language, direction, metric, "all-captions", score, 500, 500))
            for construct, factor in CONSISTENCY.items():
                score = min(noisy[1, i] * factor, 1)
                consistency.append((name, language, construct, score, 500, len(languages) - 1))
        shared = np.clip(0.55 + gain[3] + 0.002 * (wobble[2] + block), 0, 1)
        p = np.clip(level[2, : len(vqa_languages)] / 100, 0.02, 0.98)
        # One uniform draw a question decides in all languages where answers are language-independent.
        common, wrong = rng.random(plan.questions), rng.integers(1, 4, plan.questions)
        chosen = np.empty((len(vqa_languages), plan.questions), dtype=np.int8)
        together = rng.random(plan.questions) < shared
        for i in range(len(vqa_languages)):
            draw = np.where(together, common, rng.random(plan.questions))
            miss = np.where(together, wrong, rng.integers(1, 4, plan.questions))
            chosen[i] = np.where(draw < p[i], right, (right + miss) % 4)
        frame = pd.DataFrame({"chosen": chosen.ravel(), "answer": np.tile(right, len(vqa_languages))})
        frame["cell"] = name
        frame["language"] = np.repeat(vqa_languages, plan.questions)
        frame["question"] = np.tile([f"q{i:04d}" for i in range(plan.questions)], len(vqa_languages))
        frame["type"] = "what"
        frame["correct"] = frame["chosen"] == frame["answer"]
        vqa.append(frame)
        counts = np.stack([(chosen == option).sum(axis=0) for option in range(4)])
        count = len(vqa_languages)
        agreement = float(((counts * (counts - 1)).sum(axis=0) / max(count * (count - 1), 1)).mean())
        total = counts.sum(axis=1)
        expected = 1 - float((total * (total - 1)).sum()) / (total.sum() * (total.sum() - 1))
        for construct, matrix in pair_scores(chosen, right).items() if count > 1 else ():
            for first, second in combinations(range(count), 2):
                names = sorted((vqa_languages[first], vqa_languages[second]))
                pairs.append((name, *names, construct, float(matrix[first, second]), plan.questions))
            means = dict(zip(vqa_languages, matrix.sum(axis=1) / (count - 1), strict=True))
            means[records.ALL_LANGUAGES] = matrix.sum() / (count * (count - 1))
            stability.extend(
                ("run", name, arch, size, method, seed, language, construct, float(score), plan.questions)
                for language, score in means.items()
            )
        values = {"alpha": 1 - (1 - agreement) / expected, "accuracy": float(p.mean())}
        for construct, score in values.items():
            stability.append(
                ("run", name, arch, size, method, seed, records.ALL_LANGUAGES, construct, score, plan.questions)
            )

    for arch in plan.archs:
        run(f"{arch}-teacher", "teacher", arch, "full", "teacher", 0, 0.0)
        for size in plan.sizes:
            for seed in range(plan.seeds):
                block = rng.normal(0, plan.block_sd)
                for method in plan.methods:
                    run(f"{arch}-{size}-{method}-s{seed}", "student", arch, size, method, seed, block)
            for method in plan.methods:
                stability.append(("group", f"{arch}-{size}-{method}", arch, size, method, None,
                                  records.ALL_LANGUAGES, "churn", 0.3, plan.questions))  # fmt: skip
    raw = {
        "cells": pd.DataFrame(cells, columns=records.CELLS.names),
        "retrieval": pd.DataFrame(retrieval, columns=records.RETRIEVAL.names),
        "consistency": pd.DataFrame(consistency, columns=records.CONSISTENCY.names),
        "vqa": pd.concat(vqa, ignore_index=True)[records.VQA.names],
        "stability": pd.DataFrame(stability, columns=records.STABILITY.names),
    }
    raw |= {"pairs": pd.DataFrame(pairs, columns=records.PAIRS.names)} if pairs else {}
    known = {**records.TABLES, **records.OPTIONAL_TABLES}
    return {name: records.check(frame, known[name]) for name, frame in raw.items()}


def pair_scores(chosen: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of language pairs, [languages, languages] with an empty diagonal, of answers [languages, questions]."""
    correct = chosen == right
    same = (chosen[:, None] == chosen[None]).mean(axis=2)
    both = (correct[:, None] & correct[None]).mean(axis=2)
    accuracy = correct.mean(axis=1)
    by_chance = np.outer(accuracy, accuracy) + np.outer(1 - accuracy, 1 - accuracy) / 3
    known = accuracy - (1 - accuracy) / 3
    found = {
        "agreement": same, "shared_right": both - (same - both) / 3 - np.outer(known, known),
        "agreement_excess": same - by_chance, "both_right": both, "same_wrong": same - both,
    }  # fmt: skip
    return {name: matrix * (1 - np.eye(len(chosen))) for name, matrix in found.items()}


def smoke() -> Plan:
    """One architecture, one size, two seeds, three methods, six languages."""
    return Plan(archs=("clip",), sizes=("half",), methods=("none", "fd", "sd"), seeds=2,
                languages=["en", "de", "hi", "ja", "sw", "quz"], vqa_languages=5, questions=60)  # fmt: skip


def write(folder: Path, plan: Plan) -> Path:
    """Write the tables of `plan` as parquet files; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables(plan).items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--smoke", action="store_true")
    arguments = parser.parse_args()
    write(arguments.folder, smoke() if arguments.smoke else Plan())
