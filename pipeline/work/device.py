"""Where the work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import params, paths, stage
from study.config.params import ExecutionSpec

if TYPE_CHECKING:
    import torch


def execution() -> ExecutionSpec:
    """Where and how to run. It changes no result, so no stage depends on it."""
    with params.from_file(paths.PARAMS):
        return ExecutionSpec.model_validate(params.block("execution"))


def torch_device(name: str) -> torch.device:
    """The device called `name`; `auto` is the first GPU, or the CPU."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise stage.StageError(f"execution.device is {name!r}, must be auto, cpu, cuda or cuda:<number>") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise stage.StageError(f"execution.device is {name!r}, but torch sees no GPU here")
    return device


def device_name(device: torch.device) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
