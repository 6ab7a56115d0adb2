"""Make torchvision importable where its compiled library does not load.

open_clip and timm import torchvision, whose Python part registers fake kernels for the operators
`nms` and `qnms` and fails when their schemas do not exist. That happens when the wheel was built for
another torch. We use neither operator, so empty schemas are enough.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library: torch.library.Library | None = None


def own_library_loads() -> bool:
    """Whether torchvision's compiled operators load into this torch."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    for path in Path(spec.origin).parent.glob("_C*"):
        try:
            torch.ops.load_library(str(path))
        except OSError:
            continue
        return True
    return False


def ensure() -> None:
    """Define the two schemas, once, and only if torchvision cannot define them itself."""
    global _library
    if _library is not None or hasattr(torch.ops.torchvision, "nms") or own_library_loads():
        return
    # Kept for the life of the process: the schemas go when the library object goes.
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        _library.define(schema)
