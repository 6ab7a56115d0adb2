"""A corpus of published data sets: what is prepared is what was published, and nothing is in two places."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline import validate
from pipeline.sources import ROOT
from pipeline.stage import StageError
from study.config.check import _corpus
from study.config.check import load as load_params
from study.config.params import CorpusSpec, ParamsError
from study.data import CorpusError, PreparedCorpus, corpus, known_languages, known_splits, writer
from study.data.fingerprint import END, ends_hash
from study.data.pictures import Fit, decode
from study.data.published import PublishedSettings
from study.data.published.captions import _distil_rows, _rows
from study.data.published.requirements import needs
from study.data.published.sampling import PartFacts, cleaned, drawn
from study.data.published.sources import Captioned, Image, Part
from tests.study.data import data_sets, question_sets
from tests.study.data.data_sets import COCO_LANGUAGES, Shot, photograph, said, shots

XM = ("de", "en", "fil", "ja", "quz")
SHARED = ("de", "en", "ja")
TRAIN, VAL, TEST = range(0, 8), range(8, 14), range(14, 19)
SETTINGS: dict[str, Any] = {
    "distil": {"source": "multilingual_coco", "path": "data/coco"},
    "validation": {"source": "multilingual_coco", "path": "data/coco", "split": "val"},
    "test": {"source": "crossmodal3600", "path": "data/xm3600"},
}


def coco(numbers: range, captions: int = 3) -> list[Shot]:
    return shots(numbers.start, len(numbers), COCO_LANGUAGES, captions, key="{}")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study's folder, which is the working folder, with two data sets below data/."""
    monkeypatch.chdir(tmp_path)
    data_sets.write_multilingual_coco(tmp_path / "data" / "coco", {"train": coco(TRAIN), "val": coco(VAL)})
    data_sets.write_crossmodal3600(tmp_path / "data" / "xm3600", shots(TEST.start, len(TEST), XM))
    return tmp_path


def declared(**changes: Any) -> PublishedSettings:
    return PublishedSettings.model_validate({**SETTINGS, **changes})


def build(wanted: PublishedSettings, languages: Any = None, out: str = "out") -> PreparedCorpus:
    known, asked = known_languages("published", wanted)
    languages = languages or SHARED
    corpus("published").check(wanted, languages, asked)
    assert set(languages) <= set(known)
    Path(out).mkdir()
    corpus("published").build(wanted, languages, asked, Path(out), Path("cache"), lambda step, done: None)
    return PreparedCorpus(out)


def texts(made: PreparedCorpus, split: Any) -> list[tuple[int, str, str]]:
    frame = made.captions(split)
    return list(zip(frame["image"].tolist(), frame["language"].astype(str), frame["text"].tolist(), strict=True))


def test_what_is_prepared_is_what_was_published(study: Path) -> None:
    made = build(declared())
    made.verify()
    assert made.languages == list(SHARED)
    for split, numbers in (("distil", TRAIN), ("validation", VAL), ("test", TEST)):
        contents = [photograph(n) for n in numbers]
        assert (made.path / "images" / f"{split}.bin").read_bytes() == b"".join(contents)
        expected = np.stack([Fit(24)(decode(content)) for content in contents])
        found = made.pictures(split).read(range(len(numbers)), Fit(24))  # type: ignore[arg-type]
        np.testing.assert_array_equal(found, expected)
        count = 2 if split == "test" else 3
        assert texts(made, split) == [
            (image, code, said(n, code, k)) for image, n in enumerate(numbers) for code in SHARED for k in range(count)
        ]
    distil = made.captions("distil")
    pivots = [said(n, "en", k) for n in TRAIN for _ in SHARED for k in range(3)]
    assert distil["english"].tolist() == pivots
    card = made.card
    assert card.captions["test"] == dict.fromkeys(SHARED, 10)
    assert {"CC-BY-4.0", "CC-BY-2.0"} <= {licence.name for licence in card.licences}
    assert card.source.count("hub: romrawinjp/multilingual-coco") == 1
    part = card.facts["parts"]["test"][0]
    assert (part["source"], part["place"], part["split"], part["images"]) == (
        "crossmodal3600",
        "data/xm3600",
        "test",
        5,
    )
    assert part["captions"] == dict.fromkeys(SHARED, 10)
    table = "data/xm3600/captions.jsonl"
    assert card.facts["tables"] == {table: hashlib.sha256(Path(table).read_bytes()).hexdigest()}
    assert str(study) not in (made.path / "corpus.json").read_text()


def test_every_run_and_the_hub_form_give_the_same_bits(study: Path) -> None:
    data_sets.write_crossmodal3600_hub(study / "data" / "hub", shots(TEST.start, len(TEST), XM))
    hub = declared(
        distil={"source": "multilingual_coco", "hub": "data/coco", "revision": "abc"},
        test=[{"source": "crossmodal3600", "hub": "data/hub", "revision": "abc"}],
    )
    # The hub is not asked which languages it has: those of the record are declared.
    made = [build(declared(), SHARED, "1"), build(declared(), SHARED, "2"), build(hub, SHARED, "3")]
    assert len({one.card.content for one in made}) == 1
    assert [one.card.facts["tables"] == {} for one in made] == [False, False, True]
    assert "crossmodal3600: abc" in made[2].card.revision


def test_parts_are_added_up_and_drawn_with_a_seed(study: Path) -> None:
    data_sets.write_webdataset(study / "data" / "own", shots(20, 4, ("de", "en"), key="{:04}"))
    parts: list[dict[str, Any]] = [
        {"source": "multilingual_coco", "path": "data/coco", "items": 5, "seed": 3},
        {"source": "webdataset", "path": "data/own"},
    ]
    made = build(declared(distil=parts, teacher=parts[1], licence="CC0-1.0", attribution="me"))
    made.verify()
    chosen = [int(item.image.key) for item in drawn(Part.model_validate(parts[0]), ["en"])]
    assert chosen == sorted(set(chosen))
    assert len(chosen) == 5
    assert {image for image, _, _ in texts(made, "distil")} == set(range(9))
    assert [text for image, code, text in texts(made, "distil") if code == "en"][::3][:5] == [
        said(n, "en", 0) for n in chosen
    ]
    again = [
        [int(item.image.key) for item in drawn(Part.model_validate({**parts[0], "seed": seed}), ["en"])]
        for seed in (3, 4, 5, 6)
    ]
    assert again[0] == chosen
    assert len({tuple(one) for one in again}) > 1
    assert "english" not in made.captions("teacher").columns
    assert ("CC0-1.0", "me") in {(licence.name, licence.attribution) for licence in made.card.licences}
    # Japanese is in one of the two parts only, and that is enough.
    assert made.card.captions["distil"]["ja"] == 15


def test_the_pivot_need_not_be_one_of_the_languages(study: Path) -> None:
    made = build(declared(pivot="de"), ["en", "ja"])
    made.verify()
    distil = made.captions("distil")
    assert set(distil["language"]) == {"en", "ja"}
    assert distil["english"].tolist()[:6] == [said(0, "de", k) for k in range(3)] * 2


def test_memory_holds_a_group_of_captions_only(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build(declared(), out="whole")
    monkeypatch.setattr(writer, "ROW_GROUP", 7)
    grouped = build(declared(), out="grouped")
    grouped.verify()
    file = pq.ParquetFile(grouped.path / "captions" / "distil.parquet")
    assert file.num_row_groups == 11
    for split in ("distil", "validation", "test"):
        pd.testing.assert_frame_equal(grouped.captions(split), whole.captions(split), check_categorical=False)


def test_questions_come_with_their_images_and_not_with_those_of_training(study: Path) -> None:
    question_sets.write_cvqa(study / "data" / "cvqa")
    asked = {"test": {"source": "cvqa", "path": "data/cvqa"}}
    made = build(declared(questions=asked))
    made.verify()
    assert {"en", "ja"} <= set(made.vqa_languages)
    assert made.card.images["vqa_test"] > 0
    assert set(made.questions("test")["question"].str.partition(":")[0]) == {"cvqa"}
    assert "cvqa" in made.card.source
    assert any(licence.covers.startswith("cvqa: ") for licence in made.card.licences)
    assert made.card.out_of_domain != "none"
    what = [need.what for need in needs(declared(questions=asked))]
    assert what[-1] == "cvqa, split test"
    own = [Shot("1", question_sets.picture(5000), {"en": ["a"], "de": ["b"], "ja": ["c"]}), *coco(range(60, 63))]
    data_sets.write_webdataset(study / "data" / "own", own)
    leaking = {"source": "webdataset", "path": "data/own"}
    with pytest.raises(CorpusError, match=r"split 'distil' is the same file as in data/cvqa/.*, split 'test'"):
        build(declared(distil=leaking, questions=asked), out="leak")


# Captions ------------------------------------------------------------------------------------------------------------


def test_captions_go_with_the_pivot_caption_of_their_number() -> None:
    captions = {"en": ["a", "b", "b"], "de": ["x", "y", "x", "z", "w"]}
    assert list(_distil_rows(captions, "en", "row 1")) == [
        ("en", "a", "a"),
        ("en", "b", "b"),
        ("de", "x", "a"),
        ("de", "y", "b"),
        ("de", "z", "a"),
        ("de", "w", "a"),
    ]
    with pytest.raises(CorpusError, match="row 1: the image has no caption in 'fr': every image of split 'distil'"):
        list(_distil_rows(captions, "fr", "row 1"))


def test_a_blank_caption_does_not_shift_its_successors() -> None:
    written = {"en": ["a dog", "two cats", "a red bus"], "de": ["ein Hund", " ", "ein roter Bus"]}
    facts = PartFacts()
    found = list(_distil_rows(cleaned(item(**written), HUB, facts), "en", "row 1"))
    assert [row for row in found if row[0] == "de"] == [
        ("de", "ein Hund", "a dog"),
        ("de", "ein roter Bus", "a red bus"),
    ]
    assert facts.blank == {"de": 1}
    # A blank in the pivot language: what belongs to it goes with the first one that is there.
    found = list(_distil_rows(cleaned(item(en=[" ", "b"], de=["x", "y"]), HUB, PartFacts()), "en", "row 1"))
    assert found == [("en", "b", "b"), ("de", "x", "b"), ("de", "y", "b")]
    assert list(_rows(cleaned(item(de=["x", " ", "y"]), HUB, PartFacts()))) == [("de", "x"), ("de", "y")]


LOCAL, HUB = Part(source="xtd10", path="x"), Part(source="crossmodal3600", hub="x", revision="1")


def item(**captions: list[str]) -> Captioned:
    return Captioned(Image("k", "x.txt, row 4", lambda: b""), captions)


@given(written=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), max_size=4))
def test_captions_are_normalised_and_counted(written: list[str]) -> None:
    facts = PartFacts()
    kept = [text for text in written if text.strip()]
    found = cleaned(item(de=written), HUB, facts)
    assert found == ({"de": [unicodedata.normalize("NFC", text).strip() for text in written]} if kept else {})
    assert facts.normalised["de"] == sum(not unicodedata.is_normalized("NFC", text) for text in written)
    assert facts.blank["de"] == len(written) - len(kept)


def test_empty_and_broken_captions_are_named() -> None:
    with pytest.raises(CorpusError, match=r"x\.txt, row 4: caption 2 in 'de' is empty"):
        cleaned(item(en=["a"], de=["b", " "]), LOCAL, PartFacts())
    with pytest.raises(CorpusError, match=r"x\.txt, row 4: caption 1 in 'de' has half of a surrogate pair"):
        cleaned(item(de=["\ud800"]), HUB, PartFacts())
    assert cleaned(item(en=[], de=["b "]), LOCAL, PartFacts()) == {"de": ["b"]}


def test_what_was_normalised_or_left_out_stands_in_the_card(study: Path) -> None:
    lines = [json.loads(line) for line in Path("data/xm3600/captions.jsonl").read_text().splitlines()]
    lines[0]["de"]["caption"][1] = unicodedata.normalize("NFD", "grün")
    lines[1] = {**{key: lines[1][key] for key in ("image/key", "image/locale")}, "fil": lines[1]["fil"]}
    Path("data/xm3600/captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    made = build(declared())
    made.verify()
    part = made.card.facts["parts"]["test"][0]
    assert (part["normalised"], part["uncaptioned"], part["images"]) == ({"de": 1}, 1, 4)
    assert (0, "de", "grün") in texts(made, "test")


def test_an_image_that_is_there_twice_in_a_split_is_one_image(study: Path) -> None:
    first, second = shots(30, 2, ("de", "en", "ja"), key="{}")
    twin = Shot("32", first.content, second.captions)
    more = shots(33, 3, ("de", "en", "ja"), key="{}")
    data_sets.write_webdataset(study / "data" / "own", [first, twin, *more])
    made = build(declared(test={"source": "webdataset", "path": "data/own"}))
    made.verify()
    assert made.card.images["test"] == 4
    assert made.card.facts["parts"]["test"][0]["repeated"] == 1
    assert [text for image, code, text in texts(made, "test") if (image, code) == (0, "de")] == [
        said(n, "de", k) for n in (30, 31) for k in range(2)
    ]


# What is refused -----------------------------------------------------------------------------------------------------


def test_no_image_is_in_two_of_training_validation_and_test(study: Path) -> None:
    (study / "data" / "xm3600" / "images" / f"{14:016x}.jpg").write_bytes(photograph(9))
    with pytest.raises(CorpusError) as raised:
        build(declared())
    assert str(raised.value).startswith(
        "data/coco/data/val-00000-of-00002.parquet, row 2: this image of split 'validation' is the same file as in "
        "data/xm3600/captions.jsonl, row 1, split 'test'; "
    )
    with pytest.raises(CorpusError, match=r"row 1: this image of split 'distil' is the same file as in .*'validation'"):
        build(declared(distil=SETTINGS["validation"], test={**SETTINGS["test"], "items": 4, "seed": 1}), out="2")


def test_all_broken_images_are_named_at_once_or_left_out_and_counted(study: Path) -> None:
    for number, content in ((14, b"no image"), (16, b"<html>")):
        (study / "data" / "xm3600" / "images" / f"{number:016x}.jpg").write_bytes(content)
    with pytest.raises(CorpusError) as raised:
        build(declared())
    lines = str(raised.value).splitlines()
    assert [line.partition(": the image cannot be decoded")[0] for line in lines] == [
        f"data/xm3600/captions.jsonl, row {row}" for row in (1, 3)
    ]
    made = build(declared(broken="skip"), out="skipped")
    made.verify()
    assert made.card.facts["images left out"] == {"not decoded": 2}
    assert made.card.facts["parts"]["test"][0]["broken"] == 2
    assert made.card.images["test"] == len(TEST) - 2


def test_an_image_name_does_not_lead_out_of_its_folder(study: Path) -> None:
    file = study / "data" / "xm3600" / "captions.jsonl"
    first, *others = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([json.dumps({**json.loads(first), "image/key": "../../x"}), *others]), encoding="utf-8")
    with pytest.raises(CorpusError, match=r"row 1: image '\.\./\.\./x\.jpg' is outside of data/xm3600/images"):
        build(declared())


def test_an_image_that_cannot_be_decoded_is_named(study: Path) -> None:
    path = study / "data" / "xm3600" / "images" / f"{16:016x}.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(CorpusError, match=r"data/xm3600/captions\.jsonl, row 3: the image cannot be decoded"):
        build(declared())


def edit(row: int, change: Callable[[dict[str, Any]], Any]) -> Callable[[], Any]:
    def spoil() -> None:
        file = Path("data/xm3600/captions.jsonl")
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        change(lines[row - 1])
        file.write_text("\n".join(map(json.dumps, lines)))

    return spoil


def forget(language: str, rows: range) -> Callable[[], Any]:
    return lambda: [edit(row, lambda line: line.pop(language))() for row in rows]


def nothing() -> None:
    pass


PART = SETTINGS["test"]
REFUSED: list[tuple[dict[str, Any], Callable[[], Any], str]] = [
    ({"distil": None}, nothing, r"settings\.distil: there must be a part"),
    ({"test": {**PART, "source": "xm3600"}}, nothing, "unknown source of captions 'xm3600'"),
    ({"test": {**PART, "split": "val"}}, nothing, "crossmodal3600: unknown split 'val'"),
    ({"test": {**PART, "path": "data/xm"}}, nothing, r"there is no file data/xm/captions\.jsonl"),
    ({"test": {**PART, "language": "en"}}, nothing, r"settings\.test: crossmodal3600: language is for webdataset"),
    ({"test": {**PART, "items": 6}}, nothing, "crossmodal3600, data/xm3600: 6 items are asked for, there are 5"),
    ({"distil": {**SETTINGS["distil"], "items": 9}}, nothing, "multilingual_coco, data/coco: 9 items are asked for"),
    ({"test": {"source": "xtd10", "hub": "a/b", "revision": "1"}}, nothing, "xtd10: no form of it on the hub is read"),
    ({"pivot": "fil"}, nothing, "pivot: unknown language 'fil'"),
    ({"test": {**PART, "items": 2}}, nothing, "test: 2 images, 2 of them with captions in all of de, en, ja"),
    ({}, forget("ja", range(2, 6)), "test: 5 images, 1 of them with captions in all .*fewest: 'ja', 1 images"),
    ({}, edit(4, lambda line: line["en"].update(caption=["a", " "])), r"captions\.jsonl, row 4: caption 2 in 'en' is"),
    ({}, lambda: next(Path("data/xm3600/images").iterdir()).unlink(), r"captions\.jsonl, row \d: there is no image"),
]


@pytest.mark.parametrize(("changes", "spoil", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_built_is_refused_before_it_is_built(
    study: Path, changes: dict[str, Any], spoil: Callable[[], Any], message: str
) -> None:
    spoil()
    wanted = declared(**changes)
    with pytest.raises(CorpusError, match=message) as raised:
        corpus("published").check(wanted, SHARED, known_languages("published", wanted)[1])
    assert "\n" not in str(raised.value)


def test_a_language_may_be_tested_without_being_distilled(study: Path) -> None:
    made = build(declared(), ["de", "en", "quz"])
    made.verify()
    assert made.languages == ["de", "en", "quz"]
    assert set(made.card.captions["distil"]) == set(made.card.captions["validation"]) == {"de", "en"}
    assert made.card.captions["test"]["quz"] == 10


def test_languages_are_those_of_the_test(study: Path) -> None:
    assert known_languages("published", declared()) == (tuple(sorted(XM)), ())
    check = corpus("published").check
    with pytest.raises(CorpusError, match="languages: unknown language 'it'"):
        check(declared(), ["en", "it"], [])
    with pytest.raises(CorpusError, match="languages: 1 given"):
        check(declared(), ["en"], [])
    with pytest.raises(CorpusError, match="vqa_languages: unknown language 'en'"):
        check(declared(), ["en", "de"], ["en"])


def test_training_data_without_pivot_captions_are_named_while_building(study: Path) -> None:
    data_sets.write_webdataset(study / "data" / "own", shots(40, 4, ("en", "de", "ja"), key="{:04}"), shards=1)
    own = {"source": "webdataset", "path": "data/own"}
    data_sets.write_tar(
        Path("data/own/00001.tar"), [("x.jpg", photograph(50)), ("x.de.txt", b"rot"), ("y.jpg", photograph(51))]
    )
    with pytest.raises(CorpusError, match=r"data/own/00001\.tar, sample x: the image has no caption in 'en'"):
        build(declared(distil=own))


# The declaration -----------------------------------------------------------------------------------------------------


def params(folder: Path, settings: dict[str, Any], **changes: Any) -> Path:
    raw = YAML(typ="safe", pure=True).load(ROOT / "studies" / "smoke" / "params.yaml")
    raw["corpus"] = {"name": "published", "settings": settings}
    raw["root"] = os.path.relpath(ROOT, folder)
    YAML().dump({**raw, **changes}, folder / "params.yaml")
    return folder / "params.yaml"


def test_a_declaration_is_read_and_the_plan_knows_it(study: Path) -> None:
    teacher = {"source": "multilingual_coco", "path": "data/coco"}
    loaded = load_params(params(study, {**SETTINGS, "teacher": teacher}))
    plan = validate.plans(loaded)["corpus"]
    assert (plan["languages"], plan["vqa_languages"]) == (sorted(XM), [])
    assert plan["settings"]["test"][0]["path"] == "data/xm3600"
    assert PublishedSettings.model_validate(plan["settings"]) == declared(teacher=teacher)
    assert known_splits(declared()) == ("test", "validation", "distil")
    assert known_splits(declared(teacher=[teacher]))[-1] == "teacher"


def test_published_teachers_need_no_split_to_be_trained_on(study: Path) -> None:
    spec = CorpusSpec(name="published", settings=SETTINGS)
    assert _corpus(spec, trained=[]) == []
    assert len(_corpus(spec, trained=["clip"])) == 1
    assert known_splits(corpus("emoji").Settings()) == ("teacher", "distil", "validation", "test")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SETTINGS, "is trained here, but the corpus has no split 'teacher' (it has test, validation, distil)"),
        ({**SETTINGS, "tset": None}, "corpus.settings: unknown key 'tset'; did you mean 'test'"),
        ({**SETTINGS, "test": {**PART, "pth": "x"}}, "corpus.settings: unknown key 'test.0.pth'; did you mean 'path'"),
        ({**SETTINGS, "test": {"source": "xtd10"}}, "give either path (a folder) or hub (a name)"),
        ({**SETTINGS, "test": {"source": "crossmodal3600", "hub": "mteb/xm3600"}}, "a hub name needs the revision"),
    ],
)
def test_a_declaration_that_cannot_be_used_is_refused(study: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError) as raised:
        load_params(params(study, settings))
    assert message in str(raised.value)


def test_tables_that_changed_under_a_prepared_corpus_are_noticed(study: Path) -> None:
    teacher = {"source": "multilingual_coco", "path": "data/coco"}
    loaded = load_params(params(study, {**SETTINGS, "teacher": teacher}))
    build(declared(teacher=teacher), out="corpus")
    validate.check_fresh(loaded)
    edit(1, lambda line: line["de"].update(caption=["anders"]))()
    with pytest.raises(StageError, match=r"data/xm3600/captions\.jsonl has changed .*corpus\.settings\.revision"):
        validate.check_fresh(loaded)


def test_shards_that_changed_under_a_prepared_corpus_are_noticed(study: Path) -> None:
    data_sets.write_webdataset(study / "data" / "own", shots(40, 4, ("en", "de", "ja"), key="{:04}"), shards=1)
    distil = [{"source": "multilingual_coco", "path": "data/coco"}, {"source": "webdataset", "path": "data/own"}]
    loaded = load_params(params(study, {**SETTINGS, "distil": distil, "teacher": distil[0]}))
    build(declared(distil=distil, teacher=distil[0]), out="corpus")
    validate.check_fresh(loaded)
    table = next((study / "data" / "coco").rglob("train*.parquet"))
    for file in (table, study / "data" / "own" / "00000.tar"):
        content = file.read_bytes()
        changed = bytearray(content)
        changed[-100] ^= 1  # of the same length
        for now in (bytes(changed), content + b"\0", None):
            file.unlink()
            if now is not None:
                file.write_bytes(now)
            with pytest.raises(StageError, match=rf"{file.name} has changed or gone .*corpus\.settings\.revision"):
                validate.check_fresh(loaded)
            file.write_bytes(content)
    validate.check_fresh(loaded)


def test_the_ends_of_a_file_are_watched(tmp_path: Path) -> None:
    file = tmp_path / "shard"
    for size in (0, 1, END, END + 1, 2 * END, 3 * END):
        content = bytearray(size)
        file.write_bytes(content)
        before = ends_hash(file)
        for place in {0, size // 2, size - 1} if size else ():
            changed = bytearray(content)
            changed[place] = 1
            file.write_bytes(changed)
            middle = END <= place < size - END
            assert (ends_hash(file) == before) == middle
        file.write_bytes(content + b"\0")
        assert ends_hash(file) != before


def test_needs_say_what_is_there_and_what_is_missing(study: Path) -> None:
    (study / "data" / "xm3600" / "captions.jsonl").unlink()
    wanted = declared(distil=[SETTINGS["distil"], SETTINGS["distil"]], teacher=SETTINGS["distil"])
    found = {need.what: need for need in needs(wanted)}
    assert list(found) == [
        "crossmodal3600, split test",
        "multilingual_coco, split val",
        "multilingual_coco, split train",
    ]
    missing, there = found["crossmodal3600, split test"], found["multilingual_coco, split train"]
    assert (missing.present, there.present, missing.where) == (False, True, "data/xm3600")
    assert "there is no file data/xm3600/captions.jsonl" in missing.problem
    assert "captions: CC-BY-4.0" in missing.licence
    assert there.bytes == 13_900_000_000
    assert all(need.how for need in found.values())
    hub = {"source": "crossmodal3600", "hub": "mteb/xm3600", "revision": "536cd45"}
    away = needs(declared(test=hub))[0]
    assert (away.present, away.where) == (False, "mteb/xm3600@536cd45")
