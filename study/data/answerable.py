"""A prepared corpus without the questions that a teacher cannot answer, whatever it sees; they are counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from study.data.alike import Alike, Asked, Read, captions_shared, options_alike
from study.data.base import CorpusError
from study.data.prepared import HELD_BACK, DatasetCard, PreparedCorpus, content_hash, file_hash
from study.data.problems import Problems
from study.data.writer import write_table

MOST_NAMED = 5
"""Questions that the card names."""


def exclude_unanswerable(folder: Path, readers: Mapping[str, Read], *, refuse: bool) -> DatasetCard:
    """Leave out what a teacher cannot answer, count captions that do not tell images apart, and write the card anew.

    A question is left out for all teachers, so that all answer the same; in the languages where two of its options
    are one text to any of them. One whose answer its publisher keeps stays: it is not scored here.

    Args:
        folder: a corpus that its `build` has finished.
        readers: teacher -> how it reads.
        refuse: raise instead, where the user can mend the questions.

    Raises:
        CorpusError: such questions are refused, or a language has no others to be tested on.
    """
    corpus = PreparedCorpus(folder)
    card = corpus.card
    facts = dict(card.facts)
    if "test" in card.captions:
        frame = corpus.captions("test")
        rows = zip(frame["image"], frame["language"].astype(str), frame["text"], strict=True)
        facts["test captions that describe several images"] = captions_shared(rows, readers)
    counted = card.questions
    if card.questions:
        found = list(options_alike(_asked(corpus), readers))
        if found and refuse:
            problems = Problems()
            for one in found:
                problems.add(str(one), "options alike")
            problems.check()
        facts["questions left out, two options alike"] = _facts(found)
        if found:
            counted = _leave_out(corpus, found)
    files = {name: file_hash(folder / name) for name in card.files}
    made = card.model_copy(
        update={"facts": facts, "questions": counted, "files": files, "content": content_hash(files)}
    )
    text = json.dumps(made.model_dump(mode="json"), ensure_ascii=False, indent=1)
    (folder / "corpus.json").write_text(text + "\n", encoding="utf-8")
    return made


def _asked(corpus: PreparedCorpus) -> list[Asked]:
    questions, texts = corpus.questions(), corpus.texts()
    answers = dict(zip(questions["question"], questions["answer"], strict=True))
    columns = (texts[name] for name in ("question", "language", "prompt", "options"))
    return [
        Asked(f"row {row}", str(question), str(language), str(prompt), list(options), int(answers[question]))
        for row, (question, language, prompt, options) in enumerate(zip(*columns, strict=True), start=1)
        if answers[question] != HELD_BACK
    ]


def _facts(found: list[Alike]) -> dict[str, object]:
    by_language = Counter(one.asked.language for one in found)
    by_reader = Counter(one.reader for one in found)
    return {
        "by language": dict(sorted(by_language.items())),
        "by teacher": dict(sorted(by_reader.items())),
        "for example": [str(one).partition(": ")[2] for one in found[:MOST_NAMED]],
    }


def _leave_out(corpus: PreparedCorpus, found: list[Alike]) -> dict[str, dict[str, int]]:
    """Write both tables without them; returns the number of questions by split and type."""
    left_out = {(one.asked.question, one.asked.language) for one in found}
    texts, questions = corpus.texts(), corpus.questions()
    keys = zip(texts["question"], texts["language"].astype(str), strict=True)
    texts = texts[[key not in left_out for key in keys]]
    questions = questions[questions["question"].isin(texts["question"])]
    tested = set(texts.loc[texts["question"].isin(questions.loc[questions["split"] == "test", "question"]), "language"])
    if lost := [language for language in corpus.vqa_languages if language not in tested]:
        raise CorpusError(
            f"vqa_languages: no question to be tested is left in {', '.join(lost)}: of each of them two options are "
            "the same text to a teacher; leave the language out, or take another teacher"
        )
    for name, frame in (("questions", questions), ("texts", texts)):
        write_table(corpus.path / f"{name}.parquet", _columns(frame))
    counts: dict[str, dict[str, int]] = {}
    for split, kind in zip(questions["split"], questions["type"], strict=True):
        own = counts.setdefault(str(split), {})
        own[str(kind)] = own.get(str(kind), 0) + 1
    return counts


def _columns(frame: pd.DataFrame) -> dict[str, list[object]]:
    return {str(name): [list(value) if name == "options" else value for value in frame[name]] for name in frame.columns}
