"""Data of one's own: what is read is what was given, and what is wrong is named by file and row."""

from __future__ import annotations

import io
import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from ruamel.yaml import YAML

from pipeline import validate
from pipeline.sources import ROOT
from pipeline.stage import StageError
from study.config.check import load as load_params
from study.config.check import resolved_languages
from study.config.params import ParamsError
from study.config.schedule import Schedule
from study.config.student import StudentSpec
from study.config.teacher import TeacherSpec
from study.data import CorpusError, PreparedCorpus, corpus, known_languages, known_splits
from study.data.manifest import ManifestSettings
from study.data.manifest.pictures import load
from study.data.manifest.tables import Row, read_rows
from study.data.pictures import EncodedPictures, Fit, PixelPictures
from study.distill.embeddings import write_embeddings
from study.distill.student import StudentConfig, distil
from study.distill.teacher import train_teacher
from study.eval.evaluation import evaluate, images_of
from tests.study.tiny import PAIRS, caption, scene

LANGUAGES = ("de", "en", "ru")
COUNTS = {"teacher": 14, "distil": 12, "validation": 5, "test": 6}
SPLIT_OF = [split for split, count in COUNTS.items() for _ in range(count)]
ROW = Row("captions.csv", 2, {})

Records = list[dict[str, Any]]
Edit = Callable[[Records, Records], None]


def captions() -> Records:
    """Every image in every language, in that order: row 3 i + 2 of the CSV is image i in German."""
    return [
        {"image": f"images/{i:02d}.png", "language": language, "text": caption(PAIRS[i], language), "split": split}
        for i, split in enumerate(SPLIT_OF)
        for language in LANGUAGES
    ]


def questions() -> Records:
    """In German and Russian, about the images of validation and test."""
    found: Records = []
    for i, split in enumerate(SPLIT_OF):
        if split in ("validation", "test"):
            pairs = [PAIRS[i], PAIRS[i][::-1], ((PAIRS[i][0] + 3) % 8, PAIRS[i][1])]
            for language in ("ru", "de"):
                options = [caption(pair, language) for pair in pairs]
                row = {"question": f"q{i}", "split": split, "image": f"images/{i:02d}.png", "type": "pair"}
                found.append({**row, "language": language, "prompt": "?", "answer": 0, "options": options})
    return found


def write_images(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    for i in range(len(SPLIT_OF)):
        Image.fromarray(scene(PAIRS[i])).save(folder / "images" / f"{i:02d}.png")


def write_tables(folder: Path, said: Records, asked: Records, kind: str = "csv") -> None:
    if kind == "parquet":
        pd.DataFrame(said).to_parquet(folder / "captions.parquet")
        pd.DataFrame(asked).to_parquet(folder / "questions.parquet")
        return
    pd.DataFrame(said).to_csv(folder / "captions.csv", index=False)
    flat = [{**row, "options": json.dumps(row["options"])} for row in asked]
    pd.DataFrame(flat).to_csv(folder / "questions.csv", index=False)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study's folder with `data` in it, which is returned; the working folder is the study's."""
    write_images(tmp_path / "data")
    write_tables(tmp_path / "data", captions(), questions())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def declared(kind: str = "csv", **changes: Any) -> ManifestSettings:
    tables = {"captions": f"data/captions.{kind}", "questions": f"data/questions.{kind}"}
    return ManifestSettings.model_validate({**tables, "licence": "CC0-1.0", "attribution": "the tests", **changes})


def build(wanted: ManifestSettings, out: Path, languages: tuple[str, ...] = (), asked: Any = None) -> PreparedCorpus:
    captioned, questioned = known_languages("manifest", wanted)
    out.mkdir()
    asked = questioned if asked is None else asked
    corpus("manifest").build(wanted, languages or captioned, asked, out, out / "cache", lambda step, done: None)
    return PreparedCorpus(out)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("canvas", [None, 32])
def test_what_is_prepared_is_what_was_given(data: Path, tmp_path: Path, kind: str, canvas: int | None) -> None:
    write_tables(data, captions(), questions(), kind)
    made = build(declared(kind, canvas=canvas), tmp_path / "out")
    made.verify()
    assert (made.languages, made.vqa_languages) == (["de", "en", "ru"], ["de", "ru"])
    assert [(entry.name, entry.attribution) for entry in made.card.licences] == [("CC0-1.0", "the tests")]
    given = pd.DataFrame(captions())
    for split, count in COUNTS.items():
        first = SPLIT_OF.index(split)
        expected = np.stack([scene(pair) for pair in PAIRS[first : first + count]])
        pictures = made.pictures(split)  # type: ignore[arg-type]
        assert isinstance(pictures, EncodedPictures if canvas is None else PixelPictures)
        np.testing.assert_array_equal(pictures.read(range(count), Fit(32)), expected)
        frame = made.captions(split)  # type: ignore[arg-type]
        assert frame["text"].tolist() == given.loc[given["split"] == split, "text"].tolist()
        assert frame["image"].tolist() == [i for i in range(count) for _ in LANGUAGES]
    distil = made.captions("distil")
    english = [caption(PAIRS[COUNTS["teacher"] + i], "en") for i in distil["image"]]
    assert distil["english"].tolist() == english
    test = made.texts("ru", "test")
    assert test["question"].tolist() == made.questions("test")["question"].tolist() == [f"q{i}" for i in range(31, 37)]
    assert test["options"].iloc[0].tolist()[0] == caption(PAIRS[31], "ru")
    asked = made.pictures("vqa_test").read(range(6), Fit(32))
    np.testing.assert_array_equal(asked, made.pictures("test").read(range(6), Fit(32)))


def test_image_files_are_kept_byte_for_byte_unless_a_canvas_is_given(data: Path, tmp_path: Path) -> None:
    (data / "images" / "31.png").write_bytes((data / "images" / "31.png").read_bytes() + b"a camera's note")
    made = build(declared(), tmp_path / "out")
    made.verify()
    kept = (made.path / "images" / "test.bin").read_bytes()
    assert kept == b"".join((data / "images" / f"{i}.png").read_bytes() for i in range(31, 37))
    assert not (made.path / "images" / "test.npy").exists()


def test_without_split_teacher_a_corpus_serves_published_teachers_only(data: Path, tmp_path: Path) -> None:
    said = [row for row in captions() if row["split"] != "teacher"]
    write_tables(data, said, questions())
    made = build(declared(), tmp_path / "out")
    made.verify()
    assert sorted(made.card.images) == ["distil", "test", "validation", "vqa_test", "vqa_validation"]
    assert known_splits(declared()) == ("distil", "validation", "test")
    with pytest.raises(ParamsError, match=r"teachers\.clip is trained here, but the corpus has no split 'teacher'"):
        load_params(params(data.parent))


def test_both_kinds_of_table_and_every_run_give_the_same_bits(data: Path, tmp_path: Path) -> None:
    write_tables(data, captions(), questions(), "parquet")
    made = [build(declared(kind), tmp_path / f"{n}") for n, kind in enumerate(("csv", "csv", "parquet"))]
    assert len({one.card.content for one in made}) == 1


def test_a_part_of_the_languages_and_no_questions(data: Path, tmp_path: Path) -> None:
    made = build(declared(questions=None), tmp_path / "out", ("ru", "de"))
    made.verify()
    assert made.vqa_languages == []
    assert made.card.questions == {}
    assert set(made.captions("distil")["language"]) == {"de", "ru"}
    assert made.captions("distil")["english"].iloc[0] == caption(PAIRS[14], "en")


def test_further_captions_of_an_image_are_kept_and_english_ones_teach_themselves(data: Path, tmp_path: Path) -> None:
    more = {"image": "images/14.png", "language": "en", "text": "two colours", "split": "distil"}
    # The same file by another way is the same image.
    write_tables(
        data, [*captions(), more, {**more, "image": "./images/../images/14.png", "text": "a third"}], questions()
    )
    distil = build(declared(), tmp_path / "out").captions("distil")
    own = distil[(distil["image"] == 0)]
    assert own["text"].tolist()[3:] == own["english"].tolist()[3:] == ["two colours", "a third"]
    assert own["english"].tolist()[:3] == [caption(PAIRS[14], "en")] * 3


def test_the_k_th_caption_goes_with_the_k_th_english_one(data: Path, tmp_path: Path) -> None:
    more = [
        {"image": "images/14.png", "language": code, "text": text, "split": "distil"}
        for code, text in (("de", "zwei"), ("en", "two"), ("de", "drei"))
    ]
    write_tables(data, [*captions(), *more], questions())
    distil = build(declared(), tmp_path / "out").captions("distil").set_index("text")["english"]
    assert distil["zwei"] == distil["two"] == "two"
    assert distil["drei"] == caption(PAIRS[14], "en")  # there is no third English caption


def test_a_column_of_pairs_says_which_captions_belong_together(data: Path, tmp_path: Path) -> None:
    said = [{**row, "pair": "a"} for row in captions()]
    more = [
        {"image": "images/14.png", "language": code, "text": text, "split": "distil", "pair": pair}
        for code, text, pair in (("de", "drei", "c"), ("de", "zwei", "b"), ("en", "two", "b"), ("en", "three", "c"))
    ]
    write_tables(data, [*said, *more], questions())
    distil = build(declared(), tmp_path / "out").captions("distil").set_index("text")["english"]
    assert (distil["zwei"], distil["drei"]) == ("two", "three")
    write_tables(data, [*said, *more[:-1]], questions())
    with pytest.raises(CorpusError, match=r"captions\.csv, row \d+: 0 captions of the image in 'en' have pair 'c'"):
        build(declared(), tmp_path / "none")
    write_tables(data, [*said, *more[:-1], {**more[0], "pair": " "}], questions())
    with pytest.raises(CorpusError, match="pair is empty"):
        build(declared(), tmp_path / "empty")


def at(n: int, **values: Any) -> Edit:
    return lambda said, asked: said[n].update(values)


def ask(n: int, **values: Any) -> Edit:
    return lambda said, asked: asked[n].update(values)


def drop(where: Callable[[dict[str, Any]], bool]) -> Edit:
    def edit(said: Records, asked: Records) -> None:
        said[:] = [row for row in said if not where(row)]

    return edit


DECOMPOSED = unicodedata.normalize("NFD", "grün")


def only(keep: Callable[[dict[str, Any]], bool]) -> Edit:
    """Questions for which `keep` holds."""

    def edit(said: Records, asked: Records) -> None:
        asked[:] = [row for row in asked if keep(row)]

    return edit


def rename(column: str, name: str) -> Edit:
    def edit(said: Records, asked: Records) -> None:
        for row in said:
            row[name] = row.pop(column)

    return edit


SAID, ASKED = "data/captions.csv", "data/questions.csv"
WRONG: dict[str, tuple[Edit, str]] = {
    "missing image": (
        at(3, image="images/1.png"),
        f"{SAID}, row 5: there is no image data/images/1.png; did you mean images/",
    ),
    "no image": (at(4, image=""), f"{SAID}, row 6: image is empty"),
    "no text": (at(4, text=" "), f"{SAID}, row 6: text is empty"),
    "decomposed text": (at(4, text=DECOMPOSED), rf"{SAID}, row 6: text is not in Unicode's form NFC: 'gru\u0308n'"),
    "unknown split": (at(0, split="tset"), f"{SAID}, row 2: unknown split 'tset'; did you mean test"),
    "no language": (at(0, language=""), f"{SAID}, row 2: language is empty"),
    "no code": (at(0, language="e n"), f"{SAID}, row 2: language 'e n' is no language code"),
    "a reserved word": (at(0, language="all"), f"{SAID}, row 2: language 'all' is no"),
    "twice": (
        lambda said, asked: said.append(dict(said[7])),
        f"{SAID}, row 113: the same image, language, text and split as in {SAID}, row 9",
    ),
    "leak": (
        at(0, image="images/36.png"),
        f"{SAID}, row 110: image images/36.png is in split 'test' and, in {SAID}, row 2, in split 'teacher'",
    ),
    "leak into questions": (
        ask(0, image="images/00.png"),
        f"{ASKED}, row 2: image images/00.png is in split 'validation' and, in {SAID}, row 2, in split 'teacher'",
    ),
    "no pivot": (
        drop(lambda row: row["image"] == "images/14.png" and row["language"] == "en"),
        f"{SAID}, row 44: the image has no caption in 'en'",
    ),
    "nothing to learn": (drop(lambda row: row["split"] == "distil"), f"{SAID}: no row of split 'distil'"),
    "empty split": (drop(lambda row: row["split"] == "validation"), f"{SAID}: no row of split 'validation'"),
    "language not scored": (
        drop(lambda row: row["split"] == "test" and row["language"] == "ru"),
        f"{SAID}: no row of split 'test' in 'ru'",
    ),
    "nothing parallel": (
        drop(lambda row: row["split"] == "test" and (row["image"] > "images/32.png") == (row["language"] == "ru")),
        "0 of them with captions in all of de, en, ru; consistency needs",
    ),
    "held back": (ask(3, answer=-1), f"{ASKED}, row 5: answer is -1, held back"),
    "answer outside": (ask(3, answer=3), f"{ASKED}, row 5: answer is 3, but options count from 0 to 2"),
    "answer in words": (ask(3, answer="b"), f"{ASKED}, row 5: answer is 'b', it must be a whole number"),
    "question twice": (
        lambda said, asked: asked.append(dict(asked[0])),
        f"{ASKED}, row 24: question 'q26' in 'ru' is in {ASKED}, row 2 already",
    ),
    "fewer options": (ask(1, options=["a", "b"]), f"{ASKED}, row 3: 2 options, the questions before have 3"),
    "one option": (ask(1, options=["a"]), f"{ASKED}, row 3: options has 1 entries"),
    "same options": (ask(1, options=["a", "a", "b"]), f"{ASKED}, row 3: options has an entry twice"),
    "empty option": (ask(1, options=["a", "", "b"]), f"{ASKED}, row 3: entry 1 (from 0) of options is empty"),
    "a number": (ask(1, options=["a", 1, "b"]), f"{ASKED}, row 3: entry 1 (from 0) of options is 1 (int)"),
    "options no list": (ask(1, options={"a": 1}), f"{ASKED}, row 3: options is {{'a': 1}}, it must be a list"),
    "half a character": (ask(1, options=["a", "\ud800", "b"]), "half of a surrogate"),
    "another answer": (
        ask(1, answer=1),
        f"{ASKED}, row 3: question 'q26' has answer 1 here and 0 in {ASKED}, row 2",
    ),
    "a question to train on": (
        ask(0, split="teacher"),
        f"{ASKED}, row 2: unknown split 'teacher'; known: test, validation",
    ),
    "not asked in test": (only(lambda row: row["split"] != "test"), "questions: none of split 'test' in 'de'"),
    "missing column": (rename("text", "caption"), f"{SAID}: column 'text' is missing"),
    "near column": (rename("language", "lang"), "column 'language' is missing; did you mean lang"),
    "no rows": (lambda said, asked: said.clear(), "column 'image' is missing"),
}


@pytest.mark.parametrize(("edit", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named(data: Path, edit: Edit, message: str) -> None:
    said, asked = captions(), questions()
    edit(said, asked)
    write_tables(data, said, asked)
    with pytest.raises(CorpusError) as raised:
        corpus("manifest").check(declared(), *known_languages("manifest", declared()))
    assert message in str(raised.value)
    assert all(line.startswith(("data/", "questions: ")) for line in str(raised.value).splitlines())


FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "not there": (lambda d: (d / "captions.csv").unlink(), "data/captions.csv: no such file in"),
    "empty": (lambda d: (d / "captions.csv").write_text(""), "column 'image' is missing"),
    "header only": (lambda d: (d / "captions.csv").write_text("image,language,text,split\n"), "it has no rows"),
    "short row": (
        lambda d: (d / "captions.csv").write_text("image,language,text,split\nimages/00.png,en\n"),
        "captions.csv, row 2: 2 cells, the header has 4",
    ),
    "open quote": (
        lambda d: (d / "captions.csv").write_text('image,language,text,split\nimages/00.png,en,"a,test\n'),
        "captions.csv, after row 1: no valid CSV",
    ),
    "latin-1": (
        lambda d: (d / "captions.csv").write_bytes("image,language,text,split\na,de,ü,test".encode("latin-1")),
        "not UTF-8",
    ),
    "column twice": (
        lambda d: (d / "captions.csv").write_text("image,image,language,text,split\n"),
        "'image' is there 2",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), FILES.values(), ids=FILES.keys())
def test_a_table_that_cannot_be_read_is_named(data: Path, spoil: Callable[[Path], Any], message: str) -> None:
    spoil(data)
    with pytest.raises(CorpusError) as raised:
        known_languages("manifest", declared())
    assert message in str(raised.value)


def test_parquet_that_is_not_whole_or_has_empty_values_is_named(data: Path) -> None:
    write_tables(data, captions(), questions(), "parquet")
    path = data / "captions.parquet"
    whole = path.read_bytes()
    for cut in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(CorpusError, match=r"data/captions\.parquet: not a whole parquet file"):
            known_languages("manifest", declared("parquet"))
    pd.DataFrame([*captions()[:4], {**captions()[4], "text": None}]).to_parquet(path)
    with pytest.raises(CorpusError, match=r"captions\.parquet, row 5: text is empty"):
        known_languages("manifest", declared("parquet"))
    with pytest.raises(CorpusError, match=r"data/captions\.tsv: the name must end in \.csv or \.parquet"):
        known_languages("manifest", declared(captions="data/captions.tsv"))


@pytest.mark.parametrize(("given", "meant"), [("train", "distil"), ("Training", "distil"), ("dev", "validation")])
def test_a_split_by_its_usual_name_is_told_what_it_is_called_here(data: Path, given: str, meant: str) -> None:
    rows = captions()
    rows[0]["split"] = given
    write_tables(data, rows, questions())
    with pytest.raises(CorpusError, match=rf"row 2: unknown split '{given}'; here it is called '{meant}', .*distil"):
        known_languages("manifest", declared())


def test_parquet_with_a_text_that_is_not_utf8_is_named_by_row(data: Path) -> None:
    rows = captions()
    written = [row["text"].encode() for row in rows]
    written[4] = "caf\u00e9".encode("latin-1")
    offsets = pa.array(written, pa.binary()).buffers()
    columns = {name: pa.array([row[name] for row in rows]) for name in ("image", "language", "split")}
    columns["text"] = pa.Array.from_buffers(pa.string(), len(rows), offsets)
    pq.write_table(pa.table(columns), data / "captions.parquet")
    with pytest.raises(CorpusError, match=r"captions\.parquet, row 5: a text is not UTF-8"):
        known_languages("manifest", declared("parquet"))


def test_pointers_of_git_lfs_are_named(data: Path, tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.example/spec/v1\noid sha256:0\nsize 3\n"
    (data / "images" / "14.png").write_bytes(pointer)
    with pytest.raises(CorpusError, match=r"14\.png\)? ?.*is a git-lfs pointer and not the file itself"):
        build(declared(), tmp_path / "out")
    (data / "captions.csv").write_bytes(pointer)
    with pytest.raises(CorpusError, match=r"captions\.csv is a git-lfs pointer"):
        known_languages("manifest", declared())


def test_a_spreadsheets_csv_is_read(data: Path) -> None:
    text = (data / "captions.csv").read_text()
    (data / "captions.csv").write_text("\ufeff" + text.replace("\n", "\r\n") + "\r\n\r\n", newline="")
    assert known_languages("manifest", declared())[0] == LANGUAGES


def test_languages_that_are_not_in_the_data_are_refused(data: Path) -> None:
    check = corpus("manifest").check
    with pytest.raises(CorpusError, match="languages: unknown language 'fr'"):
        check(declared(), ["en", "fr"], [])
    with pytest.raises(CorpusError, match="vqa_languages: unknown language 'en'"):
        check(declared(), ["en", "de"], ["en"])
    with pytest.raises(CorpusError, match="pivot: unknown language 'eng'; did you mean en"):
        check(declared(pivot="eng"), ["en", "de"], [])
    with pytest.raises(CorpusError, match="languages: 1 given"):
        check(declared(), ["en"], [])


@pytest.mark.parametrize("canvas", [None, 32])
def test_broken_and_repeated_images_are_named_while_building(data: Path, tmp_path: Path, canvas: int | None) -> None:
    wanted = declared(canvas=canvas)
    good = (data / "images" / "30.png").read_bytes()
    (data / "images" / "30.png").write_bytes(good[: len(good) // 2])
    with pytest.raises(CorpusError, match=r"captions\.csv, row 92: image data/images/30\.png cannot be decoded"):
        build(wanted, tmp_path / "cut")
    (data / "images" / "30.png").write_text("a page that says 404")
    with pytest.raises(CorpusError, match=r"captions\.csv, row 92: image data/images/30\.png cannot be decoded"):
        build(wanted, tmp_path / "text")
    (data / "images" / "30.png").write_bytes((data / "images" / "02.png").read_bytes())
    with pytest.raises(CorpusError, match=r"row 92: .*'validation' is the same file as in .*row 8 .*'teacher'"):
        build(wanted, tmp_path / "twice")


# Images --------------------------------------------------------------------------------------------------------------


def picture(tmp_path: Path, image: Image.Image, name: str = "x.png", canvas: int = 8, **options: Any) -> np.ndarray:
    image.save(tmp_path / name, **options)
    return load(str(tmp_path / name), canvas, ROW)


def test_the_shorter_side_fits_and_the_middle_is_kept(tmp_path: Path) -> None:
    wide = np.zeros((8, 24, 3), dtype=np.uint8)
    wide[:, 8:16] = (10, 20, 30)
    assert (picture(tmp_path, Image.fromarray(wide)) == (10, 20, 30)).all()
    assert (picture(tmp_path, Image.fromarray(wide.transpose(1, 0, 2))) == (10, 20, 30)).all()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 20, 3)).astype(np.uint8))
    expected = noise.resize((8, 12), Image.Resampling.BICUBIC).crop((0, 2, 8, 10))
    np.testing.assert_array_equal(picture(tmp_path, noise), np.asarray(expected))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (7, 9)])
def test_any_shape_becomes_a_square(tmp_path: Path, size: tuple[int, int]) -> None:
    assert (picture(tmp_path, Image.new("RGB", size, (9, 9, 9))) == 9).all()


def test_modes_become_rgb(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert (picture(tmp_path, clear) == 255).all()
    assert (picture(tmp_path, Image.new("RGBA", (8, 8), (255, 0, 0, 128))) == (255, 127, 127)).all()
    assert (picture(tmp_path, Image.new("LA", (8, 8), (0, 0))) == 255).all()
    palette = Image.new("RGB", (8, 8), (10, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert (picture(tmp_path, palette) == (10, 200, 30)).all()
    assert (picture(tmp_path, palette, transparency=palette.getpixel((0, 0))) == 255).all()
    assert (picture(tmp_path, Image.new("1", (8, 8), 1)) == 255).all()
    deep = Image.fromarray(np.full((8, 8), 0x8080, dtype=np.uint16))
    assert (picture(tmp_path, deep) == 0x80).all()
    cmyk = picture(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "x.jpg", quality=95).astype(int)
    assert (abs(cmyk - (255, 0, 0)) <= 6).all()
    with pytest.raises(CorpusError, match=r"row 2: image .* mode 'F': save it with 8 bits"):
        picture(tmp_path, Image.new("F", (8, 8)), "x.tiff")


def test_exif_turns_the_picture(tmp_path: Path) -> None:
    left = np.zeros((8, 8, 3), dtype=np.uint8)
    left[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: left becomes top
    turned = picture(tmp_path, Image.fromarray(left), exif=exif)
    assert (turned[:4] == 255).all()
    assert (turned[4:] == 0).all()


@pytest.mark.parametrize("limit", [40, 63])
def test_an_image_beyond_pillows_limit_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    Image.new("RGB", (8, 12)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(CorpusError, match=r"captions\.csv, row 2: image .*x\.png is too large"):
        load(str(tmp_path / "x.png"), 8, ROW)


# Free-form input -----------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), max_size=12)


@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_a_csv_or_is_refused(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    pd.DataFrame(rows, columns=["a", "b"]).to_csv(tmp_path / "x.csv", index=False)
    read = list(read_rows(str(tmp_path / "x.csv"), ["b", "a"]))
    assert [(row.values["a"], row.values["b"]) for row in read] == rows
    for row, (text, _) in zip(read, rows, strict=True):
        if text.strip() and unicodedata.is_normalized("NFC", text):
            assert row.text("a") == text.strip()
        else:
            with pytest.raises(CorpusError, match=f"x.csv, row {row.number}: a is"):
                row.text("a")


@given(content=st.binary(max_size=200), place=st.integers(0, 400))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_images_are_pixels_or_one_clear_error(tmp_path: Path, content: bytes, place: int) -> None:
    for kind in ("PNG", "JPEG", "GIF"):
        stream = io.BytesIO()
        Image.new("RGB", (9, 9), (1, 2, 3)).save(stream, kind)
        damaged = bytearray(stream.getvalue())
        damaged[place : place + len(content)] = content
        (tmp_path / "x").write_bytes(damaged)
        try:
            pixels = load(str(tmp_path / "x"), 8, ROW)
        except CorpusError:
            continue
        assert pixels.shape == (8, 8, 3)


# The declaration -----------------------------------------------------------------------------------------------------


def params(folder: Path, **changes: Any) -> Path:
    raw = YAML(typ="safe", pure=True).load(ROOT / "studies" / "smoke" / "params.yaml")
    tables = {"captions": "data/captions.csv", "questions": "data/questions.csv"}
    raw["corpus"] = {"name": "manifest", "settings": tables, **changes}
    raw["root"] = os.path.relpath(ROOT, folder)
    YAML().dump(raw, folder / "params.yaml")
    return folder / "params.yaml"


def test_params_are_read_from_anywhere_and_all_is_spelled_out(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = params(data.parent)
    monkeypatch.chdir("/")
    loaded = load_params(path)
    assert Path.cwd() == Path("/")
    monkeypatch.chdir(path.parent)
    assert resolved_languages(loaded.corpus) == (["de", "en", "ru"], ["de", "ru"])
    plan = validate.plans(loaded)["corpus"]
    assert (plan["languages"], plan["vqa_languages"]) == (["de", "en", "ru"], ["de", "ru"])
    assert plan["settings"]["captions"] == "data/captions.csv"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"languages": ["en", "dee"]}, "unknown language 'dee' in corpus.languages; did you mean 'de'"),
        ({"vqa_languages": ["en"]}, "unknown language 'en' in corpus.vqa_languages"),
        ({"settings": {"captions": "data/caption.csv"}}, "corpus: data/caption.csv: no such file"),
        ({"settings": {"caption": "x"}}, "did you mean 'captions'"),
    ],
)
def test_a_declaration_that_does_not_fit_the_data_is_refused(data: Path, changes: dict[str, Any], message: str) -> None:
    path = params(data.parent, **changes)
    with pytest.raises(ParamsError) as raised:
        load_params(path)
    assert message in str(raised.value)


def test_data_that_changed_under_a_prepared_corpus_are_noticed(data: Path) -> None:
    loaded = load_params(params(data.parent))
    build(declared(licence="not stated", attribution="not stated"), data.parent / "corpus")
    validate.check_fresh(loaded)
    with (data / "captions.csv").open("a") as table:
        table.write("images/00.png,en,more,teacher\n")
    with pytest.raises(StageError, match=r"data/captions\.csv has changed .*corpus\.settings\.revision"):
        validate.check_fresh(loaded)
    tables = {**loaded.corpus.settings, "revision": "2"}
    validate.check_fresh(load_params(params(data.parent, settings=tables)))


# From data to scores -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [True, False])
def test_a_miniature_of_the_study(data: Path, tmp_path: Path, asked: bool) -> None:
    rows = [row for row in questions() if (row["question"], row["language"]) != ("q33", "ru")]
    write_tables(data, captions(), rows)
    made = build(declared() if asked else declared(questions=None), tmp_path / "out")
    cpu, schedule = torch.device("cpu"), Schedule(steps=3, batch=6, learning_rate=1e-3)
    spec = TeacherSpec(family="clip", model="polyglot-s-p8-32", vocabulary=400, context=24, training=schedule)
    teacher = train_teacher(spec, made, cpu)[0].requires_grad_(False)
    write_embeddings(teacher, made, tmp_path / "embeddings", cpu, layers=False)
    config = StudentConfig("clip", "full", 1.0, 0, {"ed": {}}, StudentSpec(training=schedule))
    student, _, _ = distil(config, teacher, made, tmp_path / "embeddings", cpu)
    scores = evaluate("x", student, made, images_of(teacher, made, "test", cpu), "test", cpu)
    assert set(scores.retrieval["language"]) == set(scores.consistency["language"]) == set(LANGUAGES)
    counts = scores.vqa["language"].value_counts().to_dict()
    assert counts == ({"de": 6, "ru": 5} if asked else {})
