"""`new`: the folder of a study of one's own, inside a clone of this project or in any git repository."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline import paths, stage
from pipeline.params import TEMPLATE
from pipeline.sources import ROOT
from study.config.json_schema import text as schema
from study.config.params import Name

SCHEMA = "params.schema.json"
IGNORED = (".scratch/", "mlflow.db*", "mlartifacts/", "exported/", "pool-teachers.stamp", "pool.stamp")
"""What a study makes and DVC does not ignore for itself."""


def new(folder: Path) -> list[str]:
    """Fill `folder` with a study that runs; returns what to do next, in a line each.

    Raises:
        StageError: the folder holds a study, its name cannot be a study's, or no DVC repository is around it.
    """
    name = folder.resolve().name
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise stage.StageError(
            f"{name!r} cannot be the name of a study: lower-case letters and digits, divided by single _ or +"
        ) from None
    for file in (paths.PARAMS, paths.DVC):
        if (folder / file).exists():
            raise stage.StageError(f"{folder / file} is there already: choose another folder")
    above = folder.resolve().parents
    repository = next((place for place in above if (place / ".dvc").is_dir()), None)
    if repository is None:
        raise stage.StageError(f"{above[0]} is in no DVC repository: run `git init` and `dvc init` there first")
    inside = folder.resolve().is_relative_to(ROOT) and (ROOT / SCHEMA).is_file()
    (folder / "tuning").mkdir(parents=True, exist_ok=True)
    (folder / "tuning" / ".gitkeep").touch()  # git keeps no empty folder
    (folder / paths.DVC).write_bytes((TEMPLATE / "stages.yaml").read_bytes())
    known = Path(os.path.relpath(ROOT / SCHEMA, folder)).as_posix() if inside else SCHEMA
    text = (TEMPLATE / "params.yaml").read_text(encoding="utf-8").replace("SCHEMA", known, 1).replace("NAME", name, 1)
    (folder / paths.PARAMS).write_text(text, encoding="utf-8")
    if inside:
        return [f"make repro STUDY={name}" if folder.resolve().parent == ROOT / "studies" else _run(folder)]
    (folder / SCHEMA).write_text(schema(), encoding="utf-8")
    (folder / ".gitignore").write_text("".join(f"/{line}\n" for line in IGNORED), encoding="utf-8")
    _plots(repository)
    return [_run(folder)]


def _run(folder: Path) -> str:
    return f"cd {folder} && dvc repro"


def _plots(repository: Path) -> None:
    """DVC looks for templates of plots in its own folder."""
    place = repository / ".dvc" / "plots"
    place.mkdir(parents=True, exist_ok=True)
    for template in sorted((TEMPLATE / "plots").glob("*.json")):
        if not (place / template.name).exists():
            (place / template.name).write_bytes(template.read_bytes())
