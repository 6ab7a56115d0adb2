"""An accepted params.yaml taken further: plans, DVC's graph, and every stage of the study made tiny.

The tiny study keeps what the file declares, but for numbers that only say how much there is: one or two cells, few
languages, scenes and steps.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

from ruamel.yaml import YAML

from pipeline import analyse, collect, embed, paths, prepare, settle, stage, validate
from pipeline.sources import ROOT
from study.config.params import Params
from tests.fuzzing.parameters import dumped

MOST = {"steps": 4, "batch": 16, "teacher": 60, "distil": 40, "validation": 12, "test": 12, "queue": 64, "items": 12}
LANGUAGES = 3


def plans() -> None:
    """Every plan of the params.yaml in the working folder, written as the stage `validate` does."""
    params = validate.check(Path("params.yaml"), tell=False)
    for content in validate.plans(params).values():
        stage.write_json(Path(".scratch/plan.json"), content)


def graph(folder: Path, params: Path) -> None:
    """DVC reads the file and builds its graph, with all stages of the matrix; raises what DVC does."""
    from dvc.repo import Repo

    folder.mkdir(parents=True)
    shutil.copy(params, folder / "params.yaml")
    shutil.copy(ROOT / "dvc.yaml", folder / "dvc.yaml")
    (folder / validate.read(params).tuning.values).mkdir(parents=True, exist_ok=True)
    with Repo.init(str(folder), no_scm=True) as repo:
        repo.index.check_graph()
        assert repo.index.stages, "DVC has found no stage"


def tiny(raw: dict[str, Any], random: Random) -> dict[str, Any]:
    """The declaration of an accepted file, made small enough for seconds."""
    grid, control = raw["grid"], raw["analysis"]["control"]
    grid["archs"], grid["sizes"] = [random.choice(grid["archs"])], [random.choice(grid["sizes"])]
    others = [name for name in grid["methods"] if name != control]
    grid["methods"] = [control, *([random.choice(others)] if others else [])]
    grid["seeds"] = grid["seeds"][:1]
    if isinstance(raw["analysis"].get("contrasts"), list):
        raw["analysis"]["contrasts"] = "all"
    raw["tuning"]["search"] = {}
    raw["execution"] = {**raw.get("execution", {}), "device": "cpu", "workers": 1, "threads": 1}
    for block in (raw["students"], *raw["teachers"].values()):
        _lessen(block.get("training", {}))
    for terms in raw["methods"].values():
        for options in terms.values():
            _lessen(options)
    if raw["corpus"]["name"] == "emoji":
        _lessen_emoji(raw, random)
    return raw


def _lessen(block: dict[str, Any]) -> None:
    for key, most in MOST.items():
        if isinstance(block.get(key), int):
            block[key] = min(block[key], most)


def _lessen_emoji(raw: dict[str, Any], random: Random) -> None:
    corpus = raw["corpus"]
    settings = corpus.setdefault("settings", {})
    languages = corpus.get("languages", "all")
    spoken = list(languages) if isinstance(languages, list) else ["de", "en", "zh"]
    chosen = sorted({"en"} & set(spoken)) + random.sample(
        [x for x in spoken if x != "en"], min(len(spoken), LANGUAGES) - 1
    )
    corpus["languages"] = chosen
    asked = corpus.get("vqa_languages", "all")
    corpus["vqa_languages"] = [x for x in (asked if isinstance(asked, list) else ["de", "en", "zh"]) if x in chosen]
    if "share" in settings:
        settings["share"] = {code: share for code, share in settings["share"].items() if code in chosen}
    settings["concepts"] = min(settings.get("concepts", 16), 16)
    settings["captions_per_scene"] = min(settings.get("captions_per_scene", 3), 3)
    settings["scenes"] = {"teacher": 60, "distil": 40, "validation": 12, "test": 12} | settings.get("scenes", {})
    settings["questions"] = {"validation": 8, "test": 12} | settings.get("questions", {})
    _lessen(settings["scenes"])
    _lessen(settings["questions"])
    for teacher in raw["teachers"].values():
        if "vocabulary" in teacher:
            teacher["vocabulary"] = min(teacher["vocabulary"], 1000)


def shrunk(params: Path, random: Random) -> bytes:
    """The tiny file of an accepted one."""
    return dumped(tiny(YAML(typ="safe", pure=True).load(params), random))


def sized(content: bytes, fraction: float) -> bytes:
    """The same with a fraction that a teacher this small has room for."""
    raw = YAML(typ="safe", pure=True).load(content.decode("utf-8", "surrogatepass"))
    raw["sizes"] = {name: fraction if isinstance(size, float) else size for name, size in raw["sizes"].items()}
    return dumped(raw)


def run(kept: Path) -> None:
    """Carry out every stage in the working folder, whose params.yaml is tiny; prepared corpora are kept in `kept`.

    Raises what a stage raises.
    """
    from pipeline.carry import carry_out
    from pipeline.work.distil import DistilTask
    from pipeline.work.score import EvaluateTask
    from pipeline.work.teach import TeacherTask
    from study.config.grid import cells

    for name in ("settled", "runs", "scores", "results", "report", "embeddings"):
        shutil.rmtree(name, ignore_errors=True)
    validate.run()
    params: Params = validate.read(Path("params.yaml"))
    _corpus(kept)
    grid = params.grid
    for arch in grid.archs:
        task = TeacherTask(arch)
        if not task.in_place():
            carry_out(task)
        embed.run(arch)
        carry_out(EvaluateTask(TeacherTask(arch), arch))
    settle.run()
    for cell in cells(grid.archs, grid.sizes, grid.methods, grid.seeds):
        trained = DistilTask(cell)
        carry_out(trained, EvaluateTask(trained, cell.arch))
    collect.run()
    analyse.run()


def _corpus(kept: Path) -> None:
    """The prepared corpus; one with the same plan is taken, since most mutants share theirs."""
    plan = (paths.PLAN / "corpus.json").read_bytes()
    place = kept / hashlib.sha256(plan).hexdigest()
    shutil.rmtree(paths.CORPUS, ignore_errors=True)
    if not place.is_dir():
        prepare.run()
        os.replace(paths.CORPUS, place)
    shutil.copytree(place, paths.CORPUS, copy_function=os.link)
