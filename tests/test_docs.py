"""The documentation: it builds, what it names is there, and its tutorials do what they say."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.sources import ROOT
from study.config.check import problems
from study.config.params import read
from tests import documented, miniature

PAGES = sorted((ROOT / "docs").rglob("*.md"))
NAMED = re.compile(r"`([\w/.]+\.py)(?:::([\w.]+))?`")
ELSEWHERE = {"study/objectives/rel.py", "study/objectives/options/rel.py", "study/data/squares.py"}


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    command = (sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site"))
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "reference" / "params.html").is_file()
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"?(https?:[^\">\s]+)", page.read_text("utf-8")
        )
        assert loaded == [], page.name


def defined(file: Path) -> set[str]:
    """Names that a module defines at its top, and those of its classes with a dot before them."""
    found: set[str] = set()

    def visit(body: list[ast.stmt], before: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(before + node.name)
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{before}{node.name}.")
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            found.update(before + target.id for target in targets if isinstance(target, ast.Name))

    visit(ast.parse(file.read_text(encoding="utf-8")).body, "")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_and_names_in_the_text_are_there(page: Path) -> None:
    for file, name in set(NAMED.findall(page.read_text(encoding="utf-8"))):
        if "/" not in file or file in ELSEWHERE:
            continue
        assert (ROOT / file).is_file(), file
        assert not name or name in defined(ROOT / file), f"{file}::{name}"


def test_findings_are_the_same_wherever_they_are_printed() -> None:
    block = re.compile(r"^```\w*\n(default: .*?)^```$", re.MULTILINE | re.DOTALL)
    pages = [ROOT / "README.md", ROOT / "docs" / "example.md"]
    found = [text for page in pages for text in block.findall(page.read_text(encoding="utf-8"))]
    assert found
    assert len(set(found)) == 1


@pytest.mark.parametrize("page", ["objective", "corpus", "measure"])
def test_a_tutorial_does_what_it_says(page: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "study", tmp_path / "study", ignore=shutil.ignore_patterns("__pycache__"))
    documented.apply(f"tutorials/{page}.md", tmp_path)
    env = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    script = (
        "import sys, pytest; from study.config.json_schema import text; text(); sys.exit(pytest.main(sys.argv[1:]))"
    )
    command = (sys.executable, "-c", script, "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "tests")
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "passed" in done.stdout


def test_the_study_of_the_tutorial_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in documented.blocks("tutorials/own.md"):
        path = tmp_path / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    study, beside = tmp_path / "studies" / "mine", tmp_path / "studies" / "miniature" / "checkpoints"
    beside.mkdir(parents=True)
    miniature.checkpoint("open_clip_xlm_roberta", beside / "open_clip_xlm_roberta")
    subprocess.run([sys.executable, "draw.py"], cwd=study, check=True)
    shown = 'images/0000.png,de,"ein Kreis in rot, 20 breit"'
    assert shown in (study / "data" / "captions.csv").read_text(encoding="utf-8")
    assert shown in (ROOT / "docs" / "tutorials" / "own.md").read_text(encoding="utf-8")
    monkeypatch.chdir(study)
    assert problems(read(Path("params.yaml"))) == []


def test_a_diff_of_the_documentation_is_applied_where_it_says() -> None:
    assert documented.changed("a\nb\nc\nb\n", " c\n+d\n-b\n") == "a\nb\nc\nd\n"
    with pytest.raises(ValueError, match="not in list"):
        documented.changed("a\nb\n", " b\n a\n+c\n")
