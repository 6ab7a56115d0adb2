"""Files that corpora are made from: tables, images, shards, questions, and the prepared corpus itself."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from study.data import PreparedCorpus, corpus, known_languages
from study.data.pictures import Fit, decode
from study.data.prepared import ImageSet
from tests.fuzzing import bytewise, treewise
from tests.fuzzing.inputs import Kind, Later, json_lines, json_tree, raw, text
from tests.study import tiny
from tests.study.data import data_sets, question_sets
from tests.study.data.manifest import test_manifest

LANGUAGES = ("de", "en", "ja")
TESTED = ["de", "en"]
OUT = Path("prepared")
"""The corpus that a reader makes, in the folder of its kind."""


def prepared(name: str, settings: Mapping[str, Any], languages: list[str], asked: list[str]) -> Later:
    """Check and build a corpus as `validate` and `prepare` do; then read all of it."""
    found = corpus(name)
    declared = found.Settings.model_validate(dict(settings))
    known_languages(name, declared)
    if found.needs is not None:
        found.needs(declared)
    found.check(declared, languages, asked)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    found.build(declared, languages, asked, OUT, Path("cache"), lambda step, done: None)
    return read_all


def read_all() -> None:
    made = PreparedCorpus(OUT)
    made.verify()
    for name in made.card.images:
        pictures = made.pictures(cast("ImageSet", name))
        for mode in ("crop", "squash", "pad"):
            pictures.read(range(len(pictures)), Fit(16, mode=mode))


def _manifest(settings: Mapping[str, Any]) -> Callable[[], Later]:
    return lambda: prepared("manifest", settings, TESTED, ["de"] if "questions" in settings else [])


def _published(**settings: Any) -> Callable[[], Later]:
    parts = {"distil": COCO, "validation": {**COCO, "split": "val"}, "test": XM3600, **settings}
    return lambda: prepared("published", parts, TESTED, ["en"] if "questions" in settings else [])


COCO = {"source": "multilingual_coco", "path": "coco", "split": "train"}
XM3600 = {"source": "crossmodal3600", "path": "xm3600"}


def write_manifest(folder: Path) -> None:
    test_manifest.write_images(folder)
    for name, rows in (("captions", test_manifest.captions()), ("questions", test_manifest.questions())):
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet", row_group_size=10)
        shown = [{key: json.dumps(v) if isinstance(v, list) else v for key, v in row.items()} for row in rows]
        test_manifest.pd.DataFrame(shown).to_csv(folder / f"{name}.csv", index=False)


def write_published(folder: Path) -> None:
    shot = data_sets.shots
    splits = {"train": shot(0, 6, LANGUAGES, key="{}"), "val": shot(10, 4, LANGUAGES, key="{}")}
    data_sets.write_multilingual_coco(folder / "coco", splits)
    data_sets.write_crossmodal3600(folder / "xm3600", shot(20, 5, LANGUAGES))
    data_sets.write_webdataset(folder / "shards", shot(30, 5, LANGUAGES), shards=1)
    data_sets.write_multi30k(folder / "multi30k", {"train": shot(40, 5, LANGUAGES, captions=1, key="{}.jpg")})
    data_sets.write_xtd10(folder / "xtd10", shot(50, 5, LANGUAGES, key="{}.jpg"))
    question_sets.write_cvqa(folder / "cvqa", question_sets.cvqa_rows(8, held_back=False), shards=1)
    (folder / "xgqa").mkdir()
    question_sets.write_xgqa(folder / "xgqa")
    (folder / "maxm").mkdir()
    question_sets.write_maxm(folder / "maxm")


def rows(random: Random, content: bytes) -> bytes:
    """Parquet whose rows hold something else, as other writers and other types make it; sometimes no parquet."""
    if random.random() < 0.6:
        return raw(random, content)
    table = pq.read_table(io.BytesIO(content))
    try:
        changed = pa.Table.from_pylist(treewise.mutate(random, table.to_pylist()))
        stream = io.BytesIO()
        pq.write_table(changed, stream)
    except (pa.ArrowException, OverflowError, TypeError, ValueError, AttributeError):  # no parquet holds such rows
        return raw(random, content)
    return stream.getvalue()


NAMES = (
    "../x.jpg",
    "/x.jpg",
    "x.y.jpg",
    "x",
    ".x.jpg",
    "a/b.jpg",
    "x.JPG",
    "x.jpg.jpg",
    "é.jpg",
    "x" * 300 + ".jpg",
    "",
)


def shard(random: Random, content: bytes) -> bytes:
    """A tar with other members, names, types and lengths; sometimes no tar."""
    if random.random() < 0.4:
        return raw(random, content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = [(entry, archive.extractfile(entry).read()) for entry in archive]  # type: ignore[union-attr]
    for _ in range(random.choice((1, 1, 2))):
        place = random.randrange(len(members))
        entry, inside = members[place]
        what = random.randrange(7)
        if what == 0:
            entry.name = random.choice((*NAMES, entry.name.replace(".", "..", 1), members[0][0].name))
        elif what == 1:
            inside = json_tree(random, inside) if entry.name.endswith("json") else bytewise.mutate(random, inside)
        elif what == 2:
            entry.type = random.choice(
                (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, b"S", b"Z")
            )
            entry.linkname = random.choice(("/etc/passwd", members[0][0].name, ""))
        elif what == 3:
            members.append(members[place])
        elif what == 4:
            random.shuffle(members)
            continue
        elif what == 5:
            entry.pax_headers = {
                "comment": "x" * random.choice((1, 5000)),
                "size": random.choice(("0", "-1", "99999", "x")),
            }
        else:
            del members[place]
            if not members:
                break
            continue
        members[place] = (entry, inside)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=random.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))) as out:
        for entry, inside in members:
            entry.size = len(inside) if entry.isreg() else 0
            out.addfile(entry, io.BytesIO(inside))
    return stream.getvalue()


def write_image(kind: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        picture = Image.fromarray(tiny.scene((0, 1))).resize((24, 20))
        modes = {"GIF": "P", "TIFF": "I;16"}
        if kind in ("PNG", "WEBP"):
            picture = picture.convert("RGBA")
        elif kind in modes:
            picture = picture.convert("L").convert(modes[kind])
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.save(folder / "image", kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {}))

    return write


def read_image() -> Later:
    picture = decode(Path("image").read_bytes())

    def later() -> None:
        for mode in ("crop", "squash", "pad"):
            assert Fit(16, mode=mode)(picture).shape == (16, 16, 3)

    return later


def read_prepared() -> None:
    PreparedCorpus(".").verify()


CSV = {"captions": "captions.csv", "questions": "questions.csv"}
PARQUET = {"captions": "captions.parquet", "questions": "questions.parquet"}
SHARDS = {"source": "webdataset", "path": "shards/*.tar"}

CORPORA = (
    Kind("captions, CSV", write_manifest, "captions.csv", text, _manifest({"captions": "captions.csv"}), 3),
    Kind("captions, parquet", write_manifest, "captions.parquet", rows, _manifest({"captions": "captions.parquet"}), 3),
    Kind("questions, CSV", write_manifest, "questions.csv", text, _manifest({**CSV, "canvas": 16}), 2),
    Kind("questions, parquet", write_manifest, "questions.parquet", rows, _manifest(PARQUET), 2),
    Kind("COCO parquet", write_published, "coco/data/train-00000-of-00002.parquet", rows, _published(), 2),
    Kind("COCO card", write_published, "coco/README.md", text, _published()),
    Kind("XM3600 jsonl", write_published, "xm3600/captions.jsonl", json_lines, _published(), 3),
    Kind("webdataset tar", write_published, "shards/00000.tar", shard, _published(distil=SHARDS), 4),
    Kind(
        "Multi30K gzip", write_published, "multi30k/data/task1/raw/train.de.gz", raw,
        _published(distil={"source": "multi30k", "path": "multi30k", "split": "train"}),
    ),
    Kind(
        "XTD10 text", write_published, "xtd10/MIC/test_1kcaptions_de.txt", text,
        _published(test={"source": "xtd10", "path": "xtd10"}),
    ),
    Kind(
        "CVQA parquet", write_published, "cvqa/data/test-00000-of-00001.parquet", rows,
        _published(questions={"test": {"source": "cvqa", "path": "cvqa"}}), 2,
    ),
    Kind(
        "xGQA JSON", write_published, "xgqa/data/few_shot/en/test.json", json_tree,
        _published(questions={"test": {"source": "xgqa", "path": "xgqa"}}), 2,
    ),
    Kind(
        "MaXM JSON", write_published, "maxm/maxm_v1_en.json", json_tree,
        _published(questions={"test": {"source": "maxm", "path": "maxm"}}), 2,
    ),
    *(Kind(f"image {kind}", write_image(kind), "image", raw, read_image, 2) for kind in ("PNG", "JPEG", "WEBP")),
    *(Kind(f"image {kind}", write_image(kind), "image", raw, read_image) for kind in ("GIF", "TIFF", "BMP")),
    Kind("prepared card", tiny.write_corpus, "corpus.json", json_tree, read_prepared),
    Kind("prepared captions", tiny.write_corpus, "captions/distil.parquet", rows, read_prepared),
    Kind("prepared questions", tiny.write_corpus, "questions.parquet", rows, read_prepared),
)  # fmt: skip
