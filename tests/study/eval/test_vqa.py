"""Oracles: answers that are known because the options were built from the images."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from study.eval.checks import ScoringError
from study.eval.vqa import choose, vqa_rows
from study.records import VQA, check
from tests.study.eval.samples import random_unit


def metadata(answer: np.ndarray, image: np.ndarray) -> pd.DataFrame:
    ids = [f"q{i}" for i in range(len(answer))]
    return pd.DataFrame({"question": ids, "type": "what", "image": image, "answer": answer})


def test_the_option_nearest_to_the_questions_own_image_is_chosen() -> None:
    rng = np.random.default_rng(0)
    images = random_unit(0, 10, 16)
    shown, answer = rng.integers(0, 10, 50), rng.integers(0, 4, 50)
    options = random_unit(1, 50, 4, 16)
    options[np.arange(50), answer] = images[shown]
    wrong = np.roll(options, 1, axis=1)
    rows = vqa_rows(images, {"de": options, "sw": wrong}, metadata(answer, shown))
    assert len(check(rows.assign(cell="c"), VQA)) == 100
    assert list(rows.columns) == [name for name in VQA.names if name != "cell"]
    german, swahili = rows[rows["language"] == "de"], rows[rows["language"] == "sw"]
    assert german["correct"].all()
    assert not swahili["correct"].any()
    assert np.array_equal(german["chosen"], answer)
    assert np.array_equal(swahili["chosen"], (answer + 1) % 4)
    assert german["question"].tolist() == swahili["question"].tolist() == [f"q{i}" for i in range(50)]


@pytest.mark.parametrize("collapsed", ["options", "images orthogonal to the options"])
def test_a_model_that_sees_no_difference_is_neither_right_nor_stable(collapsed: str) -> None:
    answer = np.random.default_rng(0).integers(0, 4, 400)
    images = random_unit(0, 400, 65)
    languages = []
    for seed in range(2):
        options = np.repeat(np.repeat(random_unit(seed, 1, 1, 65), 4, axis=1), 400, axis=0)
        if collapsed != "options":
            images = np.zeros((400, 65), dtype=np.float32)
            images[:, 0] = 1.0
            options = random_unit(seed, 400, 4, 65)
            options[..., 0] = 0.0
            options /= np.linalg.norm(options, axis=-1, keepdims=True)
        languages.append(options)
    rows = vqa_rows(images, {"a": languages[0], "b": languages[1]}, metadata(answer, np.arange(400)))
    assert not rows["correct"].any()
    chosen = rows["chosen"].to_numpy().reshape(2, 400)
    assert (chosen[0] == chosen[1]).mean() == pytest.approx(1 / 3, abs=0.1)  # three wrong options
    again = vqa_rows(images, {"a": languages[0], "b": languages[1]}, metadata(answer, np.arange(400)))
    assert rows.equals(again)


def test_a_tie_of_the_right_option_with_one_other_is_lost() -> None:
    images = random_unit(0, 20, 8)
    options = random_unit(1, 20, 4, 8)
    options[:, 1] = options[:, 3] = images
    assert (choose(images, options, np.full(20, 3)) == 1).all()
    assert (choose(images, options, np.full(20, 0)) != 0).all()
    assert set(choose(images, options)) == {1, 3}  # without labels, by lot


@pytest.mark.parametrize(("lead", "right"), [(4e-7, False), (4e-6, True)])
def test_a_lead_within_rounding_is_a_tie(lead: float, right: bool) -> None:
    images = np.array([[1.0, 0.0]], dtype=np.float32)
    cosine = np.array([[0.5, 0.5 + lead, 0.1, 0.2]])
    options = np.stack([cosine, np.sqrt(1 - cosine**2)], axis=-1).astype(np.float32)
    assert (choose(images, options, np.array([1]))[0] == 1) == right


def test_labels_that_are_held_back_are_refused() -> None:
    images, options = random_unit(0, 5, 8), {"de": random_unit(1, 5, 4, 8)}
    answer = np.array([0, 1, -1, 2, -1])
    with pytest.raises(ScoringError, match="2 of 5 labels are -1, held back"):
        vqa_rows(images, options, metadata(answer, np.arange(5)))


def test_unusable_input_is_refused_by_name() -> None:
    images, options = random_unit(0, 5, 8), {"de": random_unit(1, 5, 4, 8)}
    good = metadata(np.zeros(5, dtype=int), np.arange(5))
    with pytest.raises(ScoringError, match=r"missing columns \['answer'\]"):
        vqa_rows(images, options, good.drop(columns="answer"))
    with pytest.raises(ScoringError, match=r"column 'answer'.*\[0, 4\)"):
        vqa_rows(images, options, good.assign(answer=4))
    with pytest.raises(ScoringError, match=r"column 'image'.*\[0, 5\)"):
        vqa_rows(images, options, good.assign(image=5))
    with pytest.raises(ScoringError, match="4 ids repeat, the first is 'q'"):
        vqa_rows(images, options, good.assign(question="q"))
    with pytest.raises(ScoringError, match=r"options\['de'\]: expected \[4, K, D\]"):
        vqa_rows(images, options, good.iloc[:4])
    with pytest.raises(ScoringError, match="no language"):
        vqa_rows(images, {}, good)
