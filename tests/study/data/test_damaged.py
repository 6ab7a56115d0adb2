"""Files with bytes changed or cut off are read, or refused in our own words: never anything else."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from study.data import CorpusError
from study.data.manifest.contents import gather
from study.data.problems import MOST_OF_A_KIND, Problems
from study.data.published.question_files import read_json
from study.data.published.question_tables import table_rows
from study.data.published.sources import Part
from study.data.published.webdataset import Webdataset


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG")
    return stream.getvalue()


def shard() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for key in range(3):
            members = {"jpg": picture(), "en.txt": b"a cat", "json": json.dumps({"captions": {"de": "x"}}).encode()}
            for ending, content in members.items():
                entry = tarfile.TarInfo(f"{key}.{ending}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def table() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"ID": ["a"] * 50, "image": [{"bytes": b"x" * 20, "path": "p"}] * 50}), stream)
    return stream.getvalue()


def captions() -> bytes:
    rows = "".join(f"i{number}.png,en,caf\u00e9 {number},test\n" for number in range(40))
    return f"image,language,text,split\n{rows}".encode()


def read_shard(file: Path) -> None:
    part = Part(source="webdataset", path=str(file))
    for item in Webdataset().items(part, Webdataset().languages(part)):
        item.image.read()


def read_table(file: Path) -> None:
    for _, image in table_rows([str(file)], ["ID"]):
        image.read()


def read_captions(file: Path) -> None:
    gather(str(file), None, Problems())


def damaged(content: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.2:
        return content[: draw.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(draw.choice((1, 3, 30))):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize(
    ("name", "whole", "read"),
    [
        ("x.tar", shard, read_shard),
        ("x.parquet", table, read_table),
        ("x.csv", captions, read_captions),
        ("x.json", lambda: json.dumps({"q": {"question": "caf\u00e9?"}}).encode(), read_json),
    ],
)
def test_damage_is_told_in_our_own_words(
    tmp_path: Path, name: str, whole: Callable[[], bytes], read: Callable[[Path], object]
) -> None:
    content, draw, refused = whole(), random.Random(1), 0
    for _ in range(300):
        file = tmp_path / name
        file.write_bytes(damaged(content, draw))
        try:
            read(file)
        except CorpusError:
            refused += 1
    assert refused > 20 or name == "x.csv"  # whose rows are problems of their own


def test_names_of_columns_that_are_no_text_and_images_that_are_missing_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    file.write_bytes(table().replace(b"ID", b"I\xff"))
    with pytest.raises(CorpusError, match=r"x\.parquet: "):
        read_table(file)
    pq.write_table(pa.table({"ID": ["a"], "image": [3]}), file)
    with pytest.raises(CorpusError, match=r"column 'image' is int64, it must have bytes in it"):
        read_table(file)


def test_many_problems_of_a_kind_do_not_hide_the_others_and_the_same_words_are_said_once() -> None:
    problems = Problems()
    for row in range(2, 5000):
        problems.add(CorpusError(f"a.csv, row {row}: there is no image {row}.png"), "images: missing")
        problems.add(CorpusError(f"a.csv, row {row}: unknown split 'train'"), "a.csv, split")
    lines = problems.lines()
    assert len(lines) == MOST_OF_A_KIND + 2
    assert "a.csv, row 2: unknown split 'train' (and 4,997 more rows)" in lines
    assert lines[-1] == "4,798 more problems of this kind: images: missing"
    assert len(problems) == 2 * 4998


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.png", "a/../../x.png", "a/" * 2000 + "x.png", "x\0.png"])
def test_names_that_lead_out_or_that_no_file_can_have_are_problems(tmp_path: Path, name: str) -> None:
    from study.data.manifest.pictures import glance

    (tmp_path / "c.csv").write_text(f"image,language,text,split\n{name},en,x,test\n", encoding="utf-8")
    problems = Problems()
    glance(gather(str(tmp_path / "c.csv"), None, problems), "refuse", problems)
    assert len(problems.lines()) == 1
    assert "is outside of" in problems.lines()[0] or "there is no image" in problems.lines()[0]
