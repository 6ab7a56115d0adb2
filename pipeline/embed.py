"""Stage `embed@arch`: the teacher's outputs on everything that students meet.

They are made in a scratch place named by all that they depend on. After a kill the stage goes on there:
finished shards are verified and kept.
"""

from __future__ import annotations

import shutil
import time

from pipeline import params, paths, stage
from pipeline.work.device import execution, torch_device
from pipeline.work.inputs import corpus_content, open_corpus, open_teacher

REPORT_SECONDS = 20.0


def run(arch: str) -> None:
    from study.config.embedding import EmbeddingSpec
    from study.distill.embeddings import write_embeddings

    values = params.of_stage("embed", arch=arch)
    with params.from_file(paths.PARAMS):
        spec = EmbeddingSpec.model_validate(values["embedding"])
    where = torch_device(execution().device)
    teacher = open_teacher(arch).to(where)
    made_from = (paths.TEACHERS / arch / "fingerprint").read_text()
    folder = stage.scratch("embed", f"{arch}-{stage.declared_hash(values, made_from, corpus_content())}")
    for other in folder.parent.glob(f"{arch}-*"):
        if other != folder:  # begun for a declaration that is no more
            shutil.rmtree(other)
    write_embeddings(teacher, open_corpus(), folder, where, values["layers"], spec, Told(arch))
    (folder / stage.DONE).touch()
    stage.deliver(folder, paths.EMBEDDINGS / arch)


class Told:
    """Says how far it is, now and then; a stage of seconds says nothing."""

    def __init__(self, arch: str) -> None:
        self.arch, self.last = arch, time.perf_counter()

    def __call__(self, name: str, total: int, done: int) -> None:
        if time.perf_counter() - self.last >= REPORT_SECONDS:
            self.last = time.perf_counter()
            print(f"embed {self.arch}: {name}, {done} of {total} rows", flush=True)
