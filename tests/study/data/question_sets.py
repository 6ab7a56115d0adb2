"""Tiny CVQA, xGQA and MaXM in their publishers' layouts, for tests and for a study in miniature.

Layouts: afaji/cvqa on the hub (parquet, one file of n; card with the split's files), adapter-hub/xGQA's
data/few_shot, and MaXM's v1 release.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Rows = list[dict[str, Any]]

SUBSETS = (
    ("Japanese", "Japan", "この絵は何色ですか? ", ("赤", "緑 ", " 青", "黄")),
    ("Spanish", "Mexico", "¿De qué color es?", ("rojo", "verde", "azul", "amarillo")),
    ("Spanish", "Chile", "¿Qué color se ve?", ("rojo", "verde", "azul", "amarillo")),
    ("Swahili", "Kenya", "Rangi gani?", ("nyekundu", "kijani", "buluu", "manjano")),
)
"""Language, country, question and options; spaces around texts are the publisher's."""

COLOURS = ("red", "green", "blue", "yellow")
RGB = ((220, 30, 30), (30, 180, 60), (40, 60, 220), (230, 210, 40))

CVQA_SCHEMA = pa.schema(
    {
        "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
        "ID": pa.string(),
        "Subset": pa.string(),
        "Question": pa.string(),
        "Translated Question": pa.string(),
        "Options": pa.list_(pa.string()),
        "Translated Options": pa.list_(pa.string()),
        "Label": pa.int64(),
        "Category": pa.string(),
        "Image Type": pa.string(),
        "Image Source": pa.string(),
        "License": pa.string(),
    }
)


def picture(number: int, kind: str = "JPEG") -> bytes:
    """An image file of 40 x 32 pixels in one of four colours, a different file for each number."""
    pixels = np.full((32, 40, 3), RGB[number % 4], dtype=np.uint8)
    # A texture of its own, so that no two files are the same.
    pixels[:16] ^= np.random.default_rng(number).integers(0, 64, (16, 40, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def cvqa_rows(count: int = 8, held_back: bool = True, first: int = 5000) -> Rows:
    """Questions of four pairs of language and country by turns; two questions are about each image."""
    rows = []
    for number in range(count):
        language, country, question, options = SUBSETS[number % len(SUBSETS)]
        shown = first + number // 2
        rows.append(
            {
                "image": {"bytes": picture(shown), "path": f"{shown}.jpg"},
                "ID": f"59199911442724{number:05d}_{number % 2}",
                "Subset": str((language, country)),
                "Question": question,
                "Translated Question": "What color is it? ",
                "Options": list(options),
                "Translated Options": list(COLOURS),
                "Label": -1 if held_back else shown % 4,
                "Category": "Objects / materials / clothing",
                "Image Type": "Self",
                "Image Source": "Self-open",
                "License": "CC BY-SA",
            }
        )
    return rows


def write_cvqa(folder: Path, rows: Rows | None = None, shards: int = 2) -> Path:
    """The repository afaji/cvqa: its card, and data/test-*.parquet."""
    rows = cvqa_rows() if rows is None else rows
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n    path: data/test-*\n---\n# CVQA\n"
    )
    for shard, places in enumerate(np.array_split(np.arange(len(rows)), shards)):
        table = pa.Table.from_pylist([rows[place] for place in places], schema=CVQA_SCHEMA)
        pq.write_table(table, folder / "data" / f"test-{shard:05d}-of-{shards:05d}.parquet", row_group_size=3)
    return folder


XGQA_WORDS = {
    "en": ("What color is the {}?", "Is the {} red?"),
    "de": ("Welche Farbe hat {}?", "Ist {} rot?"),
    "bn": ("{} কোন রঙের?", "{} কি লাল?"),
    "zh": ("{}是什么颜色的?", "{}是红色的吗?"),
}


def xgqa_entries(language: str, count: int = 8) -> dict[str, Any]:
    """Questions for a colour; every fourth is a question to verify. The same ids and answers in all languages."""
    ask, verify = XGQA_WORDS[language]
    entries = {}
    for number in range(count):
        closed = number % 4 == 3
        image = 100 + number // 2
        entries[str(2016406 + number)] = {
            "semantic": [{"operation": "select", "dependencies": [], "argument": f"thing {number} (1)"}],
            "entailed": [],
            "equivalent": [str(2016406 + number)],
            "question": (verify if closed else ask).format(number),
            "imageId": f"n{image}",
            "isBalanced": True,
            "groups": {"global": None if closed else "color", "local": f"10-thing_{number}"},
            "answer": "yes" if closed else (*COLOURS, "light brown")[(number + 1) % 5],
            "semanticStr": "select: thing (1)",
            "annotations": {"answer": {}, "question": {}, "fullAnswer": {}},
            "types": {
                "detailed": "verifyAttr" if closed else "directOf",
                "semantic": "attr",
                "structural": "verify" if closed else "query",
            },
            "fullAnswer": "It is.",
        }
    return entries


def write_xgqa(
    folder: Path, languages: Sequence[str] = ("en", "de", "bn"), split: str = "test", count: int = 8
) -> Path:
    """The repository adapter-hub/xGQA, with images of GQA in images/."""
    for language in languages:
        write_json(folder / "data" / "few_shot" / language / f"{split}.json", xgqa_entries(language, count))
    (folder / "images").mkdir(exist_ok=True)
    for number in range(100, 100 + (count + 1) // 2):
        (folder / "images" / f"n{number}.jpg").write_bytes(picture(number))
    return folder


MAXM_WORDS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "en": ("What is in picture {}?", ("a dog", "a cat", "two trees", "the sea", "a red car"), "yes"),
    "fr": ("Que voit-on sur l'image {} ?", ("un chien", "un chat", "deux arbres", "la mer", "une voiture"), "oui"),
    "iw": ("מה יש בתמונה {}?", ("כלבלב", "חתול", "שני עצים", "ים", "מכונית"), "כן"),
}
"""The publisher's code -> question, answers, and an answer to a question to verify."""


def maxm_content(code: str, count: int = 6) -> dict[str, Any]:
    """Annotations of one language; two questions an image, the last question is one to verify."""
    ask, answers, verified = MAXM_WORDS[code]
    pairs = []
    for number in range(count):
        answer = verified if number == count - 1 else answers[number % len(answers)]
        pairs.append(
            {
                "question_id": f"{number:04d}",
                "question": ask.format(number),
                "answers": [answer],
                "processed_answers": [answer.lower()],
                "is_collection": False,
            }
        )
    annotations = [
        {
            "image_id": f"{600 + place:016x}",
            "image_url": f"https://example.org/{600 + place:016x}",
            "qa_pairs": pairs[2 * place : 2 * place + 2],
        }
        for place in range((count + 1) // 2)
    ]
    return {"dataset": "MaXM", "version": "v1", "split": code, "annotations": annotations}


def write_maxm(folder: Path, codes: Sequence[str] = ("en", "fr", "iw"), count: int = 6) -> Path:
    """The release, with images of Crossmodal-3600 in images/."""
    for code in codes:
        write_json(folder / f"maxm_v1_{code}.json", maxm_content(code, count))
    (folder / "images").mkdir(exist_ok=True)
    for number in range(600, 600 + (count + 1) // 2):
        (folder / "images" / f"{number:016x}.jpg").write_bytes(picture(number))
    return folder


def write_maxm_hub(
    folder: Path, codes: Sequence[str] = ("en", "fr", "iw"), count: int = 6, without: Sequence[str] = ()
) -> Path:
    """floschne/maxm: one split per language, one row per question, with its image."""
    (folder / "data").mkdir(parents=True)
    for code in codes:
        rows = [
            {
                **pair,
                "image_id": annotation["image_id"],
                "image": {"bytes": picture(int(annotation["image_id"], 16)), "path": f"{annotation['image_id']}.jpg"},
            }
            for annotation in maxm_content(code, count)["annotations"]
            for pair in annotation["qa_pairs"]
        ]
        pq.write_table(
            pa.Table.from_pylist(rows).drop_columns(without), folder / "data" / f"{code}-00000-of-00001.parquet"
        )
    splits = "\n".join(f"  - split: {code}\n    path: data/{code}-*" for code in codes)
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files:\n{splits}\n---\n")
    return folder


def write_json(file: Path, content: Any) -> None:
    """As the publishers write it: UTF-8."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
