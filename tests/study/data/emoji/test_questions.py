"""The questions: one true option, no giveaway, the same in every language."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from study.data import CorpusError, PreparedCorpus
from study.data.emoji import LANGUAGES as ALL_LANGUAGES
from study.data.emoji import RECORD
from study.data.emoji.compositions import split_of
from study.data.emoji.concepts import choose
from study.data.emoji.prompts import LEFT_OUT, PROMPTS
from study.data.emoji.questions import KINDS, Asker, spread
from tests.study.data.fake import LANGUAGES, VQA_LANGUAGES, FakeSource, small


def test_question_scenes_are_of_their_own_split() -> None:
    settings = small()
    chosen = choose(FakeSource(), settings.concepts, settings.seed, LANGUAGES)
    for split in ("validation", "test"):
        for question in Asker(chosen, settings, split).ask(96):
            scene = tuple(sorted(question.scene))
            assert split_of(scene, settings.seed, settings.held_out_compositions) == f"vqa_{split}"


def test_every_question_has_exactly_one_true_option() -> None:
    settings = small()
    for question in Asker(choose(FakeSource(), 24, 0, LANGUAGES), settings, "test").ask(200):
        assert [question.holds(option) for option in question.options].count(True) == 1
        assert question.holds(question.options[question.answer])


def test_options_alone_do_not_give_the_answer_away() -> None:
    settings = small()
    asked = Asker(choose(FakeSource(), 60, 0, LANGUAGES), settings, "test").ask(240)
    for kind in KINDS:
        assert set(Counter(q.answer for q in asked if q.kind == kind).values()) == {15}
    numbers = Counter(q.options[q.answer].times for q in asked if q.kind == "count")
    assert numbers == {1: 20, 2: 20, 3: 20}
    for question in asked:
        if question.kind in ("pair", "order"):
            elements = Counter(element for option in question.options for element in option.concepts)
            rivals = {element for element, count in elements.items() if count == 2}
            right = set(question.options[question.answer].concepts)
            # An element of the right option is in as many options as what stands in its place.
            assert len(rivals & right) * 2 == len(rivals)


def asked_kinds(count: int, kinds: dict[str, Any]) -> list[str]:
    settings = small(kinds=kinds)
    return [q.kind for q in Asker(choose(FakeSource(), 60, 0, LANGUAGES), settings, "test").ask(count)]


def test_kinds_come_in_turn_where_they_weigh_the_same() -> None:
    assert asked_kinds(50, {}) == [KINDS[index % 4] for index in range(50)]


def test_kinds_have_their_declared_shares_from_the_first_question_to_the_last() -> None:
    asked = asked_kinds(400, {"what": 8, "pair": 8.0, "order": 1, "count": 3})
    assert Counter(asked) == {"what": 160, "pair": 160, "order": 20, "count": 60}
    for start in range(0, 400, 40):
        assert abs(asked[start : start + 40].count("what") - 16) <= 1
        assert abs(asked[start : start + 40].count("count") - 6) <= 1


def test_a_kind_of_weight_zero_is_not_asked() -> None:
    assert Counter(asked_kinds(90, {"order": 0, "count": 0})) == {"what": 45, "pair": 45}


def test_answers_stay_balanced_in_unequal_kinds() -> None:
    settings = small(kinds={"what": 7, "pair": 5, "order": 1, "count": 2})
    asked = Asker(choose(FakeSource(), 60, 0, LANGUAGES), settings, "test").ask(150)
    for kind in KINDS:
        positions = Counter(q.answer for q in asked if q.kind == kind)
        assert max(positions.values()) - min(positions[place] for place in range(4)) <= 1


def test_spread_numbers_each_kind_from_zero() -> None:
    assert spread({"what": 3, "count": 1}) == [("what", 0), ("what", 1), ("count", 0), ("what", 2)]


def test_distractors_share_the_group_as_often_as_declared() -> None:
    for declared in (0.0, 0.3, 1.0):
        settings = small(same_group_share=declared)
        asker = Asker(choose(FakeSource(), 60, 0, LANGUAGES), settings, "test")
        asker.ask(800)
        assert np.mean(asker.drawn_alike) == pytest.approx(declared, abs=0.04)


def test_questions_are_the_same_in_every_language(fake_corpus: PreparedCorpus) -> None:
    ids = fake_corpus.questions()["question"].tolist()
    for language in VQA_LANGUAGES:
        texts = fake_corpus.texts(language)
        assert texts["question"].tolist() == ids
        assert all(text.startswith(f"{language} ") for options in texts["options"] for text in options)
    with pytest.raises(CorpusError, match="no questions in 'sw'"):
        fake_corpus.texts("sw")


def test_prompts_cover_what_is_not_left_out() -> None:
    assert set(PROMPTS) | set(LEFT_OUT) == set(ALL_LANGUAGES)
    assert not set(PROMPTS) & set(LEFT_OUT)
    assert set(RECORD.vqa_languages) == set(PROMPTS)
    for prompts in PROMPTS.values():
        texts = [prompts.what, prompts.pair, prompts.order, prompts.count]
        assert len(set(texts)) == 4
        assert all(text[-1] in ":：" for text in texts)
