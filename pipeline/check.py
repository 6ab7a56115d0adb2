"""`check`: everything that is wrong with params.yaml and what it names, before anything is made."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from pipeline import needs, paths, stage
from pipeline.tuned import sentence, tuned_values
from study.config.check import problems as wrong_in
from study.config.params import Params, read
from study.data import corpus as find_corpus
from study.data.fingerprint import ends_hash
from study.data.prepared import file_hash

MADE = ("corpus", "teachers", "embeddings", "runs", "scores", "results", "report", "logs")
"""Folders that stages make."""


def check_fresh(params: Params) -> None:
    """Refuse a prepared corpus whose sources have changed: DVC watches declarations, not the user's data.

    Raises:
        StageError: a table or shard that the corpus was made from is another one now.
    """
    made = paths.CORPUS / "corpus.json"
    if not made.is_file():
        return
    card, wanted = stage.read_json(made), params.corpus
    settings = find_corpus(wanted.name).Settings.model_validate(wanted.settings).model_dump(mode="json")
    if (card["corpus"], card["settings"]) != (wanted.name, settings):
        return
    for kind, hashed in (("tables", file_hash), ("bulk", ends_hash)):
        for name, known in card["facts"].get(kind, {}).items():
            if not Path(name).is_file() or hashed(Path(name)) != known:
                raise stage.StageError(
                    f"{name} has changed or gone since {paths.CORPUS}/ was prepared from it: give "
                    f"corpus.settings.revision another value (it is {settings['revision']!r}), and the study follows"
                )


def check(declared: Path, *, tell: bool) -> Params:
    """A params.yaml of the working folder that can be run; with `tell`, what it needs is printed first.

    Raises:
        ParamsError: it cannot be read.
        StageError: something does not fit, or is missing; every problem has its line.
    """
    params = read(declared)
    missing = needs.tell(params) if tell else []
    problems = [f"{declared}: {problem}" for problem in (*wrong_in(params), *_places(params))]
    if missing:
        problems.append(f"missing: {len(missing)} of the inputs; nothing was downloaded or trained")
    if problems:
        raise stage.StageError("\n".join(problems))
    check_fresh(params)
    return params


def _places(params: Params) -> list[str]:
    """What is wrong with the folder of tuned values."""
    values = Path(params.tuning.values)
    if values.parts[0] in MADE:
        return [f"tuning.values is {params.tuning.values!r}: {values.parts[0]} is made by the study itself"]
    if not values.is_dir():
        return [
            f"tuning.values is {params.tuning.values!r}, and there is no such folder: make it, and put a .gitkeep into "
            "it, since git keeps no empty folder"
        ]
    return []


def told(params: Params) -> list[str]:
    """What a check that found nothing wrong ends with."""
    grid = params.grid
    tuned = {
        f"{arch}-{size}-{method}": bool(tuned_values(params, arch, size, method))
        for arch, size, method in product(grid.archs, grid.sizes, grid.methods)
    }
    if params.root is not None:
        print(f"{paths.PARAMS}: root is not used any more, leave it out")
    return [line for line in (*needs.summary(params), sentence(tuned)) if line]


def run() -> None:
    """Check the study of the working folder, and print what was found; nothing is made.

    Raises:
        StageError: every problem, one per line.
    """
    print("\n".join(told(check(paths.PARAMS, tell=True))))
