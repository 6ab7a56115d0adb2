"""Is any language at the floor? VQA accuracy of teachers and controls on the test split, over all seeds.

    python benchmarks/floor.py        in a study's folder, after `dvc repro collect`

Reads the result tables and trains nothing. For each architecture and size: the mean over languages, in percent, and the
three languages with the least accuracy, each with the lower end of a 95 % bootstrap interval over the questions.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline import paths

DRAWS = 4_000
SHOWN = 3


def lower_end(right: pd.DataFrame, random: np.random.Generator) -> float:
    """The 2.5 % quantile of accuracy when questions are drawn anew; each keeps the answers of all its runs."""
    by_question = right.groupby("question", observed=True)["correct"].mean().to_numpy(float)
    drawn = random.choice(by_question, (DRAWS, len(by_question)))
    return float(np.quantile(drawn.mean(axis=1), 0.025))


def main() -> None:
    cells = pd.read_parquet(paths.RESULTS / "cells.parquet")[["cell", "arch", "size", "method"]]
    answers = pd.read_parquet(paths.RESULTS / "vqa.parquet")[["cell", "language", "question", "correct"]].merge(cells)
    answers = answers[answers["method"].isin(["teacher", "none"])]
    random = np.random.default_rng(0)
    for (arch, size), group in answers.groupby(["arch", "size"], observed=True):
        by_language = group.groupby("language", observed=True)
        lowest = by_language["correct"].mean().sort_values()[:SHOWN]
        ends = [lower_end(by_language.get_group(language), random) for language in lowest.index]
        shown = ", ".join(
            f"{language} {accuracy:.1%} (from {end:.1%})"
            for (language, accuracy), end in zip(lowest.items(), ends, strict=True)
        )
        print(f"{arch:>7} {size:>7} {group['correct'].mean():.1%}  lowest: {shown}")


if __name__ == "__main__":
    main()
