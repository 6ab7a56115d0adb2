"""What a model's card is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from study.data.prepared import DatasetCard


@dataclass(frozen=True)
class Description:
    """What a card tells of a model.

    run, teacher: their run.json. corpus: the corpus's card. scores: by language, columns as `card.score_table`
    makes them, or None with `no_scores` saying why. load: Python lines that load it with `library`. remarks:
    what its user has to know of the library. context: tokens of the longest text.
    """

    run: Mapping[str, Any]
    teacher: Mapping[str, Any]
    corpus: DatasetCard
    scores: pd.DataFrame | None
    no_scores: str
    library: str
    load: str
    remarks: Sequence[str]
    family: str
    context: int
    image_size: int

    @property
    def name(self) -> str:
        return str(self.run["cell"])

    @property
    def taught(self) -> Mapping[str, Any]:
        """The teacher's block of params.yaml."""
        settings: Mapping[str, Any] = self.teacher["settings"]
        return settings

    @property
    def published(self) -> list[Mapping[str, Any]]:
        """Blocks of the weights that others published: the teacher's, the text encoder's."""
        blocks = [self.taught, self.run["settings"].get("encoder", {})]
        return [block for block in blocks if "checkpoint" in block or "encoder" in block]
