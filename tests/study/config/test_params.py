"""params.yaml: what is wrong is named, with what is allowed and the nearest name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.sources import ROOT
from study.config.check import load
from study.config.params import ParamsError, read
from study.config.pretrained import PretrainedSpec

Edit = Callable[[dict[str, Any]], None]
STUDIES = [ROOT, *sorted(path.parent for path in (ROOT / "studies").glob("*/params.yaml"))]


def edited(tmp_path: Path, edit: Edit) -> Path:
    raw = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    edit(raw)
    path = tmp_path / "params.yaml"
    YAML().dump(raw, path)
    return path


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_the_studies_of_this_repository_are_valid(folder: Path) -> None:
    params = read(folder / "params.yaml")
    if not any(isinstance(teacher, PretrainedSpec) for teacher in params.teachers.values()):
        params = load(folder / "params.yaml")  # of the others the files need not be there
    assert params.analysis.control in params.grid.methods
    assert (folder / "dvc.yaml").resolve() == ROOT / "dvc.yaml"


def test_the_smoke_study_is_the_default_one_made_smaller() -> None:
    default, smoke = load(ROOT / "params.yaml"), load(ROOT / "studies" / "smoke" / "params.yaml")
    assert set(smoke.grid.methods) < set(default.grid.methods)
    assert smoke.grid.archs == default.grid.archs
    assert {name: list(terms) for name, terms in smoke.methods.items()} == {
        name: list(default.methods[name]) for name in smoke.methods
    }


CASES: dict[str, tuple[Edit, str]] = {
    "unknown block": (lambda p: p.update(gird={}), "unknown key 'gird'; did you mean 'grid'"),
    "unknown key": (
        lambda p: p["students"].update(tower="text"),
        "unknown key 'students.tower'; did you mean 'towers'",
    ),
    "deep unknown key": (
        lambda p: p["teachers"]["clip"]["training"].update(lr=1.0),
        "unknown key 'teachers.clip.training.lr'",
    ),
    "missing key": (lambda p: p["grid"].pop("seeds"), "missing key 'grid.seeds'"),
    "text for a number": (lambda p: p["students"]["training"].update(learning_rate="1e-3"), "write it like 1.0e-3"),
    "negative": (lambda p: p["students"]["training"].update(steps=-1), "students.training.steps is -1"),
    "choice": (lambda p: p["students"].update(towers="image"), "students.towers is 'image'"),
    "unknown method": (
        lambda p: p["grid"]["methods"].append("sdd"),
        "unknown method 'sdd' in grid.methods; did you mean 'sd'",
    ),
    "unknown objective": (lambda p: p["methods"].update(x={"mlc": {}}), "did you mean 'mcl'"),
    "unknown option": (lambda p: p["methods"]["mcl"]["mcl"].update(taw=0.1), "did you mean 'tau'"),
    "option out of range": (lambda p: p["methods"]["mcl"]["mcl"].update(tau=-0.1), "methods.mcl.mcl: tau is -0.1"),
    "a view of FD": (
        lambda p: p["methods"]["fd"]["fd"].update(view="englsh"),
        "methods.fd.fd: view is 'englsh' (str): Input should be 'own' or 'english'",
    ),
    "a start of DR's queue": (
        lambda p: p["methods"]["dr"]["dr"].update(start="full"),
        "methods.dr.dr: start is 'full' (str): Input should be 'empty' or 'corpus'",
    ),
    "alpha above one": (
        lambda p: p["methods"]["dr"]["dr"].update(alpha=1.5),
        "methods.dr.dr: alpha is 1.5 (float): Input should be less than or equal to 1",
    ),
    "alpha below zero": (
        lambda p: p["methods"]["dr"]["dr"].update(alpha=-0.1),
        "methods.dr.dr: alpha is -0.1 (float): Input should be greater than or equal to 0",
    ),
    "no objective": (lambda p: p["methods"].update(fd={}), "methods.fd has no objective"),
    "unknown size": (lambda p: p["grid"]["sizes"].append("third"), "unknown size 'third'"),
    "size above one": (lambda p: p["sizes"].update(half=1.5), "sizes.half is 1.5"),
    "unknown arch": (lambda p: p["grid"]["archs"].append("siglip"), "did you mean 'siglip2'"),
    "unknown family": (lambda p: p["teachers"]["clip"].update(family="clib"), "did you mean 'clip'"),
    "unknown key of a teacher": (
        lambda p: p["teachers"]["clip"].update(contxt=8),
        "unknown key 'teachers.clip.contxt'; did you mean 'context'",
    ),
    "a trained family's checkpoint": (
        lambda p: p["teachers"].update(clip={"family": "clip", "checkpoint": "x"}),
        "unknown family 'clip' in teachers.clip.family",
    ),
    "unknown corpus": (lambda p: p["corpus"].update(name="emojis"), "emoji"),
    "unknown language": (
        lambda p: p["corpus"]["languages"].append("dee"),
        "unknown language 'dee' in corpus.languages; did you mean 'de'",
    ),
    "corpus setting": (lambda p: p["corpus"]["settings"].update(concept=3), "did you mean 'concepts'"),
    "control not run": (lambda p: p["analysis"].update(control="nona"), "did you mean 'none'"),
    "a tuning seed is scored": (lambda p: p["tuning"].update(seeds=[3]), "share [3]"),
    "a search of nothing": (
        lambda p: p["tuning"].update(search={"mcl": {"mcl.taw": [0.1, 1.0]}}),
        "did you mean 'mcl.tau'",
    ),
    "a search upside down": (lambda p: p["tuning"]["search"].update(mcl={"mcl.tau": [0.2, 0.1]}), "0 < low < high"),
    "a search beyond what an option can be": (
        lambda p: p["tuning"]["search"].update(dr={"dr.alpha": [0.5, 2.0]}),
        "tuning.search.dr.dr.alpha: alpha is 2.0 (float): Input should be less than or equal to 1",
    ),
    "a search of what is no number": (
        lambda p: p["tuning"]["search"].update(dr={"dr.start": [0.1, 0.2]}),
        "tuning.search.dr.dr.start: start is 0.1",
    ),
    "unknown model": (lambda p: p["teachers"]["siglip2"].update(model="polyglot"), "unknown model 'polyglot'"),
    "unknown contrast": (lambda p: p["analysis"].update(contrasts=["edd"]), "did you mean 'ed'"),
    "unknown family of tests": (lambda p: p["analysis"].update(family="all"), "analysis.family"),
    "effect of an unknown outcome": (lambda p: p["analysis"].update(smallest_effect={"vqaa": 1.0}), "'vqa'"),
    "effect without end": (lambda p: p["analysis"].update(smallest_effect=float("inf")), "smallest_effect is inf"),
    "effect that is no number": (
        lambda p: p["analysis"].update(smallest_effect={"vqa": True}),
        "analysis.smallest_effect.vqa is True",
    ),
    "contrast that is no name": (lambda p: p["analysis"].update(contrasts=["ed", 1]), "analysis.contrasts.1 is 1"),
    "unknown outcome": (lambda p: p["analysis"].update(primary=["retreival"]), "did you mean 'retrieval'"),
    "no workers": (lambda p: p["execution"].update(workers=0), "execution.workers"),
    "a device": (lambda p: p["execution"].update(device="gpu"), "execution.device is 'gpu'"),
    "bounds upside down": (lambda p: p["tuning"].update(learning_rate=[0.1, 0.01]), "low, then high"),
    "a language without a share": (lambda p: p["corpus"]["settings"]["share"].pop("te"), "te"),
    "a language twice": (lambda p: p["corpus"]["languages"].append("en"), "more than once"),
    "a seed twice": (lambda p: p["grid"]["seeds"].append(0), "twice in grid.seeds"),
    "a dash in a name": (lambda p: p["methods"].update({"fd-x": {"fd": {}}}), "fd-x"),
    "a command in the root": (lambda p: p.update(root="$(touch X)"), "root is"),
    "an endless rate": (lambda p: p["students"]["training"].update(learning_rate=float("inf")), "finite number"),
    "a rate that is no number": (lambda p: p["tuning"].update(learning_rate=[float("nan"), 1.0]), "finite number"),
    "an endless weight": (lambda p: p["methods"]["fd"]["fd"].update(weight=float("inf")), "finite number"),
    "a corpus as a whole": (
        lambda p: p["corpus"]["settings"].update(in_domain=["google", "twitter"]),
        "cannot be in domain and held out at once",
    ),
    "a command in a path": (lambda p: p["tuning"].update(values="tuning;touch X"), "tuning.values is 'tuning;touch X'"),
    "a space in a path": (lambda p: p["tuning"].update(values="my tuning"), "tuning.values is 'my tuning'"),
    "no path": (lambda p: p["tuning"].update(values=""), "tuning.values is ''"),
    "the study itself as a path": (lambda p: p["tuning"].update(values="."), "tuning.values is '.'"),
    "a path out of the study": (lambda p: p["tuning"].update(values="../.."), "tuning.values is '../..'"),
    "an absolute path": (lambda p: p["tuning"].update(values="/tmp"), "tuning.values is '/tmp'"),
    "a name of 300 letters": (lambda p: p["methods"].update({"x" * 300: {"fd": {}}}), "at most 40 characters"),
    "a name of the teachers'": (lambda p: p["methods"].update(teacher={"fd": {}}), "methods.teacher"),
    "a rate without end": (
        lambda p: p["students"]["training"].update(learning_rate=float("inf")),
        "students.training.learning_rate is inf: must be a finite number",
    ),
    "a rate of 1000": (lambda p: p["students"]["training"].update(learning_rate=1e3), "less than or equal to 10"),
    "a seed of 64 bits": (lambda p: p["grid"].update(seeds=[2**63 - 1]), "grid.seeds.0"),
    "a seed of 65 bits": (lambda p: p["grid"].update(seeds=[2**63]), "grid.seeds.0 is a whole number that 64 bits"),
    "a vocabulary of one": (lambda p: p["teachers"]["clip"].update(vocabulary=1), "teachers.clip.vocabulary is 1: 260"),
    "a vocabulary of milliards": (lambda p: p["teachers"]["clip"].update(vocabulary=10**9), "teachers.clip.vocabulary"),
    "a size without room": (
        lambda p: p["sizes"].update(half=0.0001),
        "sizes.half, of teacher clip: size 0.0001: a text tower of",
    ),
    "a queue beyond any memory": (
        lambda p: p["methods"]["dr"]["dr"].update(queue=10**12),
        "methods.dr.dr: queue is 1000000000000",
    ),
    "a temperature of nothing": (lambda p: p["methods"]["mcl"]["mcl"].update(tau=1e-30), "tau is 1e-30"),
    "a device in other digits": (lambda p: p["execution"].update(device="cuda:٣"), "execution.device is 'cuda:٣'"),
    "more students than DVC can hold": (lambda p: p["grid"].update(seeds=list(range(1001))), "24,024 students"),
    "a value of 5,000 letters": (lambda p: p["students"].update(towers="x" * 5000), "students.towers is 'xxx"),
    "kinds of questions without weight": (
        lambda p: p["corpus"]["settings"].update(kinds={"what": 0.0, "pair": 0.0, "order": 0.0, "count": 0.0}),
        "corpus.settings: kinds",
    ),
    "ranges of sizes for fewer items": (
        lambda p: p["corpus"]["settings"].update(sizes=[[0.6, 0.9]]),
        "corpus.settings: sizes has 1 ranges",
    ),
    "a boolean language": (lambda p: p["corpus"].update(languages=["en", False]), "corpus.languages"),
}


@pytest.mark.parametrize(("edit", "message"), CASES.values(), ids=CASES.keys())
def test_what_is_wrong_is_named(edit: Edit, message: str, tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as raised:
        load(edited(tmp_path, edit))
    assert message in str(raised.value)
    lines = str(raised.value).splitlines()
    assert all(line.startswith(str(tmp_path / "params.yaml")) and len(line) < 1500 for line in lines)


def test_blocks_with_defaults_may_be_left_out(tmp_path: Path) -> None:
    def edit(raw: dict[str, Any]) -> None:
        for block in ("execution", "evaluation"):
            raw.pop(block)

    assert load(edited(tmp_path, edit)) == load(ROOT / "params.yaml")


def test_everything_wrong_is_named_at_once(tmp_path: Path) -> None:
    def edit(raw: dict[str, Any]) -> None:
        raw["grid"]["methods"].append("sdd")
        raw["grid"]["sizes"].append("third")

    with pytest.raises(ParamsError) as raised:
        load(edited(tmp_path, edit))
    assert len(str(raised.value).splitlines()) == 2


def test_broken_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="no such file"):
        load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("grid: {a: 1, a: 2}\n")
    with pytest.raises(ParamsError, match="duplicate key"):
        load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("- 1\n")
    with pytest.raises(ParamsError, match="mapping"):
        load(tmp_path / "params.yaml")


def test_a_file_that_is_no_yaml_is_named_in_each_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("study: {when: 2026-01-05, again: .nan}\n")
    with pytest.raises(ParamsError) as raised:
        read(tmp_path / "params.yaml")
    lines = str(raised.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith(str(tmp_path / "params.yaml")) for line in lines)


def test_a_folder_of_that_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(ParamsError, match=r"params\.yaml: cannot be read: Is a directory"):
        read(tmp_path / "params.yaml")
