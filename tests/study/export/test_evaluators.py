"""What README.md says of public evaluators, run as it stands there: they give the study's retrieval scores."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline.export import export
from pipeline.sources import ROOT
from study.data.pictures import PixelPictures
from study.data.prepared import PreparedCorpus
from study.eval.retrieval import retrieval_rows
from study.models.embed import embed_images, embed_texts
from tests.study.export.exported import Study, run_alone

EVALUATED = Path(__file__).with_name("evaluated.py")
WAYS = {"text_to_image": "T2I", "image_to_text": "I2T"}
CAPTIONS = ("captions", "captions_tokenized", "captions_tokenized_lowercase")


def block(kind: str, word: str, folder: Path) -> str:
    """The block of README.md in which `word` stands, of `folder` instead of the exported one there."""
    blocks = re.findall(rf"```{kind}\n(.+?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [text for text in blocks if word in text]
    replaced, count = re.subn(r"exported/[\w-]+", str(folder), found)
    assert count == 1
    return replaced


def captioned(study: Study) -> tuple[np.ndarray, dict[str, list[list[str]]]]:
    """The test images [G, H, W, 3], and for each language the captions of each."""
    corpus = PreparedCorpus(study.folder / "corpus")
    rows = corpus.captions("test").groupby("language", observed=True)
    return np.array(corpus.images("test")), {
        str(language): of.groupby("image")["text"].agg(list).tolist() for language, of in rows
    }


def test_clip_benchmarks_command_gives_the_studys_recall(inside: Study, tmp_path: Path) -> None:
    if inside.student.family == "siglip2":
        pytest.skip("no model of open_clip")
    export(inside.cell, "open_clip", tmp_path / "model")
    images, captions = captioned(inside)
    data = tmp_path / "data" / "xm3600"
    (data / "images").mkdir(parents=True)
    for key, pixels in enumerate(images):
        Image.fromarray(pixels).save(data / "images" / f"{key}.jpg", format="png")  # without loss, whatever the name
    lines = [
        json.dumps({"image/key": str(key), **{language: {"caption": of[key]} for language, of in captions.items()}})
        for key in range(len(images))
    ]
    (data / "captions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "command").write_text(block("sh", "clip_benchmark", tmp_path / "model"))
    run_alone(EVALUATED, "sh", tmp_path / "command", cwd=tmp_path)

    scores = pd.read_parquet(inside.folder / "scores" / inside.cell / "retrieval.parquet")
    ours = scores.set_index(["language", "direction", "metric"])["score"]
    for language in ("de", "sw"):
        theirs = json.loads((tmp_path / f"{language}.json").read_text())["metrics"]
        for direction, name in (("text_to_image", "image_retrieval"), ("image_to_text", "text_retrieval")):
            for k in (1, 5):
                expected = ours[language, direction, f"recall@{k}"]
                assert theirs[f"{name}_recall@{k}"] == pytest.approx(expected, abs=1e-4)


def write_xm3600(folder: Path, images: np.ndarray, captions: Mapping[str, Sequence[Sequence[str]]]) -> None:
    """The data set mteb/xm3600 as the Hub has it: a split a language."""
    texts = {name: datasets.List(datasets.Value("string")) for name in CAPTIONS}
    named = {name: datasets.Value("string") for name in ("image_id", "image_locale")}
    features = datasets.Features({"image": datasets.Image(), **named, **texts})
    for language, of in captions.items():
        columns = {
            "image": [Image.fromarray(pixels) for pixels in images],
            "image_id": [str(key) for key in range(len(images))],
            "image_locale": [language] * len(images),
            **dict.fromkeys(CAPTIONS, of),
        }
        rows = datasets.Dataset.from_dict(columns, features=features)
        rows.to_parquet(folder / "data" / f"{language}-00000-of-00001.parquet")


def test_mteb_gives_the_studys_retrieval_scores_both_ways(inside: Study, tmp_path: Path) -> None:
    export(inside.cell, "sentence-transformers", tmp_path / "model")
    images, one = captioned(inside)
    # A second caption tells recall from hits, and shows that both count as relevant.
    captions = {"de": one["de"], "sw": [[*of, f"{of[0]}! {of[0]}"] for of in one["sw"]]}
    (tmp_path / "mteb" / "xm3600" / "data").mkdir(parents=True)  # load_dataset takes a folder of that name first
    write_xm3600(tmp_path / "mteb" / "xm3600", images, captions)
    (tmp_path / "code").write_text(block("python", "mteb", tmp_path / "model"))
    printed = run_alone(EVALUATED, "python", tmp_path / "code", cwd=tmp_path).out
    theirs = json.loads(printed.splitlines()[-1])

    cpu = torch.device("cpu")
    texts = {language: [text for of in per_image for text in of] for language, per_image in captions.items()}
    index = {
        language: np.repeat(np.arange(len(images)), [len(of) for of in per_image])
        for language, per_image in captions.items()
    }
    rows = retrieval_rows(
        embed_images(inside.student, PixelPictures(images), cpu),
        {language: embed_texts(inside.student, of, cpu) for language, of in texts.items()},
        index,
        protocol="all-captions",
    )
    measures = {f"recall@{k}": f"hit_rate_at_{k}" for k in (1, 5, 10)}
    measures |= {f"{name}@10": f"{name}_at_10" for name in ("map", "ndcg", "mrr")}
    assert set(rows["metric"]) == set(measures)
    for row in rows.itertuples():
        scores = theirs[f"XM3600{WAYS[str(row.direction)]}Retrieval"][row.language]
        assert scores[measures[str(row.metric)]] == pytest.approx(row.score, abs=1e-4), row
    ours = rows.set_index(["language", "direction", "metric"])["score"]
    assert theirs["XM3600I2TRetrieval"]["sw"]["recall_at_5"] < ours["sw", "image_to_text", "recall@5"]
    recorded = pd.read_parquet(inside.folder / "scores" / inside.cell / "retrieval.parquet")
    recorded_scores = recorded.set_index(["language", "direction", "metric"])["score"]
    pd.testing.assert_series_equal(ours["de"], recorded_scores["de"], check_exact=False, atol=1e-4)
