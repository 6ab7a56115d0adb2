"""From a model to rows: the right image, language and option, and nothing of the order of rows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from study import records
from study.data.prepared import PreparedCorpus
from study.eval.evaluation import Images, average_precision, evaluate, images_of
from study.models.dual_encoder import DualEncoder
from study.models.embed import embed_texts
from tests.study.tiny import LANGUAGES, SPLITS, WORDS

CPU = torch.device("cpu")
WIDTH = 16


class Oracle:
    """Knows every word of the tiny corpus, and the images' first and second colour."""

    embedding_width = WIDTH
    vocabulary = SimpleNamespace(pad=0)

    def __init__(self, wrong: str | None = None) -> None:
        self.wrong = wrong

    def tokenize(self, texts: list[str]) -> torch.Tensor:
        rows = []
        for text in texts:
            words = text.removeprefix(": ").split(", ")
            language = next(name for name in LANGUAGES if all(word in WORDS[name] for word in words))
            pair = [WORDS[language].index(word) for word in words]
            rows.append(pair[::-1] if language == self.wrong else pair)
        return torch.tensor(rows)

    def text_features(self, ids: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(len(ids), WIDTH)
        out[torch.arange(len(ids)), ids[:, 0]] = 0.8
        out[torch.arange(len(ids)), 8 + ids[:, 1]] = 0.6
        return out


def images(split: str) -> Images:
    features = Oracle().text_features(torch.tensor(SPLITS[split])).numpy()
    return Images(features, features)


def scores(corpus: PreparedCorpus, wrong: str | None = None) -> dict[str, pd.DataFrame]:
    model = Oracle(wrong)
    return dict(evaluate("x", model, corpus, images("test"), "test", CPU).tables())  # type: ignore[arg-type]


def test_a_model_that_knows_everything_scores_one(corpus: PreparedCorpus) -> None:
    tables = scores(corpus)
    assert (tables["retrieval"]["score"] == 1.0).all()
    assert tables["vqa"]["correct"].all()
    assert set(tables["vqa"]["language"]) == set(LANGUAGES)
    assert len(tables["vqa"]) == len(LANGUAGES) * len(SPLITS["test"])
    consistency = tables["consistency"].set_index(["construct", "language"])["score"]
    assert consistency["rbo_gold_deleted"].min() == pytest.approx(1.0)
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(frame, records.check(frame, {**records.TABLES, **records.OPTIONAL_TABLES}[name]))


def test_only_the_language_that_is_wrong_loses(corpus: PreparedCorpus) -> None:
    tables = scores(corpus, wrong="sw")
    retrieval = tables["retrieval"].query("metric == 'recall@1'").groupby("language")["score"].mean()
    assert retrieval["sw"] < 0.2
    assert (retrieval.drop("sw") == 1.0).all()
    right = tables["vqa"].groupby("language")["correct"].mean()
    assert right["sw"] < 0.5
    assert (right.drop("sw") == 1.0).all()


def test_validation_chooses_by_the_mean_of_both_directions(corpus: PreparedCorpus) -> None:
    found = average_precision(Oracle("sw"), corpus, images("validation"), "validation", CPU)  # type: ignore[arg-type]
    rows = evaluate("x", Oracle("sw"), corpus, images("validation"), "validation", CPU).retrieval  # type: ignore[arg-type]
    assert found == pytest.approx(rows.loc[rows["metric"] == "map@10", "score"].mean())
    assert 0.5 < found < 1.0


def test_equal_texts_are_encoded_once_and_keep_their_places(teacher: DualEncoder) -> None:
    texts = ["rot, blau", "red", "rot, blau", "синий"]
    together = embed_texts(teacher, texts, CPU)
    alone = np.concatenate([embed_texts(teacher, [text], CPU) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_images_are_embedded_by_the_models_own_tower(teacher: DualEncoder, corpus: PreparedCorpus) -> None:
    found = images_of(teacher, corpus, "test", CPU)
    with torch.inference_mode():
        expected = teacher.image_features(torch.from_numpy(np.array(corpus.images("test"))))
    np.testing.assert_allclose(found.gallery, expected.numpy(), atol=1e-6)
    assert found.questions is not None
    assert len(found.questions) == len(SPLITS["test"])
