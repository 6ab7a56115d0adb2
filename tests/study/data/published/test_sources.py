"""Every data set is read as its publisher writes it, and what is wrong in it is named by file and row."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from study.data import CorpusError
from study.data.published.hub import read_rows, split_files
from study.data.published.registry import CAPTION_SOURCES, caption_source
from study.data.published.sources import Part
from tests.study.data import data_sets
from tests.study.data.data_sets import COCO_LANGUAGES, Shot, photograph, shots

XM = ("ar", "en", "fil", "he", "ja", "quz")
XTD = ("de", "en", "es", "fr", "it", "ja", "ko", "pl", "ru", "tr", "zh")
NAME = "COCO_train2014_{:012}.jpg"


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder is a study's."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def crossmodal(folder: Path) -> tuple[Part, list[Shot]]:
    images = shots(0, 5, XM)
    data_sets.write_crossmodal3600(folder, images)
    return Part(source="crossmodal3600", path=folder.name), images


def crossmodal_hub(folder: Path) -> tuple[Part, list[Shot]]:
    images = shots(0, 5, XM)
    data_sets.write_crossmodal3600_hub(folder, images)
    return Part(source="crossmodal3600", hub=folder.name, revision="abc"), images


def xtd10(folder: Path) -> tuple[Part, list[Shot]]:
    images = shots(0, 5, XTD, captions=1, key=NAME)
    data_sets.write_xtd10(folder, images)
    return Part(source="xtd10", path=folder.name), images


def multi30k(folder: Path) -> tuple[Part, list[Shot]]:
    images = shots(5, 4, ("cs", "de", "en", "fr"), captions=1, key="{}.jpg")
    coco = shots(20, 3, ("de", "en", "fr"), captions=1, key=NAME + "#12")
    data_sets.write_multi30k(folder, {"train": images, "test_2017_mscoco": coco})
    return Part(source="multi30k", path=folder.name), images


def multi30k_hub(folder: Path) -> tuple[Part, list[Shot]]:
    images = shots(0, 5, ("cs", "de", "en", "fr"), captions=1, key="{}")
    data_sets.write_multi30k_hub(folder, {"train": shots(9, 3, ("cs", "de", "en", "fr")), "validation": images})
    renamed = [Shot(str(n), shot.content, shot.captions) for n, shot in enumerate(images, start=1)]
    return Part(source="multi30k", hub=folder.name, revision="abc", split="val"), renamed


def coco(folder: Path) -> tuple[Part, list[Shot]]:
    images = shots(10, 5, COCO_LANGUAGES, captions=3, key="{}")
    data_sets.write_multilingual_coco(folder, {"train": shots(0, 4, ("en",), key="{}"), "val": images})
    return Part(source="multilingual_coco", path=folder.name, split="val"), images


def coco_hub(folder: Path) -> tuple[Part, list[Shot]]:
    part, images = coco(folder)
    return Part(source="multilingual_coco", hub=part.path, revision="abc", split="val"), images


def webdataset(folder: Path) -> tuple[Part, list[Shot]]:
    images = shots(0, 5, ("de", "en"), key="{:09}")
    data_sets.write_webdataset(folder, images)
    return Part(source="webdataset", path=f"{folder.name}/{{00000..00001}}.tar"), images


MAKERS: dict[str, Callable[[Path], tuple[Part, list[Shot]]]] = {
    made.__name__: made
    for made in (crossmodal, crossmodal_hub, xtd10, multi30k, multi30k_hub, coco, coco_hub, webdataset)
}


def test_every_registered_source_is_read_here() -> None:
    assert {make(Path("x") / name)[0].source for name, make in MAKERS.items()} == set(CAPTION_SOURCES)


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_read_is_what_was_published(study: Path, name: str) -> None:
    part, images = MAKERS[name](study / "data")
    source = caption_source(part.source)
    languages = list(images[0].captions)
    assert set(languages) <= set(source.languages(part))
    read = list(source.items(part, languages))
    assert [item.image.key for item in read] == [shot.key for shot in images]
    assert [item.image.read() for item in read] == [shot.content for shot in images]
    assert [dict(item.captions) for item in read] == [dict(shot.captions) for shot in images]
    assert source.count(part) == len(images)
    some = list(source.items(part, languages[:1]))
    assert [list(item.captions) for item in some] == [languages[:1]] * len(images)
    assert not any(Path(table).is_absolute() for table in source.tables(part))
    with pytest.raises(CorpusError, match=rf"{part.source}: unknown split 'tset'; "):
        list(source.items(part.model_copy(update={"split": "tset"}), languages))


@pytest.mark.parametrize("name", ["crossmodal", "xtd10", "multi30k", "webdataset"])
def test_languages_of_a_folder_are_those_of_its_files(study: Path, name: str) -> None:
    part, images = MAKERS[name](study / "data")
    assert sorted(caption_source(part.source).languages(part)) == sorted(images[0].captions)


@pytest.mark.parametrize("name", CAPTION_SOURCES)
def test_records_are_whole(name: str) -> None:
    record = caption_source(name).record
    assert record.name == name
    assert all((record.description, record.source, record.revision, record.in_domain, record.how, record.licences))
    assert all(licence.covers and licence.name and licence.attribution for licence in record.licences)
    assert set(record.disk) <= set(caption_source(name).splits)
    assert not any(language != language.lower() for language in record.languages)


def test_the_cocos_of_multi30k_and_older_codes_are_found(study: Path) -> None:
    part, _ = multi30k(study / "data")
    source = caption_source("multi30k")
    other = part.model_copy(update={"split": "test_2017_mscoco"})
    assert source.languages(other) == ("de", "en", "fr")
    assert [item.image.read() for item in source.items(other, ["de"])] == [photograph(n) for n in (20, 21, 22)]
    with pytest.raises(CorpusError, match="split 'test_2018_flickr' is not on the hub; there are train, val"):
        source.count(Part(source="multi30k", hub="data", revision="a", split="test_2018_flickr"))


@pytest.mark.parametrize("name", ["coco_hub", "multi30k_hub"])
def test_rows_of_a_repository_are_those_that_the_library_reads(study: Path, name: str) -> None:
    import datasets

    MAKERS[name](study / "data")
    split = {"coco_hub": "val", "multi30k_hub": "validation"}[name]
    loaded = datasets.load_dataset("data", split=split, cache_dir=str(study / "cache"))
    columns = loaded.column_names
    if isinstance(loaded.features["image"], datasets.Image):
        loaded = loaded.cast_column("image", datasets.Image(decode=False))
    rows = [dict(row.values) for row in read_rows(split_files("data", None, split), columns)]
    assert rows == loaded.to_list()


def test_samples_of_shards_are_those_that_the_library_reads(study: Path) -> None:
    import datasets

    part, _ = webdataset(study / "data")
    shards = sorted(str(path) for path in (study / "data").glob("*.tar"))
    loaded = datasets.load_dataset("webdataset", data_files=shards, split="train", streaming=True)
    loaded = loaded.cast_column("jpg", datasets.Image(decode=False))
    ours = caption_source("webdataset").items(part, ["de", "en"])
    for item, theirs in zip(ours, loaded, strict=True):
        assert item.image.key == theirs["__key__"]
        assert item.image.read() == theirs["jpg"]["bytes"]
        assert {code: list(texts) for code, texts in item.captions.items()} == theirs["json"]["captions"]


# Shards --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern", ["data", "data/*.tar", "data/0000[01].tar", "data/{00000,00001}.tar", "./data/0000{0..1}.tar"]
)
def test_shards_are_named_in_any_way(study: Path, pattern: str) -> None:
    _, images = webdataset(study / "data")
    found = list(caption_source("webdataset").items(Part(source="webdataset", path=pattern), ["en"]))
    assert [item.image.key for item in found] == [shot.key for shot in images]


def sample(members: Sequence[tuple[str, bytes]], language: str | None = None) -> list[dict[str, list[str]]]:
    data_sets.write_tar(Path("x.tar"), members)
    part = Part(source="webdataset", path="x.tar", language=language)
    source = caption_source("webdataset")
    return [dict(item.captions) for item in source.items(part, source.languages(part))]  # type: ignore[arg-type]


def test_captions_stand_in_text_files_or_in_json() -> None:
    photo = photograph(0)
    assert sample([("a/1.JPG", photo), ("a/1.txt", b"cat")], "en") == [{"en": ["cat"]}]
    assert sample([("1.webp", photo), ("1.de.txt", b"Katze"), ("1.en.txt", b"cat"), ("1.cls", b"3")]) == [
        {"de": ["Katze"], "en": ["cat"]}
    ]
    said = json.dumps({"caption": "passed over", "captions": {"en": "cat", "de": ["Katze", "Tier"]}}).encode()
    assert sample([("1.png", photo), ("1.json", said), ("1.txt", b"a cat")], "en") == [
        {"de": ["Katze", "Tier"], "en": ["cat", "a cat"]}
    ]
    assert sample([("1.png", photo), ("1.de.txt", b"Katze"), ("2.png", photo)]) == [{"de": ["Katze"]}, {}]


SHARDS: dict[str, tuple[Sequence[tuple[str, bytes]], str]] = {
    "caption without image": ([("1.en.txt", b"cat")], r"x\.tar, sample 1: 0 images, there must be one; .* 1\.en\.txt"),
    "two images": ([("1.jpg", b"x"), ("1.png", b"x"), ("1.en.txt", b"c")], r"x\.tar, sample 1: 2 images"),
    "key twice": (
        [("1.jpg", b"x"), ("1.en.txt", b"c"), ("2.jpg", b"x"), ("1.de.txt", b"c")],
        r"x\.tar, sample 1: this key is in the shard already",
    ),
    "dots in keys": (
        [("a.b.jpg", b"x"), ("a.b.en.txt", b"c"), ("a.c.jpg", b"x")],
        r"x\.tar, sample a: a\.b\.jpg: a key ends at the first dot",
    ),
    "no captions": ([("1.jpg", b"x"), ("1.txt", b"c")], r"x\.tar: no captions in .*says which `language`"),
    "latin-1": ([("1.jpg", b"x"), ("1.de.txt", "ü".encode("latin-1"))], r"x\.tar, 1\.de\.txt: not UTF-8"),
    "no json": ([("1.jpg", b"x"), ("1.json", b'{"captions"')], r"x\.tar, 1\.json: no JSON"),
    "json list": ([("1.jpg", b"x"), ("1.json", b"[1]")], r"x\.tar, 1\.json: captions must be an object"),
    "number": ([("1.jpg", b"x"), ("1.json", b'{"captions": {"en": 3}}')], r"must be a text or a list of texts, not 3"),
    "no code": ([("1.jpg", b"x"), ("1.e!.txt", b"c")], r"x\.tar, 1\.e!\.txt: 'e!' is no language code"),
}


@pytest.mark.parametrize(("members", "message"), SHARDS.values(), ids=SHARDS.keys())
def test_what_is_wrong_in_a_shard_is_named(members: Sequence[tuple[str, bytes]], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        sample(members)


def test_hidden_files_are_passed_over_and_codes_kept_as_written() -> None:
    members = [("1.jpg", photograph(0)), ("1.pt-BR.TXT", b"gato"), ("1.JSON", b'{"captions": {"zh-Hant": "c"}}')]
    hidden = [(f"./._{name}", b"\0\5\x16\7") for name, _ in members]
    mixed = [file for pair in zip(hidden, members, strict=True) for file in pair]
    assert sample([*mixed, ("./.DS_Store", b"x")]) == [{"pt-BR": ["gato"], "zh-Hant": ["c"]}]


def test_languages_are_those_of_all_shards_and_keys_may_restart_in_each() -> None:
    data_sets.write_tar(Path("0.tar"), [("1.jpg", photograph(0)), ("1.en.txt", b"cat")])
    data_sets.write_tar(Path("1.tar"), [("1.jpg", photograph(1)), ("1.en.txt", b"dog"), ("1.de.txt", b"Hund")])
    source, part = caption_source("webdataset"), Part(source="webdataset", path="{0,1}.tar")
    assert source.languages(part) == ("de", "en")
    read = list(source.items(part, ("de", "en")))
    assert [dict(item.captions) for item in read] == [{"en": ["cat"]}, {"en": ["dog"], "de": ["Hund"]}]
    assert [item.image.read() for item in read] == [photograph(0), photograph(1)]


@pytest.mark.parametrize(
    ("pack", "name", "command"),
    [(gzip.compress, "gzip", "gunzip"), (bz2.compress, "bzip2", "bunzip2"), (lzma.compress, "xz", "unxz"),
     (lambda content: b"\x28\xb5\x2f\xfd" + content, "zstd", "unzstd")],
)  # fmt: skip
def test_a_compressed_shard_is_refused_with_the_command_that_unpacks_it(
    pack: Callable[[bytes], bytes], name: str, command: str
) -> None:
    data_sets.write_tar(Path("x.tar"), [("1.jpg", photograph(0)), ("1.en.txt", b"cat")])
    Path("x.tar").write_bytes(pack(Path("x.tar").read_bytes()))
    source = caption_source("webdataset")
    with pytest.raises(CorpusError, match=rf"x\.tar: compressed with {name}; .* `{command}` it first"):
        source.languages(Part(source="webdataset", path="x.tar"))
    Path("x.tar").rename("x.tar.gz")
    with pytest.raises(CorpusError, match=r"there is no shard \*\.tar; unpack x\.tar\.gz and its like first"):
        source.languages(Part(source="webdataset", path="*.tar"))


def test_a_shard_that_is_cut_anywhere_is_refused(study: Path) -> None:
    part, _ = webdataset(study / "data")
    shard = study / "data" / "00000.tar"
    whole = shard.read_bytes()
    end = len(whole.rstrip(b"\0"))
    for cut in [0, 1, 511, 513, 700, 1024, *range(1500, end, 1777), end - 1, end]:
        shard.write_bytes(whole[:cut])
        with pytest.raises(CorpusError, match=r"^data/00000\.tar: not a whole tar, (after|it ends within) "):
            list(caption_source("webdataset").items(part, ["en"]))
    shard.write_bytes(whole[:1536] + b"\1" * 512 + whole[2048:])
    with pytest.raises(CorpusError, match=r"data/00000\.tar: not a whole tar, after"):
        list(caption_source("webdataset").items(part, ["en"]))


def test_an_image_that_is_cut_off_after_it_was_listed_is_refused(study: Path) -> None:
    part, _ = webdataset(study / "data")
    item = next(iter(caption_source("webdataset").items(part, ["en"])))
    (study / "data" / "00000.tar").write_bytes((study / "data" / "00000.tar").read_bytes()[:600])
    with pytest.raises(CorpusError, match=r"data/00000\.tar: not a whole tar, it ends within 000000000\.jpg"):
        item.image.read()


# What is wrong -------------------------------------------------------------------------------------------------------


def edit_line(path: str, row: int, change: Callable[[dict[str, Any]], Any]) -> Callable[[], None]:
    def spoil() -> None:
        lines = Path(path).read_text().splitlines()
        value = json.loads(lines[row - 1])
        change(value)
        lines[row - 1] = json.dumps(value)
        Path(path).write_text("\n".join(lines))

    return spoil


def replace(path: str, old: bytes, new: bytes) -> Callable[[], None]:
    return lambda: (Path(path).write_bytes(Path(path).read_bytes().replace(old, new, 1)), None)[1]


def cut(path: str, size: int) -> Callable[[], None]:
    return lambda: (Path(path).write_bytes(Path(path).read_bytes()[:size]), None)[1]


def gz(path: str, text: str) -> Callable[[], None]:
    return lambda: (Path(path).write_bytes(gzip.compress(text.encode())), None)[1]


JSONL = "data/captions.jsonl"
NAMES = "data/XTD10/test_image_names.txt"
RAW, LISTED = "data/data/task1/raw/train.de.gz", "data/data/task1/image_splits/train.txt"
SHARD = "data/data/val-00000-of-00002.parquet"
WRONG: list[tuple[str, Callable[[], Any], str]] = [
    ("crossmodal", lambda: Path(JSONL).unlink(), rf"there is no file {JSONL}"),
    ("crossmodal", cut(JSONL, 2000), rf"{JSONL}, row 2: no JSON, the file is not whole"),
    (
        "crossmodal",
        lambda: Path("data/images", f"{1:016x}.jpg").rename("data/images/1.jpg"),
        rf"{JSONL}, row 2: there is no image data/images/0+1\.jpg; did you mean data/images/0",
    ),
    (
        "crossmodal",
        edit_line(JSONL, 3, lambda v: v.update({"image/key": f"{0:016x}"})),
        rf"{JSONL}, row 3: image '0+' is in {JSONL}, row 1 already",
    ),
    ("crossmodal", edit_line(JSONL, 3, lambda v: v.pop("image/key")), rf"{JSONL}, row 3: there is no image/key"),
    (
        "crossmodal",
        edit_line(JSONL, 4, lambda v: v["en"].update(caption="x")),
        rf"{JSONL}, row 4: en\.caption must be a list",
    ),
    ("xtd10", lambda: Path(NAMES).unlink(), rf"there is no file {NAMES}"),
    (
        "xtd10",
        replace("data/STAIR/test_1kcaptions_jp.txt", b"\n", b" "),
        rf"data/STAIR/test_1kcaptions_jp\.txt has 4 lines and {NAMES} has 5: .*row 5 is the first",
    ),
    (
        "xtd10",
        replace("data/XTD10/test_1kcaptions_es.txt", b"\r\n", b"\r\n\r\n"),
        r"data/XTD10/test_1kcaptions_es\.txt, row 2: the line is empty",
    ),
    (
        "xtd10",
        replace("data/XTD10/test_1kcaptions_ru.txt", b"\r\n", b"\r\n\xff"),
        r"data/XTD10/test_1kcaptions_ru\.txt, row 2: not UTF-8",
    ),
    (
        "xtd10",
        replace(NAMES, NAME.format(1).encode(), NAME.format(0).encode()),
        rf"{NAMES}, row 2: image '.*' is in row 1 already",
    ),
    (
        "xtd10",
        lambda: Path("data/images", NAME.format(3)).unlink(),
        rf"{NAMES}, row 4: there is no image data/images/.*003\.jpg \(nor in train2014, val2014\)",
    ),
    ("multi30k", cut(RAW, 30), rf"{RAW}: not a whole gzip file"),
    ("multi30k", cut(RAW, 5), rf"{RAW}: not a whole gzip file"),
    ("multi30k", gz(RAW, "a\nb\nc\n"), rf"{RAW} has 3 lines and {LISTED} has 4"),
    ("multi30k", gz(RAW, "a\n \nc\nd\n"), rf"{RAW}, row 2: the line is empty"),
    ("multi30k", lambda: Path("data/images/7.jpg").unlink(), rf"{LISTED}, row 3: there is no image data/images/7\.jpg"),
    ("coco", cut(SHARD, 2000), rf"{SHARD}, after row 0: not a whole parquet file"),
    (
        "coco",
        lambda: Path(SHARD).write_text("version https://git-lfs"),
        rf"{SHARD} is a git-lfs pointer and not the file itself",
    ),
    (
        "crossmodal_hub",
        cut("data/data/ja-00000-of-00001.parquet", 900),
        r"data/data/ja-00000-of-00001\.parquet, after row 0: not a whole",
    ),
]


@pytest.mark.parametrize(("name", "spoil", "message"), WRONG, ids=[f"{row[0]}-{n}" for n, row in enumerate(WRONG)])
def test_what_is_wrong_is_named(study: Path, name: str, spoil: Callable[[], Any], message: str) -> None:
    part, images = MAKERS[name](study / "data")
    spoil()
    with pytest.raises(CorpusError, match=message) as raised:
        list(caption_source(part.source).items(part, list(images[0].captions)))
    assert "\n" not in str(raised.value)


def rewritten(column: str, row: int, value: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(SHARD)
    values = table.column(column).to_pylist()
    values[row - 1] = value
    at = table.column_names.index(column)
    pq.write_table(table.set_column(at, column, pa.array(values, table.schema.field(column).type)), SHARD)


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("cocoid", 2, 10, rf"{SHARD}, row 2: image '10' is in {SHARD}, row 1 already"),
        ("image", 3, None, rf"{SHARD}, row 3: image has no bytes: the image is missing"),
        ("image", 1, {"bytes": b"", "path": "x"}, rf"{SHARD}, row 1: image has no bytes"),
    ],
)
def test_what_is_wrong_in_a_row_of_parquet_is_named(
    study: Path, column: str, row: int, value: Any, message: str
) -> None:
    part, _ = coco(study / "data")
    rewritten(column, row, value)
    with pytest.raises(CorpusError, match=message):
        list(caption_source("multilingual_coco").items(part, ["en"]))


def test_a_caption_without_its_image_is_named_on_the_hub_as_well(study: Path) -> None:
    import pyarrow.parquet as pq

    part, images = crossmodal_hub(study / "data")
    file = "data/data/ar-00000-of-00001.parquet"
    pq.write_table(pq.read_table(file).slice(0, 4), file)
    with pytest.raises(CorpusError, match=rf"data@abc: image '{images[4].key}' has captions, but is not in {file}"):
        list(caption_source("crossmodal3600").items(part, XM))
    assert len(list(caption_source("crossmodal3600").items(part, XM[:1]))) == 4


def test_a_repository_that_cannot_be_had_or_is_of_another_kind_is_named(study: Path) -> None:
    part, _ = coco(study / "data")
    source = caption_source("multilingual_coco")
    with pytest.raises(CorpusError, match=r"data set data has no split 'test'.*Allowed: train, val"):
        source.count(part.model_copy(update={"split": "test"}))
    away = Part(source="multilingual_coco", hub="nobody/no-such-data", revision="123abc")
    with pytest.raises(CorpusError, match="data set nobody/no-such-data at commit 123abc cannot be downloaded: "):
        source.count(away)
    with pytest.raises(CorpusError, match="there is no folder daten"):
        source.languages(Part(source="multilingual_coco", path="daten"))
    Path(SHARD).rename("data/data/val-00000-of-00002.csv")
    with pytest.raises(CorpusError, match=r"cannot be downloaded|is no parquet file"):
        source.count(part)


def test_a_column_that_is_missing_is_named(study: Path) -> None:
    part, _ = coco(study / "data")
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(SHARD).drop_columns(["cn"]), SHARD)
    source = caption_source("multilingual_coco")
    assert "zh" not in source.languages(part)
    with pytest.raises(CorpusError, match=rf"{SHARD}: column 'cn' is missing"):
        list(source.items(part, ["zh"]))


def test_an_unknown_source_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(CorpusError, match=r"unknown source of captions 'xm3600'.*Allowed: crossmodal3600"):
        caption_source("xm3600")
