"""A model of the study as a folder for a public library.

    small-polyglots export clip-half-ed-s0 --to open_clip [--out folder]
    small-polyglots export siglip2-half-ed-s0 --to transformers [--out folder]
    small-polyglots export siglip2-half-ed-s0 --to sentence-transformers [--out folder]

Run in the study's folder. Students are named as in runs/, teachers {arch}-teacher.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths, stage
from pipeline.collect import model_folder
from study.data.base import nearest

if TYPE_CHECKING:
    import pandas as pd

    from study.data.prepared import PreparedCorpus

EXPORTED = Path("exported")
RECORD = "export.json"
"""Says that a folder was written here, and which files are ours to replace."""


def known_cells() -> set[str]:
    """Every name that is declared, and every one that has a folder."""
    grid = paths.PLAN / "grid.json"
    declared = stage.read_json(grid) if grid.is_file() else {"cells": [], "teachers": []}
    made = {path.name for path in paths.RUNS.glob("*") if path.is_dir()}
    taught = {f"{path.name}-teacher" for path in paths.TEACHERS.glob("*") if path.is_dir()}
    return {*declared["cells"], *declared["teachers"], *made, *taught}


def source_folder(cell: str) -> Path:
    """The model's folder.

    Raises:
        StageError: no such cell, or it was not trained yet.
    """
    known = known_cells()
    if not known:
        raise stage.StageError(f"{Path.cwd()} holds no study's models: run `make repro`, or change to a study's folder")
    if cell not in known:
        raise stage.StageError(f"unknown cell {cell!r}; {nearest(cell, known)}")
    folder = model_folder(cell)
    if not (folder / "run.json").is_file():
        raise stage.StageError(f"{folder / 'run.json'} is not there: cell {cell} is not trained, run `make repro`")
    return folder


def check_free(out: Path) -> None:
    """Refuse a place that holds anything an export did not write.

    Raises:
        StageError: it does; the message names a file.
    """
    if out.exists() and not out.is_dir():
        raise stage.StageError(f"{out} is a file: give a folder")
    present = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    ours = set(stage.read_json(out / RECORD)["files"]) if RECORD in present else set()
    if foreign := sorted(present - ours - {RECORD}):
        raise stage.StageError(f"{out} holds {foreign[0]}, which no export wrote: give another folder, or empty it")


def scores(cell: str, fingerprint: str) -> tuple[pd.DataFrame | None, str]:
    """Scores by language of that very training; without them None and why."""
    import pandas as pd

    from study.export.card import score_table

    collected = paths.RESULTS / "cells.parquet"
    if collected.is_file():
        cells = pd.read_parquet(collected)
        if ((cells["cell"] == cell) & (cells["fingerprint"] == fingerprint)).any():
            found = [pd.read_parquet(paths.RESULTS / f"{name}.parquet") for name in ("retrieval", "vqa")]
            return score_table(*(frame[frame["cell"] == cell] for frame in found)), ""
    files = [paths.SCORES / cell / f"{name}.parquet" for name in ("retrieval", "vqa")]
    if not all(file.is_file() for file in files):
        return None, "the model had not been scored when it was exported"
    record, plan = paths.SCORES / cell / "fingerprint", paths.PLAN / "evaluation.json"
    if record.is_file() and plan.is_file():
        expected = stage.declared_hash({"cell": cell, **stage.read_json(plan)}, fingerprint)
        if record.read_text().strip() != expected:
            return None, "those at hand are of another training or protocol than this one's"
    return score_table(*(pd.read_parquet(file) for file in files)), ""


def scored_texts(corpus: PreparedCorpus) -> pd.DataFrame:
    """Every text behind the scores: columns language, text."""
    import pandas as pd

    from study.data.prepared import scored_text

    captions = corpus.captions("test")[["language", "text"]]
    if not corpus.card.questions:
        return captions
    asked = corpus.texts(split="test").explode("options")
    texts = [scored_text(prompt, option) for prompt, option in zip(asked["prompt"], asked["options"], strict=True)]
    return pd.concat([captions, pd.DataFrame({"language": asked["language"].to_numpy(), "text": texts})])


def export(cell: str, to: str, out: Path) -> None:
    """Write the folder `out`, whole or not at all.

    Raises:
        StageError: see `source_folder` and `check_free`.
        study.export.ExportError: the library does not load that family.
        study.names.UnknownNameError: no such library.
    """
    source = source_folder(cell)
    out = out.resolve()
    check_free(out)

    from study.data.prepared import PreparedCorpus
    from study.export import target
    from study.export.card import model_card
    from study.export.description import Description
    from study.models import checkpoint

    run: dict[str, Any] = stage.read_json(source / "run.json")
    family = stage.read_json(source / "config.json")["family"]
    writer = target(to, family)
    corpus = PreparedCorpus(paths.CORPUS)
    taught = paths.TEACHERS / run["row"]["arch"]
    teacher = checkpoint.load(taught) if checkpoint.needs_teacher(source) else None
    model = checkpoint.load(source, teacher)
    table, why = scores(cell, run["row"]["fingerprint"])
    about = Description(
        run=run,
        teacher=stage.read_json(taught / "run.json"),
        corpus=corpus.card,
        scores=table,
        no_scores=why,
        library=to,
        load=writer.load(model, cell),
        remarks=writer.remarks(model, scored_texts(corpus)),
        family=family,
        context=model.context,
        image_size=model.fit.size,
    )

    def fill(folder: Path) -> None:
        writer.write(model, folder)
        (folder / "README.md").write_text(model_card(about), encoding="utf-8")
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        record = {"cell": cell, "to": to, "fingerprint": run["row"]["fingerprint"], "files": files}
        stage.write_json(folder / RECORD, record)
        for name in (*files, RECORD):
            (folder / name).chmod(0o644)  # safetensors writes files that only their owner can read

    # Beside `out`, which may lie on another disk than the study.
    working = out.with_name(f".{out.name}.exporting")
    shutil.rmtree(working, ignore_errors=True)
    stage.make(working, fill)
    stage.adopt(working, out)
