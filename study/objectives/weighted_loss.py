"""A method: a declared weighted sum of objectives, with language-aware item weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from study.objectives import objective
from study.objectives.base import Batch, ModelInfo, Objective
from study.objectives.encoded import captions_per_item, needed


class WeightedLoss(nn.Module):
    """sum_k weight_k * mean_i( w_i * L_k,i ), and the image side's terms if that tower is trained."""

    def __init__(self, declared: Mapping[str, Mapping[str, Any]], around: ModelInfo, images: bool = False) -> None:
        super().__init__()
        self.weights: dict[str, float] = {}
        self.text = nn.ModuleDict()
        self.image = nn.ModuleDict()
        for name, options in declared.items():
            kind = objective(name)
            settings = kind.Options(**options)
            self.weights[name] = settings.weight
            term = kind(settings, around)
            self.text[name] = term
            if images and kind.image_term:
                # A term of its own: what it remembers are images, not captions.
                self.image[name] = kind(settings, around)
        self.needs = needed(declared)

    @property
    def captions_per_item(self) -> int:
        """Captions that the student encodes for an item: x, e or both."""
        return captions_per_item(self.needs)

    def start(self, english: Callable[[int], Tensor], images: Callable[[int], Tensor]) -> None:
        """Let each objective fill what it remembers; see `Objective.start`."""
        for terms, sample in ((self.text, english), (self.image, images)):
            for term in terms.values():
                assert isinstance(term, Objective)
                term.start(sample)

    def forward(self, batch: Batch, item_weights: Tensor, student_image: Tensor | None = None) -> dict[str, Tensor]:
        """Named terms (scalars) and their weighted sum under "loss"."""
        terms = {name: (item_weights * term(batch)).mean() for name, term in self.text.items()}
        total = sum((self.weights[name] * value for name, value in terms.items()), start=torch.zeros(()))
        if student_image is not None:
            seen = replace(
                batch,
                student_x=student_image,
                student_e=student_image,
                teacher_x=batch.teacher_image,
                teacher_e=batch.teacher_image,
                student_layers=None,
                teacher_layers=None,
            )
            for name, term in self.image.items():
                terms[f"{name}_image"] = (item_weights * term(seen)).mean()
                total = total + self.weights[name] * terms[f"{name}_image"]
        return {"loss": total, **terms}


def language_weights(languages: np.ndarray, alpha: float) -> np.ndarray:
    """w_l proportional to n(l)^-alpha for every caption's language; alpha 0 is 1 for all.

    languages: [M] codes of the training captions. Returns [M], mean 1 over the corpus; a batch is
    scaled to mean 1 again. alpha 1 lets every language count the same.

    Raises:
        ValueError: alpha is not in [0, 1].
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"language_alpha is {alpha}, must be 0 (off) to 1 (languages count the same)")
    _, inverse, counts = np.unique(languages, return_inverse=True, return_counts=True)
    weights = counts.astype(np.float64) ** -alpha
    per_caption = weights[inverse]
    return per_caption / per_caption.mean()
