"""The promises of the emoji corpus, on artwork and names that need no package."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from babel.lists import format_list
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from study.data import CorpusError, PreparedCorpus
from study.data.emoji import LANGUAGES as ALL_LANGUAGES
from study.data.emoji.captions import BABEL_NAMES, Captioner, balanced_languages, shared_languages
from study.data.emoji.compositions import EVALUATION, TRAINING, Drawer, split_of
from study.data.emoji.concepts import choose
from study.data.emoji.prepare import prepare
from study.data.emoji.prompted import answers
from study.data.emoji.prompts import PROMPTS
from study.data.emoji.scenes import Sprites, place
from study.data.emoji.settings import WEB_SHARE, EmojiSettings
from study.data.prepared import CaptionSplit
from study.seeds import stream
from tests.study.data.fake import FAKE_RECORD, LANGUAGES, VQA_LANGUAGES, FakeSource, small

EVALUATION_SPLITS: tuple[CaptionSplit, ...] = ("validation", "test")


def build(out: Path, **changes: object) -> PreparedCorpus:
    out.mkdir()
    prepare(FakeSource(), FAKE_RECORD, small(**changes), LANGUAGES, VQA_LANGUAGES, out, lambda step, done: None)
    return PreparedCorpus(out)


def composition(caption: str) -> tuple[str, ...]:
    """The concepts of an English caption of the fake source, repeats counted."""
    found: list[str] = []
    for part in caption.replace(", and ", ", ").replace(" and ", ", ").split(", "):
        name, _, times = part.partition(" ×")
        found += [name] * int(times or 1)
    return tuple(sorted(found))


def compositions(corpus: PreparedCorpus) -> dict[str, list[tuple[str, ...]]]:
    english = {split: corpus.captions(split) for split in ("teacher", "validation", "test")}
    found = {
        split: [composition(text) for text in frame.loc[frame["language"] == "en", "text"]]
        for split, frame in english.items()
    }
    return found | {"distil": [composition(text) for text in corpus.captions("distil")["english"]]}


def test_verifies(fake_corpus: PreparedCorpus) -> None:
    fake_corpus.verify()
    assert fake_corpus.images("test").shape == (40, 32, 32, 3)


def test_building_twice_gives_the_same_bits_and_another_seed_others(
    fake_corpus: PreparedCorpus, tmp_path: Path
) -> None:
    again, other = build(tmp_path / "again"), build(tmp_path / "other", seed=1)
    assert (again.path / "corpus.json").read_bytes() == (fake_corpus.path / "corpus.json").read_bytes()
    assert not set(other.card.files.values()) & set(again.card.files.values())


def test_evaluation_compositions_are_unseen_and_unique(fake_corpus: PreparedCorpus) -> None:
    found = compositions(fake_corpus)
    for split in ("validation", "test"):
        assert len(set(found[split])) == len(found[split]) == 40
        assert all(2 <= len(scene) <= 3 for scene in found[split])
    seen = set(found["teacher"]) | set(found["distil"])
    assert not seen & set(found["validation"])
    assert not seen & set(found["test"])
    assert not set(found["validation"]) & set(found["test"])


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4), st.integers(0, 9))
def test_split_follows_from_the_composition_alone(scene: list[str], seed: int) -> None:
    split = split_of(tuple(sorted(scene)), seed, 0.3)
    assert split in (TRAINING, *EVALUATION)
    assert len(scene) > 1 or split == TRAINING


@pytest.mark.parametrize("split", [TRAINING, "test"])
def test_repeats_are_as_frequent_as_declared(split: str) -> None:
    settings = small(concepts=60)
    drawer = Drawer(choose(FakeSource(), 60, 0, LANGUAGES).ids, settings, split, split)
    scenes = [drawer.scene(least=2) for _ in range(3000)]
    assert np.mean([len(set(scene)) < len(scene) for scene in scenes]) == pytest.approx(0.15, abs=0.02)


def test_fewer_concepts_are_a_prefix() -> None:
    few, many = (choose(FakeSource(), count, 0, LANGUAGES).ids for count in (12, 40))
    assert many[:12] == few
    assert many != choose(FakeSource(), 40, 1, LANGUAGES).ids


def test_more_concepts_than_there_are_is_refused() -> None:
    with pytest.raises(CorpusError, match="61 concepts asked for, 60 are there"):
        choose(FakeSource(), 61, 0, LANGUAGES)


def test_validation_and_test_captions_are_parallel(fake_corpus: PreparedCorpus) -> None:
    frame = fake_corpus.captions("test")
    assert frame["language"].tolist() == [language for language in sorted(LANGUAGES) for _ in range(40)]
    assert frame["image"].tolist() == list(range(40)) * len(LANGUAGES)


def test_teacher_languages_are_balanced_and_distil_follows_the_share(fake_corpus: PreparedCorpus) -> None:
    teacher = fake_corpus.captions("teacher")
    assert set(teacher["language"].value_counts()) == {120 * 3 // len(LANGUAGES)}
    assert not teacher.duplicated(["image", "language"]).any()
    counts = fake_corpus.captions("distil")["language"].value_counts(normalize=True)
    total = sum(WEB_SHARE[language] for language in LANGUAGES)
    for language in LANGUAGES:
        assert counts[language] == pytest.approx(WEB_SHARE[language] / total, abs=1 / 200)


def test_a_share_of_training_captions_is_opened_by_a_prompt_that_they_answer(tmp_path: Path) -> None:
    kinds = {"what": 1, "pair": 1, "order": 1, "count": 0}
    plain, opened = build(tmp_path / "plain"), build(tmp_path / "opened", prompt_share=0.5, kinds=kinds)
    columns: list[tuple[CaptionSplit, str]] = [("teacher", "text"), ("distil", "text"), ("distil", "english")]
    for split, column in columns:
        before, after = plain.captions(split), opened.captions(split)
        languages = before["language"].astype(str)
        if column == "english":
            languages = languages.where(languages == "mi", "en")  # no prompt in the one, none in the other
        found = []
        for language, short, long in zip(languages, before[column], after[column], strict=True):
            prompts = {k: getattr(PROMPTS[language], k) for k in kinds} if language != "mi" else {}
            kinds_found = [k for k, prompt in prompts.items() if long == f"{prompt} {short}"]
            assert kinds_found or long == short
            assert "count" not in kinds_found
            found.append(bool(kinds_found))
        share = np.mean(np.array(found)[np.asarray(languages != "mi")])
        assert share == pytest.approx(0.5, abs=0.1)
    for split in EVALUATION_SPLITS:
        assert opened.captions(split).equals(plain.captions(split))


@pytest.mark.parametrize(
    ("scene", "kinds"),
    [("a", {"what"}), ("aa", {"what", "count"}), ("ab", {"what", "pair", "order"}), ("aba", {"what", "pair"}),
     ("abc", {"what", "order"})],
)  # fmt: skip
def test_which_kinds_of_question_a_caption_of_the_whole_scene_answers(scene: str, kinds: set[str]) -> None:
    assert {kind for kind in ("what", "pair", "order", "count") if answers(scene, kind)} == kinds


def test_balance_holds_in_every_block() -> None:
    rows = balanced_languages(90, ALL_LANGUAGES, 8, stream("test"))
    assert all(len(set(row)) == 8 for row in rows)
    assert set(Counter(language for row in rows[:72] for language in row).values()) == {16}


def test_shares_are_quotas() -> None:
    drawn = Counter(shared_languages(1000, {"en": 98.0, "sw": 1.0, "te": 1.0}, ["en", "sw", "te"], stream("test")))
    assert drawn == {"en": 980, "sw": 10, "te": 10}


@pytest.mark.parametrize("language", ALL_LANGUAGES)
def test_lists_are_joined_as_babel_joins_them(language: str) -> None:
    captioner = Captioner(language, {"a": "xa", "b": "xb", "c": "xc", "d": "xd"})
    for scene in ("a", "ab", "abc", "abcd"):
        names = [f"x{id_}" for id_ in scene]
        assert captioner(scene) == format_list(names, locale=BABEL_NAMES.get(language, language))


def test_a_repeated_concept_is_written_once() -> None:
    captioner = Captioner("en", {"a": "cat", "b": "dog"})
    assert captioner(["b", "a", "b"]) == "dog ×2 and cat"


def test_items_stand_apart_in_their_order() -> None:
    settings = small(max_items=4)
    items = np.tile([1, 2, 3, 4], 60)
    layout = place(items, settings, stream("test"))
    for centre, size, count in zip(layout.centre, layout.size, items, strict=True):
        assert (np.diff(centre[:count, 0]) >= settings.step * settings.canvas).all()
        half = size[:count, None] / 2
        assert ((centre[:count] >= half) & (centre[:count] <= settings.canvas - half)).all()


def test_impossible_layouts_are_refused() -> None:
    with pytest.raises(ValueError, match="hardly fit beside one another"):
        small(sizes=((0.9, 1.0),) * 3)


def test_sprites_fill_their_size_and_stay_premultiplied() -> None:
    sprite = Sprites(FakeSource(), small()).sprite("1f000", "google", 20, 0.0)
    columns = np.flatnonzero((sprite[..., 3] > 127).any(axis=0))
    assert 19 <= columns[-1] - columns[0] + 1 <= 21
    assert (sprite[..., :3] <= sprite[..., 3:]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"share": {"en": 1.0, "fill": 1.0}}, r"unknown language 'fill'; did you mean fil"),
        ({"held_out": "google"}, "cannot be in domain and held out"),
        ({"sizes": [[0.5, 0.8]]}, "sizes has 1 ranges"),
        ({"share": {"en": 0.0}}, "must be above 0"),
        ({"concepts": "160"}, "valid integer"),
        ({"kinds": {"what": -1.0}}, "greater than or equal to 0"),
        ({"kinds": {"what": "1"}}, "valid number"),
        ({"kinds": {"where": 1.0}}, "not permitted"),
        ({"kinds": {"what": 0, "pair": 0, "order": 0, "count": 0}}, "every kind of question has weight 0"),
        ({"in_domain": ["fluent", "google"], "held_out": "fluent"}, "cannot be in domain and held out"),
    ],
)
def test_settings_refuse(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EmojiSettings.model_validate(changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"share": {"en": 1.0}}, "share has no weight for de"),
        ({"captions_per_scene": 7}, "captions_per_scene is 7, but there are 6 languages"),
        ({"concepts": 8}, "too few compositions"),
    ],
)
def test_what_cannot_be_built_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        build(tmp_path / "out", **changes)
