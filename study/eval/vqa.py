"""Multiple-choice visual question answering with a dual encoder.

The answer to a question is the option whose text, joined to the question, is most similar to the
image.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from study.eval.checks import TIE, FloatArray, IntArray, ScoringError, frame, row_index, unit_rows
from study.records import VQA

QUESTION_COLUMNS = ("question", "type", "image", "answer")
"""Columns of the question metadata: id, type, row of the image, number of the right option."""


def vqa_rows(images: ArrayLike, options: Mapping[str, ArrayLike], questions: pd.DataFrame) -> pd.DataFrame:
    """Answer every question in every language.

    Args:
        images: [I, D] unit vectors.
        options: language -> [N, K, D] unit vectors of question and option, option ids the same in
            every language. A corpus whose languages have different questions is scored once for
            each set of languages that share theirs.
        questions: N rows with `QUESTION_COLUMNS`; more columns are ignored.

    Returns:
        The columns of `records.VQA` less `cell`, languages one after the other.

    Raises:
        ScoringError: a column is missing, a question id repeats, a label is -1 (held back) or outside
            the options, arrays do not match, or embeddings are not unit vectors of one D.
    """
    missing = [name for name in QUESTION_COLUMNS if name not in questions.columns]
    if missing:
        raise ScoringError(f"questions: missing columns {missing}; needed are {list(QUESTION_COLUMNS)}")
    if not options:
        raise ScoringError("options: no language given")
    repeated = questions["question"][questions["question"].duplicated()]
    if len(repeated):
        raise ScoringError(f"questions: {len(repeated)} ids repeat, the first is {repeated.iloc[0]!r}")
    shown, total = _shown(images, questions), len(questions)
    held_back = int((questions["answer"] == -1).sum())
    if held_back:
        raise ScoringError(
            f"questions: {held_back} of {total} labels are -1, held back by the corpus; they cannot be scored here, "
            "they are answered as a submission (`submitted_rows`)"
        )
    parts = []
    for language, values in options.items():
        texts = _texts(f"options[{language!r}]", values, shown)
        answer = row_index("questions, column 'answer'", questions["answer"], total, texts.shape[1])
        chosen = choose(shown, texts, answer)
        columns = {
            "language": [language] * total,
            "question": questions["question"].to_numpy(),
            "type": questions["type"].to_numpy(),
            "chosen": chosen,
            "answer": answer,
            "correct": chosen == answer,
        }
        parts.append(frame(VQA, columns))
    return pd.concat(parts, ignore_index=True)


def submitted_rows(images: ArrayLike, options: ArrayLike, questions: pd.DataFrame) -> pd.DataFrame:
    """Answer questions of one language whose right answers nobody here knows.

    Args:
        images: [I, D] unit vectors; options: [N, K, D] unit vectors of question and option.
        questions: N rows with the columns question and image.

    Returns:
        Columns question and chosen, the number of an option.

    Raises:
        ScoringError: arrays do not match, or embeddings are not unit vectors of one D.
    """
    shown = _shown(images, questions)
    chosen = choose(shown, _texts("options", options, shown))
    return pd.DataFrame({"question": questions["question"].to_numpy(), "chosen": chosen})


def _shown(images: ArrayLike, questions: pd.DataFrame) -> FloatArray:
    """[N, D] the image of each question."""
    gallery = unit_rows("images", images)
    return gallery[row_index("questions, column 'image'", questions["image"], len(questions), len(gallery))]


def _texts(name: str, values: ArrayLike, shown: FloatArray) -> FloatArray:
    texts = unit_rows(name, values, shown.shape[1])
    if texts.ndim != 3 or len(texts) != len(shown):
        raise ScoringError(f"{name}: expected [{len(shown)}, K, D], got {texts.shape}")
    return texts


def choose(images: FloatArray, options: FloatArray, answer: IntArray | None = None) -> IntArray:
    """The option chosen for each question.

    Options within `checks.TIE` of the best are tied. A tie goes to one of the tied options that are
    wrong, at random: the right one would reward a model that cannot tell the options apart, and the
    first one would make that model agree with itself in every language and seed. The random numbers
    come from the bytes of `options`, so that they repeat for the same model and language only.

    Args:
        images: [N, D] the image of each question; options: [N, K, D].
        answer: [N] the right option; None when it is unknown, and then all tied options are drawn from.

    Returns:
        [N] option numbers.
    """
    similarity = np.einsum("nd,nkd->nk", images, options)
    tied = similarity >= similarity.max(axis=1, keepdims=True) - np.float32(TIE)
    several = np.flatnonzero(tied.sum(axis=1) > 1)
    if answer is not None:
        tied[several, answer[several]] = False
    draw = np.random.default_rng(zlib.crc32(options.tobytes())).random(tied.shape)
    return np.where(tied, draw, -1.0).argmax(axis=1)
