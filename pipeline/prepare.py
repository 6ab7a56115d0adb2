"""Stage `prepare`: the declared corpus, in the layout that everything later reads."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pipeline import paths, stage
from pipeline.sources import ROOT
from study.corpora import corpus as find_corpus

CACHE = Path(os.environ.get("POLYGLOTS_CACHE", ROOT / ".cache"))
"""Downloads, shared by all studies of this checkout."""


def main() -> None:
    with stage.main("prepare"):
        plan = stage.read_json(paths.PLAN / "corpus.json", name=str, settings=dict, languages=list, vqa_languages=list)
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

        stage.write_folder(paths.CORPUS, make)


if __name__ == "__main__":
    main()
