"""What an objective sees of a batch, and what every objective is.

Shape legend: N items, D embedding width, K pooled layers, E width of a text tower.
Item i has an image v_i, an English caption e_i and a caption x_i in language l_i; S is the student,
T the teacher; all embeddings are L2-normalised.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from study.objectives.options.base import ObjectiveOptions


@dataclass(frozen=True)
class Batch:
    """One batch, as the objectives see it. Teacher tensors carry no gradient.

    What the student makes of captions, and the layers, are there only if an objective's options say `needs`.
    """

    teacher_x: Tensor  # T(x), [N, D]
    teacher_e: Tensor  # T(e), [N, D]
    image: Tensor  # the image each caption should find, [N, D]: T(v), or S(v) if that tower is trained
    teacher_image: Tensor  # T(v), [N, D]
    student_x: Tensor | None = None  # S(x), [N, D]
    student_e: Tensor | None = None  # S(e), [N, D]
    student_layers: Tensor | None = None  # token-pooled hidden states of x, [N, K, E]
    teacher_layers: Tensor | None = None  # the same of the teacher, [N, K', E']


@dataclass(frozen=True)
class ModelInfo:
    """What an objective may know of the models when it is made."""

    embedding_width: int
    student_layers: int
    student_width: int
    teacher_layers: int
    teacher_width: int
    image_text_loss: Callable[[Tensor, Tensor], Tensor]


class Objective(nn.Module, ABC):
    """A loss with its options, and whatever it learns or remembers."""

    Options: ClassVar[type[ObjectiveOptions]] = ObjectiveOptions
    image_term: ClassVar[bool] = True
    """Whether a trained image tower gets the same loss with v in the place of x and e."""

    @abstractmethod
    def __init__(self, options: ObjectiveOptions, around: ModelInfo) -> None:
        super().__init__()

    def start(self, sample: Callable[[int], Tensor]) -> None:
        """Called once, before the first step: `sample(k)` draws the teacher's embeddings of k training items, [<=k, D].

        English captions, or images for the image tower's own terms.
        """

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """The loss of each item, [N]."""


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distance, summed over D: [N, D], [N, D] -> [N]."""
    return (a - b).square().sum(dim=-1)


class Queue(nn.Module):
    """First-in-first-out memory of the last `size` embeddings; starts empty, saved with checkpoints."""

    memory: Tensor
    filled: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("memory", torch.zeros(size, width))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def push(self, batch: Tensor) -> None:
        """Add [N, D], oldest out first. A batch larger than the queue leaves its last `size` rows."""
        kept = torch.cat([self.memory[: int(self.filled)], batch.detach()])[-len(self.memory) :]
        self.memory[: len(kept)] = kept
        self.filled.fill_(len(kept))

    def content(self) -> Tensor:
        """What the queue holds, oldest first, [M, D]; a copy, since `push` writes in place."""
        return self.memory[: int(self.filled)].clone()
