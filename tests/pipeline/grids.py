"""A whole study that trains its students in a second each: a real declaration and teacher, made-up hashes of code."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import torch

from pipeline import paths, stage
from pipeline.sources import ROOT
from pipeline.work import inputs, score
from pipeline.work.teach import TeacherTask
from study.distill.cost import TrainingCost
from study.distill.embeddings import write_embeddings
from study.models import trainable
from study.models.shrink import summary
from study.models.tokenizers.vocabulary import Vocabulary
from study.seeds import stream, torch_stream
from tests.pipeline.studies import edit
from tests.study.tiny import write_corpus

ARCH = "clip"
STEPS = 6


def write_grid(
    folder: Path, methods: Sequence[str] = ("none", "fd"), seeds: Sequence[int] = (0, 1), **changes: Any
) -> None:
    """A study with a corpus, a teacher that has not learnt, and its embeddings; no student. `folder` has to be the
    working one.

    Args:
        folder: to be filled.
        methods, seeds: the grid's, of one architecture and size.
        changes: further values of params.yaml, by dotted key with `__` in the place of dots.
    """
    shutil.copy(ROOT / "studies" / "smoke" / "params.yaml", folder / "params.yaml")
    shutil.copy(ROOT / "dvc.yaml", folder / "dvc.yaml")
    declared: dict[str, Any] = {
        "study.name": "grid",
        "grid": {"archs": [ARCH], "sizes": ["half"], "methods": list(methods), "seeds": list(seeds)},
        "students.training": {"steps": STEPS, "batch": 8, "learning_rate": 0.001},
        "sizes.half": 0.8,
        "execution": {"device": "cpu", "workers": 1, "threads": 1},
    }
    edit(folder / "params.yaml", declared | {key.replace("__", "."): value for key, value in changes.items()})
    (folder / "tuning").mkdir()
    write_resolved(methods)
    for cached in (inputs.open_corpus, inputs._teacher_content, inputs.embeddings_content, score.teacher_images):
        cached.cache_clear()
    corpus = write_corpus(folder / paths.CORPUS)
    captions = corpus.captions("distil")
    rng = stream("test", "words")
    words = ["".join(rng.choice(list("abdegiklmnorstu"), 6)) for _ in range(1000)]
    vocabulary = Vocabulary.train([*captions["text"], *captions["english"], *words], 1500)
    with torch_stream("test", ARCH):
        teacher = trainable(ARCH).build("polyglot-s-p8-32", vocabulary, 20).eval()
    task = TeacherTask(ARCH)
    teacher.save(task.out)
    row = {"role": "teacher", "arch": ARCH, "size": "full", "method": "teacher", "seed": 0, "towers": "both"}
    row |= {"learning_rate": 0.001, **asdict(TrainingCost.none()), **summary(teacher, teacher), "device": "cpu"}
    row |= {"cell": task.name, "fingerprint": task.fingerprint}
    stage.write_json(task.out / "run.json", {"cell": task.name, "row": row, "settings": {}, "versions": {}})
    (task.out / "fingerprint").write_text(task.fingerprint + "\n")
    write_embeddings(teacher, corpus, paths.EMBEDDINGS / ARCH, torch.device("cpu"), layers=False)


def write_resolved(methods: Sequence[str], tuned: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """resolved.json without a look at the code; `tuned` values by method."""

    def by_cell(values: Mapping[str, Any]) -> dict[str, Any]:
        return {ARCH: {"half": {method: values.get(method, {}) for method in methods}}}

    content = {
        "contents": {"teachers": {ARCH: None}, "sizes": {"half": None}},
        "tuned": by_cell(tuned or {}),
        "code": {
            "teacher": {ARCH: "t"},
            "student": by_cell(dict.fromkeys(methods, "s")),
            "evaluate": "e",
        },
    }
    stage.write_json(paths.RESOLVED, content)


def cell_names(methods: Sequence[str] = ("none", "fd"), seeds: Sequence[int] = (0, 1)) -> list[str]:
    return [f"{ARCH}-half-{method}-s{seed}" for seed, method in product(seeds, methods)]


def deliver(what: str = "students") -> None:
    """As DVC's stages do after the pool."""
    from pipeline import pool

    for job in pool.jobs(what):
        for task in job:
            stage.deliver(task.folder, task.out)


def contents(*folders: Path) -> dict[str, bytes]:
    """Every file below some folders."""
    return {str(path): path.read_bytes() for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()}
