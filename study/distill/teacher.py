"""Training a teacher: both towers, its family's own loss, a large balanced corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from study.config.teacher import TeacherSpec
from study.data.prepared import PreparedCorpus
from study.distill.batches import Batches
from study.distill.cost import TrainingCost, cost
from study.distill.training import History, Progress, fit
from study.models import trainable
from study.models.dual_encoder import DualEncoder
from study.models.tokenizers.vocabulary import PAD, Vocabulary
from study.seeds import stream, torch_stream

TOKENIZER_TEXTS = 60_000
"""Captions the tokenizer is trained on: more change nothing that we could measure and take longer."""


class CaptionsByImage:
    """Token ids of all captions, and for each image which of them are its own."""

    def __init__(self, ids: Tensor, images: np.ndarray) -> None:
        order = np.argsort(images, kind="stable")
        self.ids = ids[torch.from_numpy(order)]
        self.images, self.first, self.count = np.unique(images[order], return_index=True, return_counts=True)

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        """One caption of each image row, drawn at random: [N, L]."""
        chosen = self.first[rows] + (rng.random(len(rows)) * self.count[rows]).astype(np.int64)
        return self.ids[torch.from_numpy(chosen)].long()


def train_vocabulary(corpus: PreparedCorpus, size: int, texts: Sequence[str]) -> Vocabulary:
    """The tokenizer, from a seeded sample of the teacher's training captions."""
    rng = stream("tokenizer", corpus.card.content)
    sample = rng.permutation(len(texts))[:TOKENIZER_TEXTS]
    return Vocabulary.train((texts[i] for i in sample), size)


def train_teacher(
    spec: TeacherSpec,
    corpus: PreparedCorpus,
    device: torch.device,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> tuple[DualEncoder, History, TrainingCost]:
    """A trained teacher, its history and its cost. One caption an image and step, in a language drawn at random."""
    captions = corpus.captions("teacher")
    texts = captions["text"].tolist()
    vocabulary = train_vocabulary(corpus, spec.vocabulary, texts)
    with torch_stream("init", "teacher", spec.family, spec.seed):
        model = trainable(spec.family).build(spec.model, vocabulary, spec.context)
    model.to(device)
    by_image = CaptionsByImage(model.tokenize(texts).to(torch.int32), captions["image"].to_numpy())
    pictures = corpus.pictures("teacher")
    pixels = torch.from_numpy(pictures.read(range(len(pictures)), model.fit)).to(device)
    batches = Batches(len(by_image.images), spec.training.batch, "batches", "teacher", spec.family, spec.seed)

    def step_loss(step: int) -> dict[str, Tensor]:
        rows = batches(step)
        ids = by_image.draw(rows, stream("captions", "teacher", spec.family, spec.seed, step)).to(device)
        seen = pixels[torch.from_numpy(by_image.images[rows]).to(device)]
        with spec.training.autocast(device):
            images, texts = model.image_features(seen), model.text_features(ids)
        return {"loss": model.image_text_loss(images, texts).mean()}

    history = fit(model, {}, step_loss, spec.training, checkpoint=checkpoint, progress=progress)
    tokens = float((by_image.ids != PAD).sum(dim=1).float().mean()) * spec.training.steps * spec.training.batch
    return model, history, cost(model, spec.training, 1, round(tokens), images=True)
