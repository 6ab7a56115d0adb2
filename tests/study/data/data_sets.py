"""Tiny data sets in the publishers' exact layouts, of coloured halves: small, and learnable."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.study.tiny import PAIRS, WORDS, caption, scene

COCO_LANGUAGES = ("ar", "de", "en", "es", "it", "ja", "ru", "th", "vi", "zh")
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@dataclass(frozen=True)
class Shot:
    """An image file and its captions in each language, as a data set has them."""

    key: str
    content: bytes
    captions: Mapping[str, Sequence[str]]


def photograph(number: int) -> bytes:
    """A JPEG, wider than high; another content for each number."""
    pair = PAIRS[number % len(PAIRS)]
    shade = 1.0 - 0.1 * (number // len(PAIRS))
    stream = io.BytesIO()
    Image.fromarray(scene(pair, shade)).resize((48, 32)).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def said(number: int, language: str, nth: int) -> str:
    """The n-th caption: colours in languages that have words for them here, spelt otherwise in the others."""
    pair = PAIRS[number % len(PAIRS)]
    text = caption(pair, language) if language in WORDS else f"{language} {caption(pair, 'en')[::-1]}"
    return text if nth == 0 else f"{text} ({nth + 1})"


def shots(first: int, count: int, languages: Sequence[str], captions: int = 2, key: str = "{:016x}") -> list[Shot]:
    """`count` images from number `first` on, with this many captions in each language."""
    return [
        Shot(key.format(n), photograph(n), {code: [said(n, code, k) for k in range(captions)] for code in languages})
        for n in range(first, first + count)
    ]


def write_crossmodal3600(folder: Path, images: Sequence[Shot]) -> Path:
    """captions.jsonl, images/<key>.jpg."""
    (folder / "images").mkdir(parents=True)
    with (folder / "captions.jsonl").open("w", encoding="utf-8") as file:
        for shot in images:
            (folder / "images" / f"{shot.key}.jpg").write_bytes(shot.content)
            line: dict[str, Any] = {"image/key": shot.key, "image/locale": "bn"}
            for language, texts in shot.captions.items():
                tokens = {"caption/tokenized": list(texts), "caption/tokenized/lowercase": list(texts)}
                line[language] = {"caption": list(texts), **tokens}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return folder


def write_crossmodal3600_hub(folder: Path, images: Sequence[Shot]) -> Path:
    """The repository mteb/xm3600: a split a language, images in each of them."""
    languages = list(images[0].captions)
    for language in languages:
        texts = [list(shot.captions[language]) for shot in images]
        columns = {
            "image_id": [shot.key for shot in images],
            "image_locale": ["bn"] * len(images),
            "captions": texts,
            "captions_tokenized": texts,
            "captions_tokenized_lowercase": texts,
            "image": pa.array([{"bytes": shot.content, "path": None} for shot in images], IMAGE),
        }
        write_parquet(folder, language, columns, shards=1)
    return write_card(folder, languages)


def write_xtd10(folder: Path, images: Sequence[Shot]) -> Path:
    """The publisher's repository with images/ in it; in some languages CRLF ends the lines, but not the last one."""
    files = {"de": "MIC/test_1kcaptions_de.txt", "fr": "MIC/test_1kcaptions_fr.txt"}
    files["ja"] = "STAIR/test_1kcaptions_jp.txt"
    for name in ("XTD10", "MIC", "STAIR", "images"):
        (folder / name).mkdir(parents=True)
    _write_text(folder / "XTD10" / "test_image_names.txt", [shot.key for shot in images])
    for language in images[0].captions:
        file = folder / files.get(language, f"XTD10/test_1kcaptions_{language}.txt")
        texts = [shot.captions[language][0] for shot in images]
        _write_text(file, texts, windows=language in ("es", "it", "ko", "pl", "ru", "tr", "zh"))
    for shot in images:
        (folder / "images" / shot.key).write_bytes(shot.content)
    return folder


def write_multi30k(folder: Path, splits: Mapping[str, Sequence[Shot]]) -> Path:
    """The publisher's repository with images/ in it."""
    for name in ("data/task1/raw", "data/task1/image_splits", "images"):
        (folder / name).mkdir(parents=True)
    for split, images in splits.items():
        _write_text(folder / "data" / "task1" / "image_splits" / f"{split}.txt", [shot.key for shot in images])
        for language in images[0].captions:
            text = "".join(f"{shot.captions[language][0]}\n" for shot in images)
            (folder / "data" / "task1" / "raw" / f"{split}.{language}.gz").write_bytes(gzip.compress(text.encode()))
        for shot in images:
            (folder / "images" / shot.key.partition("#")[0]).write_bytes(shot.content)
    return folder


def write_multi30k_hub(folder: Path, splits: Mapping[str, Sequence[Shot]]) -> Path:
    """The repository romrawinjp/multi30k: a text a language, not a list."""
    for split, images in splits.items():
        columns: dict[str, Any] = {code: [shot.captions[code][0] for shot in images] for code in images[0].captions}
        columns["image"] = pa.array([{"bytes": shot.content, "path": None} for shot in images], IMAGE)
        write_parquet(folder, split, columns, shards=1)
    return write_card(folder, list(splits))


def write_multilingual_coco(folder: Path, splits: Mapping[str, Sequence[Shot]]) -> Path:
    """The repository romrawinjp/multilingual-coco: keys of shots are COCO's numbers."""
    names = {"ja": "jp-stair", "zh": "cn"}
    for split, images in splits.items():
        columns: dict[str, Any] = {
            "cocoid": [int(shot.key) for shot in images],
            "filename": [f"COCO_train2014_{int(shot.key):012}.jpg" for shot in images],
        }
        for language in COCO_LANGUAGES:
            texts = [list(shot.captions.get(language, [])) for shot in images]
            columns[names.get(language, language)] = pa.array(texts, pa.list_(pa.string()))
        columns["jp-yj"] = pa.array([[] for _ in images], pa.list_(pa.string()))
        columns["image"] = pa.array([{"bytes": shot.content, "path": "x.jpg"} for shot in images], IMAGE)
        write_parquet(folder, split, columns, shards=2)
    return write_card(folder, list(splits))


def write_webdataset(folder: Path, images: Sequence[Shot], shards: int = 2) -> Path:
    """Shards as img2dataset writes them, with captions in <key>.json, and the first English one in <key>.txt."""
    folder.mkdir(parents=True)
    size = -(-len(images) // shards)
    for number in range(shards):
        members: list[tuple[str, bytes]] = []
        for shot in images[number * size : (number + 1) * size]:
            about = {"key": shot.key, "url": "u", "status": "success", "captions": dict(shot.captions)}
            members += [
                (f"{shot.key}.jpg", shot.content),
                (f"{shot.key}.txt", shot.captions["en"][0].encode()),
                (f"{shot.key}.json", json.dumps(about).encode()),
            ]
        write_tar(folder / f"{number:05}.tar", members)
    return folder


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def write_parquet(folder: Path, split: str, columns: Mapping[str, Any], shards: int) -> None:
    """data/<split>-<n>-of-<shards>.parquet, a few rows a row group."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    table = pa.table(dict(columns))
    size = -(-len(table) // shards)
    for number in range(shards):
        name = f"{split}-{number:05}-of-{shards:05}.parquet"
        pq.write_table(table.slice(number * size, size), folder / "data" / name, row_group_size=3)


def write_card(folder: Path, splits: Sequence[str]) -> Path:
    """README.md, which says what the splits are."""
    lines = [line for split in splits for line in (f"  - split: {split!r}", f"    path: data/{split}-*")]
    head = ["---", "configs:", "- config_name: default", "  data_files:", *lines, "---", ""]
    (folder / "README.md").write_text("\n".join(head))
    return folder


def _write_text(path: Path, lines: Sequence[str], windows: bool = False) -> None:
    text = "\r\n".join(lines) if windows else "".join(f"{line}\n" for line in lines)
    path.write_bytes(text.encode())
