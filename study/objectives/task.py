"""The control: the architecture family's own image-text loss, without a teacher's text.

CLIP's softmax or SigLIP2's sigmoid loss between captions and image embeddings, temperature (and bias)
learned. The images are the frozen teacher's tower's, or the student's own if that tower is trained.
"""

from __future__ import annotations

from torch import Tensor

from study.objectives.base import Batch, ModelInfo, Objective
from study.objectives.options.base import ObjectiveOptions


class Task(Objective):
    image_term = False  # it already holds the image

    def __init__(self, options: ObjectiveOptions, around: ModelInfo) -> None:
        super().__init__(options, around)
        self.image_text_loss = around.image_text_loss

    def forward(self, batch: Batch) -> Tensor:
        assert batch.student_x is not None  # promised by `needs`
        return self.image_text_loss(batch.image, batch.student_x)
