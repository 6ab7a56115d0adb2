"""Synthetic embeddings and answers for the tests of the scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float32]


def unit(values: NDArray[np.floating]) -> Array:
    """Rows of length 1."""
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def random_unit(seed: int, *shape: int) -> Array:
    return unit(np.random.default_rng(seed).standard_normal(shape))


def parallel(seed: int, languages: int, size: int, dimensions: int, signal: float) -> tuple[Array, dict[str, Array]]:
    """Images [size, D] and captions that are `signal` times their image plus noise of each language's own.

    What two languages share about an image is the image alone, no noise of the caption.
    """
    images = random_unit(seed, size, dimensions)
    texts = {f"l{i}": unit(signal * images + random_unit(seed + 1 + i, size, dimensions)) for i in range(languages)}
    return images, texts


def answer_table(chosen: NDArray[np.integer], answer: NDArray[np.integer], cell: str = "c") -> pd.DataFrame:
    """Rows of `records.VQA` from chosen [L, N] (-1: not asked) and answer [N]."""
    languages, questions = chosen.shape
    frame = pd.DataFrame(
        {
            "cell": cell,
            "language": np.repeat([f"l{i}" for i in range(languages)], questions),
            "question": np.tile([f"q{i}" for i in range(questions)], languages),
            "type": "what",
            "chosen": chosen.ravel().astype(np.int8),
            "answer": np.tile(answer, languages).astype(np.int8),
            "correct": (chosen == answer).ravel(),
        }
    )
    return frame[frame["chosen"] >= 0].reset_index(drop=True)
