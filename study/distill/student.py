"""Training one student: the cell (arch, size, method, seed) of the grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from study.config.size import FAMILY, EncoderSpec, Size
from study.config.student import StudentSpec
from study.data.prepared import PreparedCorpus
from study.distill.batches import Batches
from study.distill.cost import TrainingCost, cost
from study.distill.dataset import Buckets, Captions, DistillDataset, Drawn
from study.distill.embeddings import check_key
from study.distill.training import History, Progress, fit
from study.models import pretrained_text_family
from study.models.dual_encoder import DualEncoder, EncoderChoice, TextOutput
from study.models.embed import pooled_layers
from study.models.shrink import shape, shrink
from study.objectives.base import Batch, ModelInfo
from study.objectives.encoded import CAPTIONS
from study.objectives.weighted_loss import WeightedLoss, language_weights
from study.seeds import stream, torch_stream
from study.transfer import Ahead, pinned, to_device, waits


@dataclass(frozen=True)
class StudentConfig:
    """Everything that makes a student, resolved: one cell of the grid."""

    arch: str
    size: str
    scale: Size
    seed: int
    objectives: Mapping[str, Mapping[str, Any]]
    spec: StudentSpec


@dataclass(frozen=True)
class HostBatch:
    """What the host reads for a step: N items' numbers, lengths of their texts, targets, pixels [N, H, W, 3]."""

    rows: Tensor
    buckets: Buckets
    taught: Drawn
    pixels: Tensor | None


def _features_and_layers(
    buckets: Buckets, encode: Callable[[Tensor], TextOutput], ids: Tensor
) -> tuple[Tensor, Tensor]:
    """[T, D] and pooled layers [T, K, E] of ids [T, L]."""
    layers: list[Tensor] = []

    def features(part: Tensor) -> Tensor:
        output = encode(part)
        layers.append(pooled_layers(output))
        return output.features

    read = buckets.read(features, ids)
    return read, buckets.restored(layers)


def initial_student(teacher: DualEncoder, config: StudentConfig, texts: list[str]) -> DualEncoder:
    """The student before training: a function of arch, size and seed, and of no method."""
    stream, scale = ("init", config.arch, config.size, config.seed), config.scale
    if isinstance(scale, EncoderSpec):
        choice = EncoderChoice(scale.encoder, scale.revision, scale.pooling, scale.vocabulary)
        family = pretrained_text_family(FAMILY)
        return family.initial(teacher, choice, texts=texts, init=config.spec.init, stream=stream)
    target = shape(teacher, scale, config.spec.towers)
    return shrink(teacher, target, texts, config.spec.init, stream, config.spec.towers)


def surroundings(student: DualEncoder, teacher: DualEncoder) -> ModelInfo:
    return ModelInfo(
        embedding_width=teacher.embedding_width,
        student_layers=student.text_layers,
        student_width=student.token_table().embedding_dim,
        teacher_layers=teacher.text_layers,
        teacher_width=teacher.token_table().embedding_dim,
        image_text_loss=student.image_text_loss,
    )


def distil(
    config: StudentConfig,
    teacher: DualEncoder,
    corpus: PreparedCorpus,
    embeddings: Path,
    device: torch.device,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> tuple[DualEncoder, History, TrainingCost]:
    """A trained student, its history and its cost."""
    spec, schedule = config.spec, config.spec.training
    captions = corpus.captions("distil")
    texts, english = captions["text"].tolist(), captions["english"].tolist()
    student = initial_student(teacher, config, texts + english).to(device)
    both = spec.towers == "both"
    student.image_module().requires_grad_(both)
    with torch_stream("objectives", config.arch, config.size, config.seed):
        method = WeightedLoss(config.objectives, surroundings(student, teacher), images=both).to(device)
    check_key(embeddings, teacher, corpus)
    if spec.budget == "captions":
        schedule = schedule.model_copy(update={"steps": max(1, schedule.steps // method.captions_per_item)})
    data = DistillDataset(corpus, embeddings, device, "layers" in method.needs)

    def sampled(read: Callable[[np.ndarray], Tensor]) -> Callable[[int], Tensor]:
        # The same for every method of a block, whoever asks first. A resumed run has its checkpoint's memory instead.
        order = stream("queue", config.arch, config.size, config.seed).permutation(len(texts))
        return lambda count: read(order[:count])

    method.start(sampled(data.english), sampled(data.images))
    captions_of = {"student_x": texts, "student_e": english}
    read = {view: Captions(student, captions_of[view], device) for view in CAPTIONS if view in method.needs}
    languages = captions["language"].astype(str).to_numpy()
    weights = torch.from_numpy(language_weights(languages, spec.language_alpha)).float().to(device)
    batches = Batches(len(texts), schedule.batch, "batches", config.arch, config.size, config.seed)

    def drawn(step: int) -> HostBatch:
        chosen = batches(step)
        columns = np.concatenate([captions.columns(chosen) for captions in read.values()])
        buckets = Buckets.of(columns, schedule.length_buckets, device)
        pixels = None
        if both:
            pixels = pinned(torch.from_numpy(data.pictures.read(data.image_rows[chosen], student.fit)), device)
        return HostBatch(pinned(torch.from_numpy(chosen), device), buckets, data.drawn(chosen), pixels)

    encode, encode_layers = schedule.compiled(student.text_features), schedule.compiled(student.text_output)
    see = schedule.compiled(student.image_features)

    def step_loss(step: int) -> dict[str, Tensor]:
        host = ahead(step)
        rows = to_device(host.rows, device)
        batch = torch.cat([captions(rows, host.buckets.longest) for captions in read.values()]).long()
        layers = own_image = None
        with schedule.autocast(device):
            if "layers" in method.needs:
                features, layers = _features_and_layers(host.buckets, encode_layers, batch)
                layers = layers[: len(rows)]  # x comes first
            else:
                features = host.buckets.read(encode, batch)
            if host.pixels is not None:
                own_image = see(to_device(host.pixels, device))
        encoded = dict(zip(read, features.split(len(rows)), strict=True))
        taught = data.taught(host.taught)
        views = Batch(
            student_x=encoded.get("student_x"),
            student_e=encoded.get("student_e"),
            teacher_x=taught.x,
            teacher_e=taught.e,
            teacher_image=taught.image,
            image=own_image if own_image is not None else taught.image,
            student_layers=layers,
            teacher_layers=taught.layers,
        )
        w = weights[rows]
        return method(views, w / w.mean(), own_image)

    with Ahead(drawn, schedule.steps, waits(device)) as ahead:
        history = fit(
            student, {"method": method}, step_loss, schedule, checkpoint=checkpoint, progress=progress, batch=batches
        )
    lengths = np.sum([captions.tokens for captions in read.values()], axis=0)
    tokens = sum(int(lengths[batches(step)].sum()) for step in range(schedule.steps))
    return student, history, cost(student, schedule, method.captions_per_item, tokens, both)
