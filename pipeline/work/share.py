"""A shard of a teacher's embeddings, made ahead of the stage that puts all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pipeline import paths
from pipeline.work.device import torch_device
from pipeline.work.inputs import open_corpus, open_teacher
from pipeline.work.task import Progress, Task
from study.config.embedding import EmbeddingSpec

if TYPE_CHECKING:
    from study.models.dual_encoder import DualEncoder


@dataclass(frozen=True)
class ShardTask(Task):
    """Shard `number` of the arrays below `into`, which is named by all that they depend on.

    It is never done for whoever asks: a shard that is there and whole is found so when it is run.
    """

    arch: str
    into: Path
    layers: bool
    spec: EmbeddingSpec
    number: int
    kind = "embed"
    told: ClassVar[bool] = False

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.arch}-embeddings-{self.number}"

    @property
    def out(self) -> Path:
        return paths.EMBEDDINGS / self.arch / self.name

    @cached_property
    def fingerprint(self) -> str:
        return f"{self.into.name}-{self.number}"

    def make(self, folder: Path, device: str, progress: Progress) -> None:
        raise NotImplementedError("a shard is no folder of its own")

    def run(self, device: str, progress: Progress) -> None:
        from study.distill.embeddings import write_share

        teacher, where = _teacher(self.arch, self.into.name, device), torch_device(device)
        write_share(teacher, open_corpus(), self.into, where, self.layers, self.spec, self.number)


@lru_cache(maxsize=1)
def _teacher(arch: str, key: str, device: str) -> DualEncoder:
    """The teacher, held by a worker for its next shard; `key` names all that it depends on."""
    return open_teacher(arch).to(torch_device(device))
