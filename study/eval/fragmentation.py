"""What a vocabulary costs each language: tokens a text, texts that are cut, texts with unknown parts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from study.data.prepared import CaptionSplit, PreparedCorpus
from study.models.dual_encoder import DualEncoder

COLUMNS = ("language", "texts", "tokens_per_text", "truncated", "unknown")


def fragmentation(model: DualEncoder, corpus: PreparedCorpus, split: CaptionSplit) -> pd.DataFrame:
    """A row a language of the captions of `split`, by name of the language.

    tokens_per_text: mean, without special tokens and before anything is cut. truncated: share of texts that
    do not fit the model's context whole. unknown: share of texts with an unknown token; without bytes,
    neighbouring unknown characters are one token, so few tokens may mean lost text.
    """
    captions = corpus.captions(split)
    room, unknown = text_room(model), model.vocabulary.unk
    rows = []
    for language, texts in captions["text"].groupby(captions["language"].astype(str)):
        split_texts = model.vocabulary.split(texts.tolist())
        lengths = np.asarray([len(ids) for ids in split_texts])
        lost = [unknown in ids for ids in split_texts]
        rows.append((language, len(texts), lengths.mean(), (lengths > room).mean(), np.mean(lost)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def text_room(model: DualEncoder) -> int:
    """Tokens of a text that the context holds beside the special tokens."""
    probe = "a " * (4 * model.context)
    ids = model.vocabulary.split([probe])[0]
    read = model.tokenize([probe])[0].tolist()
    # The probe is longer than the context: what is read of it is a part of its tokens, between special ones.
    return max(_common(read[start:], ids) for start in range(len(read)))


def _common(first: list[int], second: list[int]) -> int:
    """Length of the common beginning."""
    pairs = zip(first, second, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
