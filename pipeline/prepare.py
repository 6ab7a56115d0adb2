"""Stage `prepare`: the declared corpus, in the layout that everything later reads."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import paths, stage
from pipeline.sources import ROOT
from study.config.pretrained import teacher_spec
from study.config.readers import reader
from study.data import corpus as find_corpus
from study.data import refuses_questions
from study.data.alike import Read
from study.data.answerable import exclude_unanswerable
from study.data.prepared import DatasetCard

CACHE = Path(os.environ.get("POLYGLOTS_CACHE", ROOT / ".cache"))
"""Downloads, shared by all studies of this checkout."""


def _reader(spec: Mapping[str, Any] | None) -> Read | None:
    return reader(None if spec is None else teacher_spec(spec), fetch=True)


def left_out(card: DatasetCard) -> list[str]:
    """What of the data is not in the corpus, in a line each."""
    images = card.facts.get("images left out", {})
    alike = card.facts.get("questions left out, two options alike", {}).get("by language", {})
    lines = [
        f"prepare: {sum(count.values()):,} {what} left out ({', '.join(f'{count[kind]:,} {kind}' for kind in count)}); "
        "see facts in corpus/corpus.json"
        for what, count in (("images", images), ("questions with two options alike", alike))
        if count
    ]
    return lines or ["prepare: nothing was left out"]


def run() -> None:
    plan = stage.read_json(
        paths.PLAN / "corpus.json", name=str, settings=dict, languages=list, vqa_languages=list, readers=dict
    )
    corpus = find_corpus(plan["name"])
    with stage.planned(paths.PLAN / "corpus.json"):
        settings = corpus.Settings.model_validate(plan["settings"])
    started, said = time.perf_counter(), ""

    def progress(step: str, fraction: float) -> None:
        nonlocal said
        line = f"prepare: {step}"
        if line != said:
            print(f"{line} ({time.perf_counter() - started:.0f} s)", flush=True)
            said = line

    def make(folder: Path) -> None:
        corpus.build(settings, plan["languages"], plan["vqa_languages"], folder, CACHE, progress)
        progress("texts as the teachers read them", 0.0)
        found = {arch: _reader(one["spec"]) for arch, one in plan["readers"].items()}
        readers = {arch: read for arch, read in found.items() if read is not None}
        print(
            "\n".join(left_out(exclude_unanswerable(folder, readers, refuse=refuses_questions(settings)))), flush=True
        )

    stage.write_folder(paths.CORPUS, make)


if __name__ == "__main__":  # `python -m pipeline.prepare`, which scripts of earlier versions call
    with stage.main("prepare"):
        run()
