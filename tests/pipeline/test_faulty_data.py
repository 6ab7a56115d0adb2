"""A user's folder in which much is wrong at once: one check names all of it, without torch."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from ruamel.yaml import YAML

from pipeline import __main__ as command
from pipeline.prepare import left_out
from pipeline.sources import ROOT
from study.data import CorpusError
from study.data.answerable import exclude_unanswerable
from study.data.prepared import DatasetCard, PreparedCorpus
from tests.pipeline.studies import edit

LANGUAGES = ("de", "en")
SPLITS = {"teacher": 4, "distil": 4, "validation": 3, "test": 4}
CAPTIONS = ("image", "language", "text", "split")
QUESTIONS = ("question", "split", "image", "type", "language", "prompt", "answer", "options")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n"

Table = list[list[Any]]


def encoded(size: tuple[int, int], colour: int = 0, mode: str = "RGB", kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, colour).save(stream, kind)
    return stream.getvalue()


def write(file: Path, header: tuple[str, ...], rows: Table) -> None:
    """A CSV in which bytes stand as they are given."""
    with file.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def clean_tables() -> tuple[Table, Table]:
    said: Table = []
    splits = [split for split, count in SPLITS.items() for _ in range(count)]
    for number, split in enumerate(splits):
        said += [[f"images/{number}.png", language, f"{language} {number}", split] for language in LANGUAGES]
    asked: Table = [
        [
            f"q{number}",
            "test",
            f"images/{number}.png",
            "kind",
            language,
            "Which?",
            0,
            json.dumps(["red", "blue", "two"]),
        ]
        for number in (11, 12, 13)
        for language in LANGUAGES
    ]
    return said, asked


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The smoke study on data of one's own in which nothing is wrong."""
    raw = YAML(typ="safe", pure=True).load(ROOT / "studies" / "smoke" / "params.yaml")
    raw["root"] = os.path.relpath(ROOT, tmp_path)
    settings = {"captions": "data/captions.csv", "questions": "data/questions.csv"}
    raw["corpus"] = {"name": "manifest", "settings": settings}
    with (tmp_path / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(raw, file)
    (tmp_path / "tuning").mkdir()
    (tmp_path / "data" / "images").mkdir(parents=True)
    for number in range(sum(SPLITS.values())):
        (tmp_path / "data" / "images" / f"{number}.png").write_bytes(encoded((40, 40), number))
    said, asked = clean_tables()
    write(tmp_path / "data" / "captions.csv", CAPTIONS, said)
    write(tmp_path / "data" / "questions.csv", QUESTIONS, asked)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spoil(folder: Path) -> list[str]:
    """Put a dozen faults into the data; returns the start of the line that each must get."""
    said, asked = clean_tables()
    images = folder / "data" / "images"
    (images / "0.png").write_text("<html>404</html>")
    (images / "1.png").write_bytes(POINTER)
    (images / "2.png").write_bytes(encoded((20_000, 20_000), mode="1"))
    (images / "3.png").write_bytes(encoded((2000, 20)))
    (images / "4.png").write_bytes(encoded((40, 40))[:60])  # its header is whole
    (images / "5.png").unlink()
    said[12][0] = "../../secret.png"  # row 14
    said[13][2] = "caf\udce9"  # as Latin-1 has it
    said[14][2] = " \u00a0"
    said[15][3] = "train"
    said.append(list(said[16]))
    said[-1][2] += " "  # the same once the space is gone
    asked[0][7] = json.dumps(["US", "us", "two"])  # as a teacher reads them
    asked[1][6] = 7
    write(folder / "data" / "captions.csv", CAPTIONS, said)
    write(folder / "data" / "questions.csv", QUESTIONS, asked)
    with (folder / "data" / "questions.csv").open("rb+") as file:
        file.truncate(file.seek(0, os.SEEK_END) - 40)
    image, caption, question = ("data/captions.csv, row", "data/captions.csv, row", "data/questions.csv, row")
    return [
        f"{image} 2: image data/images/0.png cannot be decoded: it is none of JPEG, PNG",
        f"{image} 4: image data/images/1.png is a git-lfs pointer and not the file itself",
        f"{image} 6: image data/images/2.png is too large",
        f"{image} 8: image data/images/3.png is 2000 x 20: one side is more than 50 times the other",
        f"{image} 10: image data/images/4.png cannot be decoded: ",
        f"{image} 12: there is no image data/images/5.png; did you mean images/",
        f"{image} 14: image ../../secret.png is outside of data/",
        f"{caption} 15: text is not UTF-8 (byte 0xe9): save the table as UTF-8",
        f"{caption} 16: text is empty",
        f"{caption} 17: unknown split 'train'; here it is called 'distil'",
        f"{caption} 32: the same image, language, text and split as in data/captions.csv, row 18",
        f"{question} 2: question 'q11' in 'de': options 0 and 1 (from 0), 'US' and 'us', are the same text to teacher ",
        f"{question} 3: answer is 7, but options count from 0 to 2",
        f"{question} 7: 6 cells, the header has 8",
    ]


def check(folder: Path) -> list[str]:
    """The lines in which a check of `folder`, the working folder, fails; none if it does not."""
    try:
        command.check()
    except SystemExit as ended:
        return str(ended.code).removeprefix("check: ").splitlines()
    return []


def test_clean_data_pass(study: Path) -> None:
    assert check(study) == []


def test_every_fault_gets_its_line_in_one_check(study: Path) -> None:
    expected = spoil(study)
    told = [line.removeprefix("params.yaml: corpus: ") for line in check(study)]
    for start in expected:
        assert sum(line.startswith(start) for line in told) == 1, (start, told)
    assert len(told) == len(expected), told


def test_a_check_of_faulty_data_imports_no_torch(study: Path) -> None:
    spoil(study)
    script = (
        "import sys\nfrom pipeline.__main__ import check\n"
        "try:\n    check()\nfinally:\n    print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=study, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "False"


def made(study: Path, **settings: Any) -> DatasetCard:
    """The card of the corpus that `prepare` makes."""
    edit(study / "params.yaml", {f"corpus.settings.{key}": value for key, value in settings.items()})
    command.validate()
    command.prepare()
    corpus = PreparedCorpus(study / "corpus")
    corpus.verify()
    return corpus.card


def test_what_is_skipped_is_counted_in_the_card(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = study / "data" / "images"
    (images / "4.png").write_bytes(encoded((40, 40))[:50])
    (images / "9.png").unlink()
    (images / "14.png").write_bytes(encoded((3, 900)))
    said, asked = clean_tables()
    asked[0][7] = json.dumps(["US", "us", "two"])
    said[0][2] += "  "
    write(study / "data" / "captions.csv", CAPTIONS, said)
    write(study / "data" / "questions.csv", QUESTIONS, asked)
    card = made(study, broken="skip")
    facts, said_of_it = card.facts, capsys.readouterr().out
    assert facts["images left out"] == {"extreme shape": 1, "missing": 1, "not decoded": 1}
    assert facts["rows left out with them"] == {"captions": 6, "texts of questions": 0}
    assert facts["captions with space around them"] == {"de": 1}
    assert facts["questions left out, two options alike"]["by language"] == {"de": 1}
    assert "'US' and 'us'" in facts["questions left out, two options alike"]["for example"][0]
    assert (card.images["distil"], card.images["test"]) == (3, 3)
    corpus = PreparedCorpus(study / "corpus")
    assert sorted(corpus.texts("de")["question"]) == ["q12", "q13"]
    assert sorted(corpus.texts("en")["question"]) == ["q11", "q12", "q13"]
    assert "prepare: 3 images left out (1 extreme shape, 1 missing, 1 not decoded)" in said_of_it
    assert "prepare: 1 questions with two options alike left out (1 de)" in said_of_it


def test_of_what_is_right_nothing_is_left_out(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = made(study)
    assert card.facts["images left out"] == {}
    assert card.facts["questions left out, two options alike"]["by language"] == {}
    assert "prepare: nothing was left out" in capsys.readouterr().out
    assert left_out(card.model_copy(update={"facts": {}})) == ["prepare: nothing was left out"]


@pytest.mark.parametrize(
    ("refuse", "message"), [(False, "no question to be tested is left in de, en"), (True, "options 0 and 1")]
)
def test_a_teacher_that_tells_no_options_apart(study: Path, refuse: bool, message: str) -> None:
    made(study)
    with pytest.raises(CorpusError, match=message):
        exclude_unanswerable(study / "corpus", {"clip": lambda texts: ["same"] * len(texts)}, refuse=refuse)


def test_captions_that_do_not_tell_images_apart_are_counted(study: Path) -> None:
    said, _ = clean_tables()
    said[-2][2] = said[-4][2].upper()
    write(study / "data" / "captions.csv", CAPTIONS, said)
    shared = made(study).facts["test captions that describe several images"]
    assert shared["as written"] == {}
    assert shared["clip"] == shared["siglip2"] == {"de": 2}
