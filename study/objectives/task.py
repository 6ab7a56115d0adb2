"""The control: the architecture family's own image-text loss, without a teacher's text.

CLIP's softmax or SigLIP2's sigmoid loss between captions and image embeddings, temperature (and bias)
learned. The images are the frozen teacher's tower's, or the student's own if that tower is trained.
"""

from __future__ import annotations

from torch import Tensor

from study.objectives.options.base import Settings
from study.objectives.views import Objective, Surroundings, Views


class Task(Objective):
    image_term = False  # it already holds the image

    def __init__(self, options: Settings, around: Surroundings) -> None:
        super().__init__(options, around)
        self.image_text_loss = around.image_text_loss

    def forward(self, views: Views) -> Tensor:
        assert views.student_x is not None  # promised by `needs`
        return self.image_text_loss(views.image, views.student_x)
