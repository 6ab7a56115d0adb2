"""The record of what a vocabulary costs each language."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from study.data.prepared import PreparedCorpus
from study.eval.fragmentation import COLUMNS, fragmentation, text_room
from study.models.dual_encoder import DualEncoder
from study.models.tokenizers.pretrained import PretrainedTokenizer
from tests.study.models.checkpoints import tokenizers as tiny


def test_a_row_a_language(teacher: DualEncoder, corpus: PreparedCorpus) -> None:
    rows = fragmentation(teacher, corpus, "validation")
    captions = corpus.captions("validation")
    assert tuple(rows.columns) == COLUMNS
    assert rows["language"].tolist() == sorted(set(captions["language"]))
    languages = captions["language"].astype(str)
    by_language = {language: captions["text"][languages == language].tolist() for language in set(languages)}
    assert rows["texts"].tolist() == [len(by_language[language]) for language in rows["language"]]
    expected = teacher.vocabulary.fragmentation(by_language)
    assert rows["tokens_per_text"].tolist() == pytest.approx([expected[language] for language in rows["language"]])
    assert (rows["unknown"] == 0).all()  # its bytes spell everything


def test_room_is_the_context_without_special_tokens(teacher: DualEncoder) -> None:
    assert text_room(teacher) == teacher.context - {"clip": 2, "siglip2": 1}[teacher.family]


def with_tokens(tokens: PretrainedTokenizer, context: int) -> Any:
    """As much of a model as the record needs."""
    return SimpleNamespace(
        vocabulary=tokens, context=context, tokenize=lambda texts: torch.from_numpy(tokens.encode(texts, context))
    )


class Captions:
    """As much of a corpus as the record needs."""

    def __init__(self, texts: dict[str, Sequence[str]]) -> None:
        rows = [(language, text) for language, samples in texts.items() for text in samples]
        self.frame = pd.DataFrame(rows, columns=["language", "text"])

    def captions(self, split: str) -> pd.DataFrame:
        return self.frame


@pytest.mark.parametrize(
    ("kind", "model_type", "special"),
    [
        ("xlm_roberta", "xlm-roberta", 2),
        ("nllb", "m2m_100", 2),
        ("gemma", "siglip", 1),
        ("siglip_multilingual", "siglip", 1),  # the end is the padding token
    ],
)
def test_cut_and_unknown_texts_of_published_tokens(kind: str, model_type: str, special: int, tmp_path: Path) -> None:
    folder = getattr(tiny, f"write_{kind}")(tmp_path)
    (folder / "config.json").write_text(f'{{"model_type": "{model_type}"}}')
    tokens = PretrainedTokenizer.from_transformers(folder)
    fits = "a red house"
    room = len(tokens.split([fits])[0])
    model = with_tokens(tokens, room + special)
    assert text_room(model) == room
    corpus: Any = Captions({"xx": [fits, fits + " red", "a", "a"], "yy": ["🍎", "a"]})
    rows = fragmentation(model, corpus, "validation").set_index("language")
    assert rows.loc["xx", "truncated"] == 0.25
    assert rows.loc["xx", "unknown"] == 0
    assert rows.loc["yy", "unknown"] == (0 if kind == "gemma" else 0.5)
