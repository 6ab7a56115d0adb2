"""Stage `embed@arch`: the teacher's outputs on everything that students meet.

They are made in a scratch place named by all that they depend on, shard by shard, side by side by the declared engine.
After a kill the stage goes on there: finished shards are verified and kept.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from pipeline import params, paths, stage
from pipeline.engines import engine
from pipeline.engines.base import Job
from pipeline.pool import run_jobs
from pipeline.work.device import execution, torch_device
from pipeline.work.inputs import corpus_content, open_corpus, open_teacher, teacher_folder
from pipeline.work.share import ShardTask
from study.config.embedding import EmbeddingSpec

REPORT_SECONDS = 20.0
FEWEST = 4
"""Shards for which workers are started: the start of each takes seconds."""
LARGEST = 1 << 30
"""Bytes of a teacher that each worker of a CPU may hold; a larger one is used by all cores of one process."""


def run(arch: str) -> None:
    from study.distill.embeddings import write_embeddings

    values = params.of_stage("embed", arch=arch)
    with params.from_file(paths.PARAMS):
        spec = EmbeddingSpec.model_validate(values["embedding"])
    made_from = (paths.TEACHERS / arch / "fingerprint").read_text()
    folder = stage.scratch("embed", f"{arch}-{stage.declared_hash(values, made_from, corpus_content())}")
    for other in folder.parent.glob(f"{arch}-*"):
        if other != folder:  # begun for a declaration that is no more
            shutil.rmtree(other)
    make_ahead(arch, folder, values["layers"], spec)
    where = torch_device(execution().device)
    teacher = open_teacher(arch).to(where)
    write_embeddings(teacher, open_corpus(), folder, where, values["layers"], spec, Told(arch))
    (folder / stage.DONE).touch()
    stage.deliver(folder, paths.EMBEDDINGS / arch)


def make_ahead(arch: str, folder: Path, layers: bool, spec: EmbeddingSpec) -> None:
    """Make the shards side by side, where there are several and more than one worker; the stage makes what is left."""
    from study.distill.embeddings import shards

    count = shards(open_corpus(), layers, spec)
    if count < FEWEST:
        return
    by = engine(execution(), count)
    held = sum(file.stat().st_size for file in teacher_folder(arch).glob("*.safetensors"))
    if by.workers > 1 and (held <= LARGEST or not by.where.startswith("cpu")):
        jobs: list[Job] = [(ShardTask(arch, folder, layers, spec, number),) for number in range(count)]
        run_jobs(f"shards of {arch}", jobs, by)


class Told:
    """Says how far it is, now and then; a stage of seconds says nothing."""

    def __init__(self, arch: str) -> None:
        self.arch, self.last = arch, time.perf_counter()

    def __call__(self, name: str, total: int, done: int) -> None:
        if time.perf_counter() - self.last >= REPORT_SECONDS:
            self.last = time.perf_counter()
            print(f"embed {self.arch}: {name}, {done} of {total} rows", flush=True)
