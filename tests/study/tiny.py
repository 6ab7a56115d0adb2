"""A corpus of coloured halves in four languages, in the prepared layout: small, and learnable."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from study.data.base import CorpusSettings, DatasetInfo, Licence
from study.data.prepared import PreparedCorpus
from study.data.writer import CorpusWriter

WORDS = {
    "en": ["red", "green", "blue", "black", "white", "yellow", "pink", "grey"],
    "de": ["rot", "grün", "blau", "schwarz", "weiß", "gelb", "rosa", "grau"],
    "ru": ["красный", "зелёный", "синий", "чёрный", "белый", "жёлтый", "розовый", "серый"],
    "sw": ["nyekundu", "kijani", "buluu", "nyeusi", "nyeupe", "manjano", "waridi", "kijivu"],
}
COLOURS = np.asarray(
    [
        [230, 20, 20],
        [20, 180, 20],
        [20, 20, 230],
        [0, 0, 0],
        [255, 255, 255],
        [240, 230, 10],
        [250, 150, 200],
        [128] * 3,
    ]
)
LANGUAGES = tuple(WORDS)
PAIRS = list(itertools.permutations(range(8), 2))
SPLITS = {"teacher": PAIRS[:40], "distil": PAIRS[:40], "validation": PAIRS[40:48], "test": PAIRS[48:]}
RECORD = DatasetInfo(
    name="colours",
    description="Two colours side by side.",
    source="made by the tests",
    revision="1",
    licences=(Licence("all", "Apache-2.0", "the tests"),),
    languages=LANGUAGES,
    vqa_languages=LANGUAGES,
    in_domain="colours",
    out_of_domain="darker colours",
)


def scene(pair: tuple[int, int], shade: float = 1.0) -> np.ndarray:
    """uint8 [32, 32, 3]: the first colour left, the second right."""
    out = np.empty((32, 32, 3), dtype=np.uint8)
    out[:, :16], out[:, 16:] = COLOURS[pair[0]] * shade, COLOURS[pair[1]] * shade
    return out


def caption(pair: tuple[int, int], language: str) -> str:
    return f"{WORDS[language][pair[0]]}, {WORDS[language][pair[1]]}"


def write_corpus(out: Path) -> PreparedCorpus:
    """Distil captions: English for two thirds, the others rare."""
    writer = CorpusWriter(out)
    for name, pairs in SPLITS.items():
        writer.images(name, len(pairs), 32, 32)[:] = [scene(pair) for pair in pairs]  # type: ignore[arg-type]
        if name != "distil":
            rows = [(image, language) for language in LANGUAGES for image in range(len(pairs))]
            texts = [caption(pairs[image], language) for image, language in rows]
            columns = {"image": [r[0] for r in rows], "language": [r[1] for r in rows], "text": texts}
            writer.captions(name, columns)  # type: ignore[arg-type]
    pairs = SPLITS["distil"]
    languages = [("en", "en", "en", "en", "de", "ru", "en", "de", "en", "sw")[i % 10] for i in range(len(pairs))]
    text = [caption(pair, language) for pair, language in zip(pairs, languages, strict=True)]
    english = [caption(pair, "en") for pair in pairs]
    writer.captions(
        "distil", {"image": list(range(len(pairs))), "language": languages, "text": text, "english": english}
    )
    _questions(writer)
    writer.finish(RECORD, CorpusSettings(), list(LANGUAGES), list(LANGUAGES), {})
    return PreparedCorpus(out)


def _questions(writer: CorpusWriter) -> None:
    questions: dict[str, list] = {key: [] for key in ("question", "split", "image", "type", "answer", "options")}
    texts: dict[str, list] = {key: [] for key in ("question", "language", "prompt", "options")}
    for split in ("validation", "test"):
        pairs = SPLITS[split]
        writer.images(f"vqa_{split}", len(pairs), 32, 32)[:] = [scene(pair, 0.8) for pair in pairs]  # type: ignore[arg-type]
        for image, pair in enumerate(pairs):
            options = [pair, pair[::-1], ((pair[0] + 3) % 8, pair[1]), (pair[0], (pair[1] + 3) % 8)]
            answer = image % 4
            options[0], options[answer] = options[answer], options[0]
            name = f"{split}-{image}"
            ids = ["+".join(map(str, option)) for option in options]
            row: dict[str, object] = {
                "question": name,
                "split": split,
                "image": image,
                "type": "pair",
                "answer": answer,
                "options": ids,
            }
            for key, value in row.items():
                questions[key].append(value)
            for language in LANGUAGES:
                shown = [caption(option, language) for option in options]
                text: dict[str, object] = {"question": name, "language": language, "prompt": ":", "options": shown}
                for key, value in text.items():
                    texts[key].append(value)
    writer.questions(questions, texts)
