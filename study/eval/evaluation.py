"""One model scored on one split: arrays from the model, rows from `study.eval`.

The test split is read here and nowhere else; choices are made on `validation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import torch

from study import measures, records
from study.data.prepared import HELD_BACK, PreparedCorpus, QuestionSplit, scored_text
from study.eval.collapse import collapse_rows
from study.eval.consistency import consistency_rows
from study.eval.items import ItemScores
from study.eval.retrieval import retrieval_rows
from study.eval.submission import submission_files
from study.eval.vqa import submitted_rows, vqa_rows
from study.models.dual_encoder import DualEncoder
from study.models.embed import embed_images, embed_texts

Split = Literal["validation", "test"]
Protocol = Literal["all-captions", "first-caption"]
"""Whether every caption of an image counts as relevant, or only its first in each language."""


@dataclass(frozen=True)
class Scores:
    """A model's rows of the result tables, with its name in `cell`."""

    retrieval: pd.DataFrame
    consistency: pd.DataFrame
    vqa: pd.DataFrame
    collapse: pd.DataFrame
    items: pd.DataFrame
    submissions: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Answers that the publisher of the questions scores, by the name of the file (`submission_files`)."""

    def tables(self) -> Mapping[str, pd.DataFrame]:
        return {
            "retrieval": self.retrieval, "consistency": self.consistency, "vqa": self.vqa, "collapse": self.collapse,
            "items": self.items,
        }  # fmt: skip


@dataclass(frozen=True)
class Images:
    """Image embeddings of a split, [G, D] for retrieval and [I, D] for questions."""

    gallery: np.ndarray
    questions: np.ndarray | None


def images_of(model: DualEncoder, corpus: PreparedCorpus, split: Split, device: torch.device) -> Images:
    """Embed a split's images with the model's own image tower."""
    questions = f"vqa_{split}"
    asked = questions in corpus.card.images
    return Images(
        embed_images(model, corpus.pictures(split), device),
        embed_images(model, corpus.pictures(questions), device) if asked else None,  # type: ignore[arg-type]
    )


def evaluate(
    name: str,
    model: DualEncoder,
    corpus: PreparedCorpus,
    images: Images,
    split: Split,
    device: torch.device,
    protocol: Protocol = "all-captions",
) -> Scores:
    """All scores of `model` on `split`, in every language of the corpus."""
    texts, index = caption_features(model, corpus, split, device, protocol)
    items = ItemScores()
    retrieval = retrieval_rows(images.gallery, texts, index, protocol=protocol, items=items)
    answers, submitted = answers_of(model, corpus, images, split, device)
    parallel, shared = parallel_queries(texts, index)
    consistency = consistency_rows(images.gallery, parallel, shared, items=items)
    return Scores(
        _named(retrieval, name, records.RETRIEVAL),
        _named(consistency, name, records.CONSISTENCY),
        _named(answers, name, records.VQA),
        _named(collapse_rows(images.gallery, parallel, answers), name, records.COLLAPSE),
        _named(items.rows(), name, records.ITEMS),
        submission_files(submitted),
    )


def average_precision(
    model: DualEncoder, corpus: PreparedCorpus, images: Images, split: Split, device: torch.device
) -> float:
    """`CHOSEN_BY`, mean of both directions and all languages: what validation chooses by."""
    texts, index = caption_features(model, corpus, split, device, "all-captions")
    rows = retrieval_rows(images.gallery, texts, index, protocol="all-captions")
    return float(rows.loc[rows["metric"] == measures.CHOSEN_BY, "score"].mean())


class CaptionFeatures(Mapping[str, np.ndarray]):
    """Some captions of each language, [Q, D] by language: gathered when asked for, so that nothing is held twice."""

    def __init__(self, features: np.ndarray, rows: Mapping[str, np.ndarray]) -> None:
        """`features` [M, D] of all captions, and the rows of each language's own."""
        self._features, self.rows = features, rows

    def __getitem__(self, language: str) -> np.ndarray:
        return self._features[self.rows[language]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def narrowed(self, places: Mapping[str, np.ndarray]) -> CaptionFeatures:
        """Of each language's captions those at `places`."""
        return CaptionFeatures(
            self._features, {language: rows[places[language]] for language, rows in self.rows.items()}
        )


def caption_features(
    model: DualEncoder, corpus: PreparedCorpus, split: Split, device: torch.device, protocol: Protocol
) -> tuple[CaptionFeatures, dict[str, np.ndarray]]:
    """Caption embeddings of each language, and the image each of them describes."""
    captions = corpus.captions(split)
    if protocol == "first-caption":
        captions = captions.drop_duplicates(["image", "language"])
    languages = captions["language"].astype(str).to_numpy()
    present = set(languages)  # of the corpus's languages validation may have some only
    rows = {language: np.flatnonzero(languages == language) for language in corpus.languages if language in present}
    images = captions["image"].to_numpy()
    features = embed_texts(model, captions["text"].tolist(), device)
    return CaptionFeatures(features, rows), {language: images[own] for language, own in rows.items()}


def parallel_queries(texts: CaptionFeatures, index: Mapping[str, np.ndarray]) -> tuple[CaptionFeatures, np.ndarray]:
    """Parallel queries, each language's first caption of the images that all languages describe, and those images."""
    first = {
        language: dict(reversed(list(zip(images, range(len(images)), strict=True))))
        for language, images in index.items()
    }
    shared = np.asarray(sorted(set.intersection(*(set(rows) for rows in first.values()))), dtype=np.int64)
    places = {
        language: np.asarray([rows[image] for image in shared], dtype=np.int64) for language, rows in first.items()
    }
    return texts.narrowed(places), shared


def answers_of(
    model: DualEncoder, corpus: PreparedCorpus, images: Images, split: QuestionSplit, device: torch.device
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Answers that are scored here, and those (question, language, chosen) whose labels are held back."""
    scored = [pd.DataFrame(columns=[column for column in records.VQA.names if column != "cell"])]
    submitted = [pd.DataFrame(columns=["question", "chosen", "language"])]
    if images.questions is None:
        return scored[0], submitted[0]
    questions = corpus.questions(split)
    asked = corpus.texts(split=split)
    asked = asked.assign(language=asked["language"].astype(str))
    rows_of_options = zip(asked["prompt"].astype(str), asked["options"].map(list), strict=True)
    flat = [scored_text(prompt, str(option)) for prompt, options in rows_of_options for option in options]
    width = len(questions["options"].iloc[0])
    features = embed_texts(model, flat, device).reshape(len(asked), width, -1)
    order = {question: place for place, question in enumerate(questions["question"])}
    for language in corpus.vqa_languages:
        # A language may ask some of the questions only.
        rows = np.flatnonzero(asked["language"] == language)
        places = asked["question"].iloc[rows].map(order).to_numpy()
        sort = np.argsort(places)
        own, texts = questions.iloc[places[sort]].reset_index(drop=True), features[rows[sort]]
        kept = (own["answer"] != HELD_BACK).to_numpy()
        if kept.any():
            scored.append(vqa_rows(images.questions, {language: texts[kept]}, own[kept]))
        if not kept.all():
            chosen = submitted_rows(images.questions, texts[~kept], own[~kept])
            submitted.append(chosen.assign(language=language))
    return _joined(scored), _joined(submitted)


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """The parts one after another; the first is empty and gives the columns if there are no others."""
    return pd.concat(parts[1:], ignore_index=True) if len(parts) > 1 else parts[0]


def _named(frame: pd.DataFrame, name: str, table: records.Table) -> pd.DataFrame:
    return records.check(frame.assign(cell=name), table)
