"""Questions whose publisher keeps the answers: never scored, answered in the publisher's files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline import stage
from pipeline.work import score as scoring
from study import records
from study.data.base import CorpusError, CorpusSettings
from study.data.prepared import PreparedCorpus
from study.data.published import questions
from study.data.published.gallery import Gallery
from study.data.published.sources import Part
from study.data.writer import CorpusWriter
from study.eval.checks import ScoringError
from study.eval.evaluation import Images, Scores, evaluate
from study.eval.submission import submission_files
from tests.study.data import question_sets as sets
from tests.study.tiny import RECORD

CPU = torch.device("cpu")
LANGUAGES = ["en", "es", "ja", "sw"]
NAMES = [sets.COLOURS, *(tuple(option.strip() for option in subset[3]) for subset in sets.SUBSETS)]


class Painter:
    """Knows the four colours by name; says green where it is asked in Swahili."""

    embedding_width = 4
    vocabulary = SimpleNamespace(pad=0)

    def tokenize(self, texts: list[str]) -> torch.Tensor:
        rows = []
        for text in texts:
            found = next((names.index(text.split()[-1]) for names in NAMES if text.split()[-1] in names), 0)
            rows.append([found if not text.startswith("Rangi") else (found + 3) % 4])
        return torch.tensor(rows)

    def text_features(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(ids[:, 0], 4).float()


def build(out: Path, rows: sets.Rows) -> PreparedCorpus:
    """These questions of CVQA, and captions of three images."""
    writer = CorpusWriter(out / "corpus")
    pixels = writer.images("test", 3, 8, 8)
    pixels[:] = 0
    captions = [(image, language, sets.COLOURS[image]) for image in range(3) for language in LANGUAGES]
    columns: dict[str, Any] = {"image": [], "language": [], "text": []}
    for row in captions:
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    writer.captions("test", columns)
    part = Part(source="cvqa", path=str(sets.write_cvqa(out / "cvqa", rows)))
    questions.write_questions(writer, {"test": [part]}, LANGUAGES, lambda *_: None, Gallery("refuse"))
    writer.finish(RECORD, CorpusSettings(), LANGUAGES, LANGUAGES, {})
    corpus = PreparedCorpus(out / "corpus")
    corpus.verify()
    return corpus


def score(corpus: PreparedCorpus) -> Scores:
    """Image n of the questions is of colour n."""
    colours = np.eye(4, dtype=np.float32)
    return evaluate("x", Painter(), corpus, Images(colours[:3], colours), "test", CPU)  # type: ignore[arg-type]


def test_answers_that_are_held_back_are_submitted_in_english_and_locally(tmp_path: Path) -> None:
    rows = sets.cvqa_rows()
    scores = score(build(tmp_path, rows))
    assert scores.vqa.empty
    pd.testing.assert_frame_equal(scores.vqa, records.check(scores.vqa, records.VQA))
    assert set(scores.submissions) == {"cvqa-english", "cvqa-local"}
    colour = [0, 0, 1, 1, 2, 2, 3, 3]
    expected = pd.DataFrame({"ID": [row["ID"] for row in rows], "Prediction": colour})
    pd.testing.assert_frame_equal(scores.submissions["cvqa-english"], expected)
    # Questions 3 and 7 are Swahili: the option that it takes for the colour is the one after it.
    local = expected.assign(Prediction=[0, 0, 1, 2, 2, 2, 3, 0])
    pd.testing.assert_frame_equal(scores.submissions["cvqa-local"], local)


def test_of_a_mixture_each_question_goes_one_way(tmp_path: Path) -> None:
    rows = sets.cvqa_rows(held_back=False)
    for row in rows[2:5]:
        row["Label"] = -1
    scores = score(build(tmp_path, rows))
    held = [row["ID"] for row in rows[2:5]]
    for files in scores.submissions.values():
        assert list(files["ID"]) == held
    assert set(scores.vqa["question"]) == {f"cvqa:{row['ID']}" for row in [*rows[:2], *rows[5:]]}
    right = scores.vqa.groupby("language")["correct"].agg(["sum", "size"])
    assert right.to_dict("index") == {
        "en": {"sum": 5, "size": 5},
        "es": {"sum": 3, "size": 3},
        "ja": {"sum": 1, "size": 1},
        "sw": {"sum": 0, "size": 1},
    }


def test_a_corpus_that_knows_its_labels_submits_nothing(tmp_path: Path) -> None:
    scores = score(build(tmp_path, sets.cvqa_rows(held_back=False)))
    assert scores.submissions == {}
    assert len(scores.vqa) == 16


def test_the_layout_knows_no_other_answer_outside_the_options(tmp_path: Path) -> None:
    corpus = build(tmp_path, sets.cvqa_rows())
    table = pd.read_parquet(corpus.path / "questions.parquet")
    for answer in (-2, 4):
        table.assign(answer=np.int8(answer)).to_parquet(corpus.path / "questions.parquet")
        with pytest.raises(CorpusError, match=r"questions: cvqa:.*: no such answer"):
            PreparedCorpus(corpus.path).verify(hashes=False)


def test_a_file_has_a_question_once() -> None:
    answers = pd.DataFrame({"question": ["a:1", "a:1", "a:1"], "language": ["de", "en", "fr"], "chosen": [0, 1, 2]})
    assert list(submission_files(answers.iloc[:2])) == ["a-english", "a-local"]
    with pytest.raises(ScoringError, match="submission a-local: '1' is answered in two languages"):
        submission_files(answers)


def test_the_files_are_written_beside_the_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = score(build(tmp_path, sets.cvqa_rows()))
    (tmp_path / "plan").mkdir()
    monkeypatch.chdir(tmp_path)
    stage.write_json(Path("plan/evaluation.json"), {"protocol": "all-captions"})
    model = SimpleNamespace(name="x", out=Path("x"), folder=Path("x"), in_place=lambda: True)
    read = SimpleNamespace(text_module=lambda: torch.nn.Module())
    monkeypatch.setattr(scoring, "teacher_folder", lambda arch: None)
    monkeypatch.setattr(scoring, "open_corpus", lambda: None)
    monkeypatch.setattr(scoring, "teacher_images", lambda arch, device: None)
    monkeypatch.setattr("study.models.checkpoint.load_text", lambda source, taught: read)
    monkeypatch.setattr("study.models.checkpoint.has_images", lambda source: False)
    monkeypatch.setattr("study.eval.evaluation.evaluate", lambda *arguments: scores)
    (tmp_path / "scores").mkdir()
    scoring.EvaluateTask(model, "clip").make(tmp_path / "scores", "cpu", lambda done, total, row: None)  # type: ignore[arg-type]
    names = {path.name for path in (tmp_path / "scores").iterdir()}
    assert names == {
        *("retrieval.parquet", "consistency.parquet", "vqa.parquet", "collapse.parquet", "items.parquet"),
        *("submission-cvqa-english.csv", "submission-cvqa-local.csv"),
    }
    text = (tmp_path / "scores" / "submission-cvqa-english.csv").read_text()
    assert text.splitlines()[:2] == ["ID,Prediction", "5919991144272400000_0,0"]
