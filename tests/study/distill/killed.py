"""Writes an array and kills itself within the third of four shards: python -m tests.study.distill.killed FOLDER."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from study.distill.shards import ShardSource, digest, write_array

ARRAY = torch.arange(80.0).reshape(20, 4)


def parts(made: list[int], fatal: int | None = None) -> Iterator[ShardSource]:
    def blocks(number: int, rows: Tensor) -> Iterator[Tensor]:
        yield rows[:2]
        if number == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        made.append(number)
        yield rows[2:]

    for number, rows in enumerate(ARRAY.split(5)):
        yield ShardSource(digest(rows.tolist()), 5, partial(blocks, number, rows))


if __name__ == "__main__":
    write_array(Path(sys.argv[1]), "bfloat16", len(ARRAY), parts([], fatal=2))
