"""CVQA, xGQA and MaXM from their publishers' files to the questions of a prepared corpus."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from babel import Locale, UnknownLocaleError
from hypothesis import given
from hypothesis import strategies as st

from study.data.base import CorpusError, CorpusSettings
from study.data.pictures import Fit
from study.data.prepared import HELD_BACK, PreparedCorpus
from study.data.published import questions as asked
from study.data.published.choices import OPTIONS, Open, multiple_choice
from study.data.published.cvqa import CODES
from study.data.published.gallery import Gallery
from study.data.published.sources import Asking, Image, LeftOut, Part, Question, QuestionSource
from study.data.writer import CorpusWriter
from tests.study.data import question_sets as sets
from tests.study.tiny import RECORD

Parts = dict[Any, list[Part]]


def part(source: str, path: Path, **rest: Any) -> Part:
    return Part(source=source, path=str(path), **rest)


def build(out: Path, parts: Parts, languages: list[str], claim: asked.Claim = lambda *_: None) -> PreparedCorpus:
    """The questions alone, verified."""
    writer = CorpusWriter(out)
    gallery = Gallery("refuse")
    facts = asked.write_questions(writer, parts, languages, claim, gallery)
    gallery.problems.check()
    writer.finish(RECORD, CorpusSettings(), languages, languages, facts)
    made = PreparedCorpus(out)
    made.verify()
    return made


def questions(of: Part, *languages: str) -> dict[str, Question]:
    found = asked.question_source(of.source).questions(of, languages)
    return {question.key: question for question in found if isinstance(question, Question)}


@pytest.fixture(scope="module")
def cvqa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sets.write_cvqa(tmp_path_factory.mktemp("cvqa"))


@pytest.fixture
def xgqa(tmp_path: Path) -> Path:
    return sets.write_xgqa(tmp_path / "xgqa")


@pytest.fixture
def maxm(tmp_path: Path) -> Path:
    return sets.write_maxm(tmp_path / "maxm")


# CVQA ----------------------------------------------------------------------------------------------------------------


def test_cvqa_asks_each_question_in_its_own_language_and_in_english(cvqa: Path, tmp_path: Path) -> None:
    made = build(tmp_path / "out", {"test": [part("cvqa", cvqa)]}, ["en", "es", "ja", "sw"])
    table, texts = made.questions(), made.texts()
    assert set(table["answer"]) == {HELD_BACK}
    assert set(table["type"]) == {
        *("cvqa:Japanese/Japan", "cvqa:Spanish/Mexico", "cvqa:Spanish/Chile", "cvqa:Swahili/Kenya")
    }
    assert texts["language"].astype(str).value_counts().to_dict() == {"en": 8, "es": 4, "ja": 2, "sw": 2}
    first = texts[texts["question"] == "cvqa:5919991144272400000_0"]
    words = {row["language"]: (row["prompt"], list(row["options"])) for row in first.to_dict("records")}
    assert words == {
        "ja": ("この絵は何色ですか?", ["赤", "緑", "青", "黄"]),
        "en": ("What color is it?", list(sets.COLOURS)),
    }
    assert made.card.facts["questions in several languages"] == 8
    assert made.card.facts["parts"]["test 1"]["answers held back"] == 8


def test_an_image_that_comes_with_each_of_its_questions_is_kept_once(cvqa: Path, tmp_path: Path) -> None:
    claimed: list[tuple[bytes, str]] = []
    made = build(
        tmp_path / "out",
        {"test": [part("cvqa", cvqa)]},
        ["en", "ja", "es", "sw"],
        lambda content, split, where: claimed.append((content, split)),
    )
    files = [sets.picture(5000 + number) for number in range(4)]
    assert claimed == [(file, "test") for file in files]
    assert made.card.images == {"vqa_test": 4}
    assert list(made.questions()["image"]) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert (tmp_path / "out" / "images" / "vqa_test.bin").read_bytes() == b"".join(files)
    assert made.pictures("vqa_test").read([3], Fit(8)).shape == (1, 8, 8, 3)


@pytest.mark.parametrize(
    ("languages", "counts"),
    [
        (["en", "ja"], {"en": 2, "ja": 2}),  # English accompanies the languages of the study
        (["es", "ja"], {"es": 4, "ja": 2}),
        (["en"], {"en": 8}),
    ],
)
def test_which_questions_of_cvqa_are_asked(
    cvqa: Path, tmp_path: Path, languages: list[str], counts: dict[str, int]
) -> None:
    made = build(tmp_path / "out", {"test": [part("cvqa", cvqa)]}, languages)
    assert made.texts()["language"].astype(str).value_counts().to_dict() == counts


def test_labels_that_are_there_are_kept(tmp_path: Path) -> None:
    folder = sets.write_cvqa(tmp_path, sets.cvqa_rows(held_back=False))
    assert [question.answer for question in questions(part("cvqa", folder), "en").values()] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_the_hubs_form_is_the_folders(cvqa: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(cvqa.parent)
    hub = Part(source="cvqa", hub=cvqa.name, revision="6a38d71")
    ours, theirs = questions(part("cvqa", cvqa), "en", "es"), questions(hub, "en", "es")
    assert [(q.key, q.type, q.texts) for q in ours.values()] == [(q.key, q.type, q.texts) for q in theirs.values()]
    assert [q.image.read() for q in ours.values()] == [q.image.read() for q in theirs.values()]


def test_the_hubs_form_of_maxm_is_the_release(maxm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(sets.write_maxm_hub(tmp_path / "hub").parent)
    hub = Part(source="maxm", hub="hub", revision="6a38d71")
    ours, theirs = questions(part("maxm", maxm), "en", "he"), questions(hub, "en", "he")
    shown = [(q.key, q.type, q.answer, q.texts) for q in ours.values()]
    assert shown == [(q.key, q.type, q.answer, q.texts) for q in theirs.values()]
    assert len(shown) == 10
    assert [q.image.read() for q in ours.values()] == [q.image.read() for q in theirs.values()]
    with pytest.raises(CorpusError, match="'th'"):  # not among the splits that are there
        questions(hub, "th")
    sets.write_maxm_hub(tmp_path / "bare", without=("question_id", "is_collection"))
    bare = questions(Part(source="maxm", hub="bare", revision="6a38d71"), "en")
    assert [q.key for q in bare.values()] == [f"en:en-00000-of-00001:{row}" for row in range(1, 6)]
    file = tmp_path / "hub" / "data" / "en-00000-of-00001.parquet"
    pq.write_table(pa.concat_tables([pq.read_table(file)] * 2), file)
    with pytest.raises(CorpusError, match=r"en-00000-of-00001\.parquet, row 7, question '0000': is duplicated"):
        questions(hub, "en")


def test_images_can_be_read_in_any_order(cvqa: Path) -> None:
    found = list(questions(part("cvqa", cvqa), "en").values())
    for place in (7, 0, 3, 2, 2, 6):
        assert found[place].image.read() == sets.picture(5000 + place // 2)


def test_the_codes_of_cvqa_are_those_of_cldr() -> None:
    assert len(CODES) == len(set(CODES.values())) == 31
    checked = 0
    for name, code in CODES.items():
        try:
            display = Locale.parse(code).get_language_name("en")
        except UnknownLocaleError:
            continue
        checked += 1
        assert display is not None
        assert name.replace("Bengali", "Bangla").endswith(display), code
    assert checked >= 28


def change(column: str, value: Any) -> Callable[[sets.Rows], None]:
    return lambda rows: rows[5].update({column: value})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change("ID", "5919991144272400000_0"), r"ID '5919991144272400000_0' is in .*00000-of-00002.*, row 1 too"),
        (change("ID", None), "ID is None, it must be a text"),
        (change("Label", 4), "Label is 4, it must be 0 to 3, or -1"),
        (change("Label", -2), "Label is -2"),
        (change("Label", None), "Label is None"),
        (change("Options", ["a", "b", "c"]), "Options has 3 entries, not 4"),
        (change("Translated Options", None), "Translated Options has no entries, not 4"),
        (change("Options", ["a", "b", "c", " "]), "Options has the entry ' ', it must be a text"),
        (change("Question", ""), "Question is '', it must be a text"),
        (change("Subset", "Spanish, Mexico"), r"Subset is 'Spanish, Mexico', it must be a pair such as \('Japanese'"),
        (change("Subset", "('Spanish', 1)"), "it must be a pair"),
        (change("Subset", "__import__('os').getcwd()"), "it must be a pair"),
        (change("Subset", "(" * 300), "it must be a pair"),
        (change("Subset", "('Spansh', 'Mexico')"), r"unknown language 'Spansh'; did you mean .*Spanish"),
        (change("image", {"bytes": None, "path": "a.jpg"}), "the image has no bytes: it is missing"),
        (change("image", {"bytes": b"GIF89a", "path": "a.jpg"}), "the image cannot be decoded"),
    ],
)
def test_a_bad_row_of_cvqa_is_named(tmp_path: Path, spoil: Callable[[sets.Rows], None], message: str) -> None:
    rows = sets.cvqa_rows()
    spoil(rows)
    folder = sets.write_cvqa(tmp_path / "cvqa", rows)
    with pytest.raises(CorpusError, match=rf"test-00001-of-00002\.parquet, row 2[^0-9].*{message}"):
        build(tmp_path / "out", {"test": [part("cvqa", folder)]}, ["en", "es"])


def test_options_that_read_the_same_are_left_out_in_that_language_and_counted(tmp_path: Path) -> None:
    rows = sets.cvqa_rows()
    rows[1]["Translated Options"] = ["red", "red ", "blue", "yellow"]
    rows[2]["Options"] = rows[2]["Translated Options"] = ["a", "a", "b", "c"]
    folder = sets.write_cvqa(tmp_path / "cvqa", rows)
    made = build(tmp_path / "out", {"test": [part("cvqa", folder)]}, ["en", "es"])
    assert made.texts()["language"].astype(str).value_counts().to_dict() == {"es": 3, "en": 2}
    assert made.card.facts["parts"]["test 1"]["left out"] == {
        "two options read the same in en": {"questions": 2, "for example": [rows[1]["ID"], rows[2]["ID"]]},
        "two options read the same in es": {"questions": 1, "for example": [rows[2]["ID"]]},
    }


def test_files_of_cvqa_that_are_not_whole_are_named(cvqa: Path, tmp_path: Path) -> None:
    folder = sets.write_cvqa(tmp_path / "cvqa")
    second = folder / "data" / "test-00001-of-00002.parquet"
    whole = second.read_bytes()
    second.write_bytes(whole[:-20])
    with pytest.raises(CorpusError, match=r"test-00001-of-00002\.parquet.*: not a whole parquet file"):
        questions(part("cvqa", folder), "en")
    second.unlink()
    with pytest.raises(CorpusError, match="of the 2 files of split 'test' there are only test-00000-of"):
        questions(part("cvqa", folder), "en")
    pq.write_table(pq.read_table(cvqa / "data" / second.name).drop_columns("Label"), second)
    with pytest.raises(CorpusError, match=r"test-00001-of-00002\.parquet.*: column 'Label' is missing"):
        questions(part("cvqa", folder), "en")
    with pytest.raises(CorpusError, match=r"no file test-00000-of-0000n\.parquet; it has none"):
        questions(part("cvqa", tmp_path), "en")


# Free answers made multiple choice -----------------------------------------------------------------------------------

WORDS = st.text(alphabet="abc ", min_size=1, max_size=4).map(str.strip).filter(bool)


@given(answers=st.lists(WORDS, min_size=1, max_size=20), seed=st.randoms(use_true_random=False))
def test_options_are_of_the_kind_apart_from_the_answer_and_fixed_by_the_id(answers: list[str], seed: Any) -> None:
    image = Image("i", "w", bytes)
    given_ = [
        Open(f"q{number}", "w", image, "t", {"en": "?", "de": "?"}, answer, [answer.upper(), "bc"], ["narrow", "all"])
        for number, answer in enumerate(answers)
    ]
    found = list(multiple_choice("s", given_))
    for question, out in zip(given_, found, strict=True):
        apart = [a for a in set(answers) if not any(a in k or k in a for k in (question.answer, "bc"))]
        assert isinstance(out, LeftOut) == (len(apart) < OPTIONS - 1)
        if isinstance(out, Question):
            options = list(out.texts["en"].options)
            assert out.texts["de"].options == options
            assert options[out.answer] == question.answer
            wrong = options[: out.answer] + options[out.answer + 1 :]
            assert len(set(options)) == OPTIONS
            assert set(wrong) <= set(apart)
    shuffled = list(given_)
    seed.shuffle(shuffled)
    again = {out.key: out for out in multiple_choice("s", shuffled)}
    assert all(again[out.key] == out for out in found)


def test_the_right_option_is_anywhere_and_distractors_are_drawn_evenly() -> None:
    answers = [f"word {chr(97 + number)}" for number in range(8)]
    image = Image("i", "w", bytes)
    given_ = [Open(str(n), "w", image, "t", {"en": "?"}, answers[n % 8], (), ["k"]) for n in range(2000)]
    found = [out for out in multiple_choice("s", given_) if isinstance(out, Question)]
    places = pd.Series([out.answer for out in found]).value_counts()
    assert places.min() > 430  # of 500; SD 19
    shown = pd.Series([text for out in found for text in out.texts["en"].options]).value_counts()
    assert shown.min() > 900  # of 1,000


def test_a_narrow_kind_with_too_few_answers_gives_way_to_a_wider_one() -> None:
    image = Image("i", "w", bytes)

    def ask(key: str, answer: str, *kinds: str) -> Open:
        return Open(key, "w", image, "t", {"en": "?"}, answer, (), kinds)

    wide = [ask(str(number), answer, "object") for number, answer in enumerate(("chair", "lamp", "bed", "tree"))]
    bag = ask("bag", "purse", "bags", "object")
    found = {out.key: out for out in multiple_choice("s", [*wide, bag, ask("side", "left", "sides")])}
    assert isinstance(found["bag"], Question)
    assert isinstance(found["side"], LeftOut)


# xGQA ----------------------------------------------------------------------------------------------------------------


def test_xgqa_has_the_same_english_options_in_all_languages(xgqa: Path, tmp_path: Path) -> None:
    made = build(tmp_path / "out", {"test": [part("xgqa", xgqa)]}, ["en", "de", "bn"])
    table, texts = made.questions(), made.texts()
    answers = dict(zip(table["question"], table["answer"], strict=True))
    assert len(answers) == 6
    assert made.card.images == {"vqa_test": 4}
    assert made.card.questions == {"test": {"xgqa:attr": 6}}
    entries = sets.xgqa_entries("en")
    for question, own in texts.groupby("question"):
        assert len(own) == 3
        assert len({tuple(options) for options in own["options"]}) == 1
        right = own["options"].iloc[0][answers[question]]
        assert right == entries[str(question).removeprefix("xgqa:")]["answer"]
    assert made.card.facts["parts"]["test 1"]["left out"] == {
        "structural type verify": {"questions": 2, "for example": ["2016409", "2016413"]}
    }


def test_options_of_xgqa_depend_on_no_language_nor_order(xgqa: Path) -> None:
    before = questions(part("xgqa", xgqa), "en", "bn")
    for language in ("en", "de", "bn"):
        entries = sets.xgqa_entries(language)
        sets.write_json(xgqa / "data/few_shot" / language / "test.json", dict(reversed(list(entries.items()))))
    after = questions(part("xgqa", xgqa), "de")
    assert list(after) == list(reversed(before))
    assert all(after[key].texts["de"].options == before[key].texts["bn"].options for key in before)
    assert all(after[key].answer == before[key].answer for key in before)


def test_texts_that_are_not_nfc_are_composed_and_counted(xgqa: Path, tmp_path: Path) -> None:
    # As in the publisher's own Bengali files, of which a third are written with a combining nukta.
    file = xgqa / "data/few_shot/bn/test.json"
    entries = sets.xgqa_entries("bn")
    entries["2016406"]["question"] = unicodedata.normalize("NFD", "ব\u09cbঝা é?")
    sets.write_json(file, entries)
    assert not unicodedata.is_normalized("NFC", entries["2016406"]["question"])
    made = build(tmp_path / "out", {"test": [part("xgqa", xgqa)]}, ["bn", "de"])
    assert made.card.facts["parts"]["test 1"]["texts brought to NFC"] == 1


def test_other_files_of_xgqa_are_its_splits(tmp_path: Path) -> None:
    folder = sets.write_xgqa(tmp_path, ("en", "de"), split="dev")
    of = part("xgqa", folder, split="dev")
    assert asked.question_source("xgqa").languages(of) == ("de", "en")
    assert len(questions(of, "de")) == 6
    for language in ("en", "de"):
        zero = folder / "data/zero_shot" / f"testdev_balanced_questions_{language}.json"
        sets.write_json(zero, sets.xgqa_entries(language))
    assert len(questions(part("xgqa", folder, split="testdev"), "de")) == 6
    with pytest.raises(CorpusError, match=r"no file of split 'test'; looked for .*few_shot/en/test\.json"):
        questions(part("xgqa", folder), "en")


def edit(entry: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda entries: entries[entry].update(fields)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (edit("2016407", imageId="n999"), r"question '2016407': 'imageId' is 'n999', and 'n100' in .*en/test\.json"),
        (edit("2016407", answer="red"), r"question '2016407': 'answer' is 'red', and 'blue' in"),
        (edit("2016407", question=" "), r"question '2016407': 'question' is ' ', it must be a text"),
        (edit("2016407", question=7), "question '2016407': 'question' is 7, it must be a text"),
        (lambda entries: entries.pop("2016408"), "there is no question '2016408', which is in .*en"),
        (lambda entries: entries.update(x=entries["2016406"]), "question 'x' is not in .*en/test.json"),
        (lambda entries: entries["2016406"].pop("answer"), "question '2016406': it has no 'answer'"),
        (lambda entries: entries.update({"2016406": 3}), "question '2016406': 3 is no object"),
    ],
)
def test_a_bad_question_of_xgqa_is_named(xgqa: Path, spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    entries = sets.xgqa_entries("de")
    spoil(entries)
    sets.write_json(xgqa / "data/few_shot/de/test.json", entries)
    with pytest.raises(CorpusError, match=rf"de/test\.json.*{message}"):
        questions(part("xgqa", xgqa), "en", "de")


def test_files_of_xgqa_that_are_not_whole_are_named(xgqa: Path) -> None:
    file = xgqa / "data/few_shot/de/test.json"
    text = file.read_text(encoding="utf-8")
    file.write_text(text[: len(text) // 2], encoding="utf-8")
    with pytest.raises(CorpusError, match=r"de/test\.json: not a whole JSON file: .*char"):
        questions(part("xgqa", xgqa), "en", "de")
    file.write_bytes(text.encode("utf-8").replace("für".encode(), b"") + b"\xff")
    with pytest.raises(CorpusError, match=r"de/test\.json, line 1: not UTF-8"):
        questions(part("xgqa", xgqa), "de")
    file.write_text("[1]", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"de/test\.json: \[1\] is no object"):
        questions(part("xgqa", xgqa), "de")
    entry = json.dumps(sets.xgqa_entries("de")["2016406"])
    file.write_text(f'{{"1": {entry}, "1": {entry}}}', encoding="utf-8")
    with pytest.raises(CorpusError, match=r"de/test\.json: question '1' is duplicated"):
        questions(part("xgqa", xgqa), "de")


def test_an_image_that_is_not_there_is_named(xgqa: Path) -> None:
    (xgqa / "images" / "n101.jpg").unlink()
    with pytest.raises(CorpusError, match=r"en/test\.json, question '2016408': there is no image n101\.jpg in"):
        questions(part("xgqa", xgqa), "en")
    entries = sets.xgqa_entries("en")
    entries["2016406"]["imageId"] = "../data"
    sets.write_json(xgqa / "data/few_shot/en/test.json", entries)
    with pytest.raises(CorpusError, match=r"question '2016406': there is no image \.\./data\.jpg"):
        questions(part("xgqa", xgqa), "en")


# MaXM ----------------------------------------------------------------------------------------------------------------


def test_maxm_has_questions_of_its_own_in_each_language(maxm: Path, tmp_path: Path) -> None:
    made = build(tmp_path / "out", {"test": [part("maxm", maxm)]}, ["en", "fr", "he"])
    texts = made.texts()
    assert texts["question"].is_unique
    assert texts["language"].astype(str).value_counts().to_dict() == {"en": 5, "fr": 5, "he": 5}
    assert made.card.images == {"vqa_test": 3}
    assert made.card.facts["questions in several languages"] == 0
    assert made.card.facts["parts"]["test 1"]["left out"]["yes or no"]["questions"] == 3
    hebrew = set(sets.MAXM_WORDS["iw"][1])
    assert all(set(options) <= hebrew for options in texts.loc[texts["language"] == "he", "options"])


def test_kinds_of_answers_are_not_mixed_and_no_right_answer_is_a_distractor(tmp_path: Path) -> None:
    content = sets.maxm_content("en", count=12)
    pairs = [pair for annotation in content["annotations"] for pair in annotation["qa_pairs"]]
    for number, pair in enumerate(pairs[:5]):
        pair["answers"], pair["processed_answers"] = [f"{number + 2}"], [f"{number + 2}"]
    pairs[5]["answers"] = ["a dog", "a cat", "two trees"]
    pairs[5]["is_collection"] = "true"
    for pair in pairs[6:]:
        pair["processed_answers"] = ["the sea"]
    folder = sets.write_maxm(tmp_path, (), count=12)
    sets.write_json(folder / "maxm_v1_en.json", content)
    found = questions(part("maxm", folder), "en")
    assert {question.type for question in found.values()} == {"number", "other"}
    for key, question in found.items():
        options = question.texts["en"].options
        assert all(option.isdecimal() for option in options) == (key < "en:0005")
        if key >= "en:0006":
            assert "the sea" not in [o for place, o in enumerate(options) if place != question.answer]


def annotate(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["annotations"][1]["qa_pairs"][0].update(fields)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (annotate(question_id="0001"), "question '0001': is duplicated"),
        (annotate(answers=[]), "question '0002': it has no answer"),
        (annotate(answers="a dog"), "question '0002': 'answers' is 'a dog', it must be a list of texts"),
        (annotate(answers=[""]), r"question '0002': 'answers' is \[''\], it must be a list of texts"),
        (annotate(is_collection="perhaps"), "question '0002': 'is_collection' is 'perhaps', it must be true or false"),
        (lambda content: content.update(split="xx"), "split 'xx' is no language of MaXM: en, fr, hi, iw"),
        (lambda content: content.update(split="fr"), "language 'fr' is in .*maxm_v1_en.json too"),
        (lambda content: content.pop("split"), "it has no 'split'"),
        (lambda content: content["annotations"][0].pop("image_id"), "annotation 1: it has no 'image_id'"),
        (lambda content: content["annotations"][0].update(image_id="f"), "question '0000': there is no image f.jpg"),
    ],
)
def test_a_bad_question_of_maxm_is_named(maxm: Path, spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    content = sets.maxm_content("fr")
    spoil(content)
    if content.get("split") == "fr" and "language" in message:
        content["split"] = "en"
        message = "language 'en' is in .*maxm_v1_en.json too"
    sets.write_json(maxm / "maxm_v1_fr.json", content)
    with pytest.raises(CorpusError, match=rf"maxm_v1_fr\.json.*{message}"):
        questions(part("maxm", maxm), "fr")


# Several parts -------------------------------------------------------------------------------------------------------


def test_sources_stand_beside_one_another(cvqa: Path, xgqa: Path, maxm: Path, tmp_path: Path) -> None:
    dev = sets.write_xgqa(tmp_path / "dev", split="dev", count=4)
    for language in ("en", "de", "bn"):
        file = dev / "data/few_shot" / language / "dev.json"
        entries = sets.xgqa_entries(language, 6)
        sets.write_json(file, {f"9{key}": entry | {"imageId": "n100"} for key, entry in entries.items()})
    parts: Parts = {
        "validation": [part("xgqa", dev, split="dev")],
        "test": [part("cvqa", cvqa), part("xgqa", xgqa), part("maxm", maxm)],
    }
    assert asked.question_languages(parts) == ("bn", "de", "en", "es", "fr", "he", "ja", "sw")
    asked.check_questions(parts, ["en", "de", "ja", "he"])
    made = build(tmp_path / "out", parts, ["en", "de", "ja", "he"])
    table = made.questions("test")
    assert table["question"].str.partition(":")[0].value_counts().to_dict() == {"maxm": 10, "xgqa": 6, "cvqa": 2}
    assert set(made.questions("validation")["question"].str[:6]) == {"xgqa:9"}
    assert made.card.images == {"vqa_validation": 1, "vqa_test": 2 + 4 + 3}
    spoken = made.texts(split="test").groupby("language", observed=True)["question"].agg(set)
    assert spoken["ja"] == set(table["question"][:2])
    assert spoken["de"] == set(table.loc[table["question"].str.startswith("xgqa"), "question"])


class Three(QuestionSource):
    """A data set with three options."""

    record, splits = RECORD, ("test",)

    def languages(self, part: Part) -> tuple[str, ...]:
        return ("en",)

    def questions(self, part: Part, languages: Any) -> Any:
        image = Image("1", "three, row 1", lambda: sets.picture(1))
        yield Question("1", "three, row 1", image, "t", 0, {"en": Asking("?", ["a", "b", "c"])})


def test_other_numbers_of_options_are_refused(cvqa: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(asked.QUESTION_SOURCES, "three", Three())
    parts: Parts = {"test": [part("cvqa", cvqa), part("three", cvqa)]}
    with pytest.raises(CorpusError, match=r"three, row 1: numbers of options differ, 4 \(cvqa\) and 3 \(three\)"):
        build(tmp_path / "out", parts, ["en"])


def test_a_draw_repeats_and_depends_on_its_seed(cvqa: Path, tmp_path: Path) -> None:
    def drawn(name: str, **rest: Any) -> list[str]:
        made = build(tmp_path / name, {"test": [part("cvqa", cvqa, **rest)]}, ["en"])
        assert made.card.images["vqa_test"] == made.questions()["image"].nunique()
        return list(made.questions()["question"])

    whole, first = drawn("all"), drawn("a", items=5)
    assert len(first) == 5
    assert first == sorted(first, key=whole.index) == drawn("b", items=5)
    assert first != drawn("c", items=5, seed=1)
    with pytest.raises(CorpusError, match="cvqa: items is 9, but 8 questions can be asked"):
        drawn("d", items=9)


def test_a_question_in_two_parts_is_named(xgqa: Path, tmp_path: Path) -> None:
    parts: Parts = {"validation": [part("xgqa", xgqa)], "test": [part("xgqa", xgqa)]}
    with pytest.raises(CorpusError, match=r"en/test\.json, .*: question '2016406' of xgqa is in .* too"):
        build(tmp_path / "out", parts, ["en"])


def test_what_the_caller_says_of_an_image_is_heard(xgqa: Path, tmp_path: Path) -> None:
    def claim(content: bytes, split: str, where: str) -> None:
        if content == sets.picture(101):
            raise CorpusError(f"{where} is trained on")

    with pytest.raises(CorpusError, match=r"question '2016408', image .*n101\.jpg is trained on"):
        build(tmp_path / "out", {"test": [part("xgqa", xgqa)]}, ["en"], claim)


@pytest.mark.parametrize(
    ("of", "languages", "message"),
    [
        ({"source": "cvq"}, ["en"], "unknown source of questions 'cvq'; did you mean cvqa"),
        ({"source": "xgqa", "split": "tset"}, ["en"], "unknown split 'tset'; did you mean .*test"),
        ({"source": "xgqa"}, ["en", "fr"], "vqa_languages: unknown language 'fr'"),
        ({"source": "xgqa"}, ["fr"], "xgqa asks in bn, de, en, in none of fr"),
        (
            {"source": "xgqa", "path": "nowhere"},
            ["en"],
            "there is no folder nowhere; it should hold data/few_shot",
        ),
        (
            {"source": "xgqa", "hub": "a/b", "revision": "1"},
            ["en"],
            "xgqa: no form of it on the hub is read; give path",
        ),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_read(
    xgqa: Path, of: dict[str, str], languages: list[str], message: str
) -> None:
    if "hub" not in of:
        of = {"path": str(xgqa), **of}
    with pytest.raises(CorpusError, match=message):
        asked.check_questions({"test": [Part.model_validate(of)]}, languages)


def test_a_language_that_only_validation_asks_is_refused(maxm: Path, xgqa: Path, tmp_path: Path) -> None:
    parts: Parts = {"validation": [part("maxm", maxm)], "test": [part("xgqa", xgqa)]}
    assert asked.question_languages(parts) == ("bn", "de", "en")
    with pytest.raises(CorpusError, match="vqa_languages: unknown language 'fr'"):
        asked.check_questions(parts, ["en", "fr"])
    with pytest.raises(CorpusError, match="vqa_languages: no question to be tested in fr: leave it out"):
        build(tmp_path / "out", parts, ["en", "fr"])


@pytest.mark.parametrize("name", sorted(asked.QUESTION_SOURCES))
def test_records_say_what_is_known(name: str) -> None:
    record = asked.QUESTION_SOURCES[name].record
    assert record.name == name
    assert list(record.vqa_languages) == sorted(set(record.vqa_languages))
    assert record.licences
    assert record.notes
    assert record.how
    assert set(record.disk) <= set(asked.QUESTION_SOURCES[name].splits)
