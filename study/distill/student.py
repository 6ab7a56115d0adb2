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
from study.distill.dataset import DistillDataset, token_ids
from study.distill.embeddings import check_key
from study.distill.training import History, Progress, fit
from study.models import pretrained_text_family
from study.models.dual_encoder import DualEncoder, EncoderChoice
from study.models.embed import pooled_layers
from study.models.shrink import shape, shrink
from study.objectives.base import Batch, ModelInfo
from study.objectives.encoded import CAPTIONS
from study.objectives.weighted_loss import WeightedLoss, language_weights
from study.seeds import stream, torch_stream


@dataclass(frozen=True)
class StudentConfig:
    """Everything that makes a student, resolved: one cell of the grid."""

    arch: str
    size: str
    scale: Size
    seed: int
    objectives: Mapping[str, Mapping[str, Any]]
    spec: StudentSpec


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
    ids = {view: token_ids(student, captions_of[view]).to(device) for view in CAPTIONS if view in method.needs}
    languages = captions["language"].astype(str).to_numpy()
    weights = torch.from_numpy(language_weights(languages, spec.language_alpha)).float().to(device)
    batches = Batches(len(texts), schedule.batch, "batches", config.arch, config.size, config.seed)

    def step_loss(step: int) -> dict[str, Tensor]:
        chosen = batches(step)
        rows = torch.from_numpy(chosen).to(device)
        batch = torch.cat([every[rows] for every in ids.values()]).long()
        layers = own_image = None
        with schedule.autocast(device):
            if "layers" in method.needs:
                output = student.text_output(batch)
                features, layers = output.features, pooled_layers(output)[: len(rows)]  # x comes first
            else:
                features = student.text_features(batch)
            if both:
                pixels = torch.from_numpy(data.pictures.read(data.image_rows[chosen], student.fit)).to(device)
                own_image = student.image_features(pixels)
        encoded = dict(zip(ids, features.split(len(rows)), strict=True))
        taught = data(chosen)
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

    history = fit(student, {"method": method}, step_loss, schedule, checkpoint=checkpoint, progress=progress)
    padding = student.vocabulary.pad
    lengths = torch.stack([(every != padding).sum(dim=1) for every in ids.values()]).sum(dim=0).cpu().numpy()
    tokens = sum(int(lengths[batches(step)].sum()) for step in range(schedule.steps))
    return student, history, cost(student, schedule, method.captions_per_item, tokens, both)
