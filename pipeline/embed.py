"""Stage `embed@arch`: the teacher's outputs on everything that students meet."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline import paths, stage
from pipeline.work import execution, open_corpus, open_teacher, torch_device


def main(arch: str) -> None:
    with stage.main("embed"):
        from study.embedding import write_embeddings

        plan = stage.read_json(paths.PLAN / f"embed-{arch}.json")
        where = torch_device(execution()["device"])
        teacher = open_teacher(arch).to(where)

        def make(folder: Path) -> None:
            write_embeddings(teacher, open_corpus(), folder, where, plan["layers"])

        stage.write_folder(paths.EMBEDDINGS / arch, make)


if __name__ == "__main__":
    main(sys.argv[1])
