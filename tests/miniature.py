"""Checkpoints and data sets in the published formats, tiny: python -m tests.miniature FOLDER.

What studies/miniature reads: FOLDER/checkpoints and FOLDER/data. Folders that are there are left alone.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.study.data import data_sets, question_sets
from tests.study.models.checkpoints import models

CHECKPOINTS = ("open_clip_xlm_roberta", "transformers_siglip2", "small_encoder")
LANGUAGES = ("de", "en", "ja", "sw")


def coco(folder: Path) -> None:
    def images(first: int, count: int) -> list[data_sets.Shot]:
        return data_sets.shots(first, count, data_sets.COCO_LANGUAGES, captions=2, key="{}")

    data_sets.write_multilingual_coco(folder, {"train": images(0, 30), "val": images(30, 6)})


def xm3600(folder: Path) -> None:
    data_sets.write_crossmodal3600(folder, data_sets.shots(36, 20, LANGUAGES, captions=2))


def cvqa(folder: Path) -> None:
    labelled = question_sets.cvqa_rows(32, held_back=False)
    question_sets.write_cvqa(folder, labelled + question_sets.cvqa_rows(36)[32:])


DATA: dict[str, Callable[[Path], None]] = {"coco": coco, "xm3600": xm3600, "cvqa": cvqa}


def checkpoint(name: str, folder: Path) -> None:
    making = folder.with_name(f"{folder.name}.making")
    os.replace(models.build(name, making), folder)
    shutil.rmtree(making)


def write(folder: Path) -> None:
    """Fill `folder`; what is there already stays as it is."""
    for name in CHECKPOINTS:
        _whole(folder / "checkpoints" / name, partial(checkpoint, name))
    for name, writer in DATA.items():
        _whole(folder / "data" / name, writer)


def _whole(out: Path, writer: Callable[[Path], None]) -> None:
    if out.is_dir():
        return
    working = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    working.parent.mkdir(parents=True, exist_ok=True)
    writer(working)
    os.replace(working, out)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # libraries point out that the weights are random
    write(Path(sys.argv[1]))
