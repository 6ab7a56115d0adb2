"""What the training of a run took."""

from __future__ import annotations

from dataclasses import dataclass

from study.config.schedule import Schedule
from study.models.dual_encoder import DualEncoder, count


@dataclass(frozen=True)
class TrainingCost:
    """Optimiser steps, items seen, captions encoded by the trained model, and estimated FLOP."""

    steps: int
    items: int
    captions: int
    flops: float

    @classmethod
    def none(cls) -> TrainingCost:
        """Of a model that was not trained here."""
        return cls(0, 0, 0, 0.0)


def cost(model: DualEncoder, schedule: Schedule, captions_per_item: int, tokens: int, images: bool) -> TrainingCost:
    """6 x parameters x tokens (Kaplan et al. 2020, arXiv 2001.08361, section 2.1); lookups and padding left out."""
    items = schedule.steps * schedule.batch
    flops = 6.0 * model.text_counts().non_vocabulary * tokens
    if images:
        flops += 6.0 * count(model.image_module()) * model.image_tokens * items
    return TrainingCost(schedule.steps, items, items * captions_per_item, flops)
