"""Whether the weights in safetensors files are numbers, told without torch and without holding them in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

EXPONENTS: dict[str, tuple[np.dtype[Any], int]] = {
    "F64": (np.dtype("<u8"), 0x7FF0000000000000),
    "F32": (np.dtype("<u4"), 0x7F800000),
    "F16": (np.dtype("<u2"), 0x7C00),
    "BF16": (np.dtype("<u2"), 0x7F80),
}
"""Types of floating point: the unsigned integer of that width, and the bits that are all set in NaN and infinity."""
TOGETHER = 1 << 22
"""Values that are looked at at a time."""
MOST_BYTES = 4 << 30
"""Of a file that is looked at before it is needed; a larger one is when it is loaded."""


def not_finite(file: Path) -> Iterator[str]:
    """Names of the tensors with a value that is NaN or infinite, in a file whose header is whole.

    Of a file above `MOST_BYTES`, none.
    """
    if file.stat().st_size > MOST_BYTES:
        return
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    for name, tensor in header.items():
        if name == "__metadata__" or tensor["dtype"] not in EXPONENTS:
            continue
        kind, bits = EXPONENTS[tensor["dtype"]]
        start, end = tensor["data_offsets"]
        count = (end - start) // kind.itemsize
        for first in range(0, count, TOGETHER):
            values = np.fromfile(
                file, kind, min(TOGETHER, count - first), offset=8 + length + start + first * kind.itemsize
            )
            if ((values & kind.type(bits)) == kind.type(bits)).any():
                yield name
                break
