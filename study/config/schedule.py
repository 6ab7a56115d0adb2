"""How long, in what batches and how fast a model is trained: a block of params.yaml."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import Field

from study.strict import Strict

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Made = TypeVar("Made")

BACKEND = "inductor"
"""Of torch.compile."""

MOST_RATE = 10.0
"""Of AdamW, whose steps are about as long as its rate: beyond it nothing is learnt."""


class Schedule(Strict):
    """A `training` block."""

    steps: int = Field(gt=0, le=10**9, description="optimiser steps")
    batch: int = Field(gt=1, le=10**6, description="items in a step; at most as many as the split has")
    learning_rate: float = Field(gt=0, le=MOST_RATE, description="the highest, after warm-up; then half a cosine to 0")
    warmup: float = Field(default=0.1, ge=0, lt=1, description="fraction of the steps")
    weight_decay: float = Field(default=0.01, ge=0, le=100, description="AdamW's, of matrices but the token table")
    table_multiplier: float = Field(default=1.0, gt=0, le=1e4, description="factor on the token table's learning rate")
    temperature_multiplier: float = Field(
        default=1.0, gt=0, le=1e4, description="factor on the temperature's (and bias's)"
    )
    clip_norm: float = Field(default=1.0, gt=0, le=1e9, description="longest gradient; longer ones are scaled down")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="of the towers' matrix products; weights, losses and steps stay in float32"
    )

    length_buckets: int = Field(
        default=1,
        gt=0,
        le=1000,
        description="parts of a student's batch, short texts to long, that its text tower reads one by one: with more "
        "of them it reads less padding. It rounds differently",
    )
    fused: bool = Field(default=True, description="AdamW's step as one kernel, where the device has it")
    compile: Literal["none", "default", "reduce-overhead"] = Field(
        default="none",
        description="torch.compile's mode for the towers; reduce-overhead records CUDA graphs. It rounds differently",
    )

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Where the towers run; features leave them in float32 (`protocol.normalise`)."""
        import torch  # a schedule is also read where nothing is trained

        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)

    def compiled(self, tower: Callable[[Tensor], Made]) -> Callable[[Tensor], Made]:
        """A tower's function, as torch.compile makes it if so declared; batches differ in their longest text."""
        if self.compile == "none":
            return tower
        import torch

        mode = None if BACKEND != "inductor" else self.compile
        made: Callable[[Tensor], Made] = torch.compile(tower, dynamic=True, mode=mode, backend=BACKEND)
        return made
