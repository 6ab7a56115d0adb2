"""The answers of many cells as arrays, from the long table of answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.eval.checks import ScoringError

ABSENT = -1
"""Chosen option where a language does not ask a question."""


@dataclass(frozen=True)
class Answers:
    """Answers of C cells to N questions in L languages; every cell answers the same ones."""

    cells: list[str]
    languages: list[str]
    chosen: NDArray[np.int8]
    """[C, L, N] option chosen, ABSENT where the language does not ask the question."""
    correct: NDArray[np.bool_]
    """[C, L, N] whether it is right; False where absent."""
    answer: NDArray[np.int8]
    """[L, N] the right option, ABSENT where the language does not ask the question."""
    options: int
    """How many options a question has, as far as the answers tell; at least 2."""
    asked: NDArray[np.bool_]
    """[L, N] whether the language asks the question; no language asks none."""

    def row(self, cell: str) -> int:
        """Row of `cell` in the arrays; ScoringError if it has no answers."""
        if cell not in self.cells:
            raise ScoringError(f"vqa: no answers of cell {cell!r}; there are answers of {self.cells[:10]}")
        return self.cells.index(cell)


def pivot(vqa: pd.DataFrame) -> Answers:
    """Turn a table with the columns of `records.VQA` into arrays.

    Cells, languages and questions are in order of appearance. Languages may ask different questions.

    Raises:
        ScoringError: no rows, a repeated key, a negative option, `correct` that contradicts `chosen` and
            `answer`, or cells that did not answer the same questions.
    """
    if vqa.empty:
        raise ScoringError("vqa: no answers")
    cell, cells = pd.factorize(vqa["cell"])
    language, languages = pd.factorize(vqa["language"])
    question, questions = pd.factorize(vqa["question"])
    chosen = vqa["chosen"].to_numpy()
    correct = vqa["correct"].to_numpy(dtype=bool)
    if chosen.min() < 0 or vqa["answer"].to_numpy().min() < 0:
        raise ScoringError("vqa: negative options; questions without a label cannot be scored")
    if not np.array_equal(correct, chosen == vqa["answer"].to_numpy()):
        raise ScoringError("vqa: column 'correct' contradicts 'chosen' and 'answer'")

    shape = (len(cells), len(languages), len(questions))
    flat = np.ravel_multi_index((cell, language, question), shape)
    picks = np.full(shape, ABSENT, dtype=np.int8)
    rights = np.zeros(shape, dtype=bool)
    picks.reshape(-1)[flat] = chosen
    rights.reshape(-1)[flat] = correct
    answers = np.full(shape[1:], ABSENT, dtype=np.int8)
    answers[language, question] = vqa["answer"].to_numpy()
    present = picks != ABSENT
    if int(present.sum()) != len(vqa):
        raise ScoringError(f"vqa: {len(vqa) - int(present.sum())} answers repeat a cell, language and question")
    uneven = np.argwhere(present != present.any(axis=0))
    if len(uneven):
        c, m, q = uneven[0]
        raise ScoringError(
            f"vqa: cells answered different questions: {len(uneven)} answers are missing, the first is that of "
            f"{cells[c]!r} to {questions[q]!r} in {languages[m]!r}"
        )
    options = max(2, int(max(chosen.max(), answers.max())) + 1)
    names = [str(c) for c in cells], [str(m) for m in languages]
    return Answers(*names, picks, rights, answers, options, present[0])
