"""MaXM: questions about images of Crossmodal-3600, different ones in each of seven languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from study.data.base import CorpusError, DatasetInfo, Licence, check_languages
from study.data.published.choices import Open, composed, multiple_choice
from study.data.published.hub import column_names, repository
from study.data.published.question_files import Entry, image_of, local_folder, read_json
from study.data.published.question_tables import table_rows
from study.data.published.sources import Image, LeftOut, Part, Question, QuestionSource

CODES = {"en": "en", "fr": "fr", "hi": "hi", "iw": "he", "ro": "ro", "th": "th", "zh": "zh"}
"""The publisher's code -> BCP 47."""
COLUMNS = ("question", "answers", "processed_answers")
"""Of the hub's form, beside the image."""
OPTIONAL = ("question_id", "is_collection")
"""Likewise, used if they are there; else a question is called by its row."""
LAYOUT = "maxm_v1_<language>.json and images/<image_id>.jpg, the images of Crossmodal-3600"
CLOSED = "yes or no"
YES_OR_NO = frozenset(
    {
        *("yes", "no", "true", "false", "oui", "non", "da", "nu"),
        *("हाँ", "हां", "नहीं", "כן", "לא", "ใช่", "ไม่", "ไม่ใช่"),
        *("是", "是的", "不", "不是", "否", "有", "没有"),
    }
)
"""Answers that leave one alternative only, in any of the languages."""


class Maxm(QuestionSource):
    """The files of the publisher's release, with the images beside them; or the hub's form, a split a language."""

    record = DatasetInfo(
        name="maxm",
        description="Questions about Crossmodal-3600's photographs in seven languages, answers in the same language.",
        source="https://github.com/google-research-datasets/maxm",
        revision="v1 of 2023-02-18: 1,890 questions (en 257, fr 264, he 280, hi 260, ro 284, th 268, zh 277)",
        licences=(
            Licence("questions", "free for any purpose", "Google LLC; Changpinyo et al. 2023, MaXM (arXiv 2209.05401)"),
            Licence("images", "CC-BY-2.0", "the photographers, as Crossmodal-3600 credits them"),
        ),
        languages=(),
        vqa_languages=tuple(sorted(CODES.values())),
        in_domain="none",
        out_of_domain="questions: each language has its own",
        notes=(
            "Languages share no question: accuracy is measured, stability over languages is not; that over seeds and "
            "against the teacher is.",
            "Free answers are made multiple choice: the first right answer and three first answers of other questions "
            "in the language, of the same kind (collection, number, other), drawn by the question's id. Kinds are "
            "coarse, so distractors are easier than the open task. Yes-or-no questions are left out and counted.",
            "An option is scored as the question joined to it. Scores are not those of MaXM's own protocol.",
        ),
        disk={"test": 120_000_000},
        how="maxm_v1_release.zip of the publisher, unpacked, and images/ of Crossmodal-3600 beside its files; or "
        "through hub with its commit",
    )
    splits = ("test",)
    hub = "floschne/maxm"

    def languages(self, part: Part) -> tuple[str, ...]:
        self.split(part)
        return self.record.vqa_languages if part.hub is not None else tuple(sorted(_files(part)))

    def tables(self, part: Part) -> Sequence[Path]:
        return sorted(local_folder(part, LAYOUT).glob("*.json"))

    def questions(self, part: Part, languages: Sequence[str]) -> Iterator[Question | LeftOut]:
        self.split(part)
        found = _files(part) if part.hub is None else _tables(part)
        check_languages(languages, sorted(found), part.source)
        for language in languages:
            asked: list[Open] = []
            for question in _asked(language, found[language]):
                if question.kinds:
                    asked.append(question)
                else:
                    yield LeftOut(question.key, question.type)
            yield from multiple_choice(self.record.name, asked)


Pair = tuple[Entry, Image]
"""A question, and the image that it is about."""


def _files(part: Part) -> dict[str, Iterator[Pair]]:
    """The questions of each language's file; the language is what the file says, not its name."""
    folder = local_folder(part, LAYOUT)
    where: dict[str, str] = {}
    found: dict[str, Iterator[Pair]] = {}
    for file in sorted(folder.glob("*.json")):
        content = Entry(str(file), read_json(file))
        code = content.text("split")
        if code not in CODES:
            raise content.error(f"split {code!r} is no language of MaXM: {', '.join(CODES)}")
        language = CODES[code]
        if language in found:
            raise content.error(f"language {code!r} is in {where[language]} too")
        where[language], found[language] = content.where, _pairs(folder, content)
    if not found:
        raise CorpusError(f"{folder} has no .json file; it should hold {LAYOUT}")
    return found


def _pairs(folder: Path, content: Entry) -> Iterator[Pair]:
    for number, values in enumerate(content.objects("annotations"), start=1):
        annotation = Entry(f"{content.where}, annotation {number}", values)
        image = annotation.text("image_id")
        for asked in annotation.objects("qa_pairs"):
            pair = Entry(annotation.where, asked)
            pair.where = f"{content.where}, question {pair.text('question_id')!r}"
            yield pair, image_of(folder, image, pair.where)


def _tables(part: Part) -> Mapping[str, Iterator[Pair]]:
    """The questions of each language's split on the hub."""
    data = repository(str(part.hub), part.revision)
    return {language: _rows(data.files(code)) for code, language in CODES.items() if code in data.splits}


def _rows(files: Sequence[str]) -> Iterator[Pair]:
    present = set(column_names(files))
    for row, image in table_rows(files, [*COLUMNS, *(name for name in OPTIONAL if name in present)]):
        called = {"question_id": f"{Path(row.file).stem}:{row.number}", "is_collection": False}
        pair = Entry(str(row), {**called, **row.values})
        pair.where = f"{row}, question {pair.text('question_id')!r}"
        yield pair, image


def _asked(language: str, pairs: Iterator[Pair]) -> Iterator[Open]:
    seen: set[str] = set()
    for pair, image in pairs:
        name = pair.text("question_id")
        if name in seen:
            raise pair.error("is duplicated")
        seen.add(name)
        answers = pair.texts("answers")
        if not answers:
            raise pair.error("it has no answer")
        kind = _kind(pair, answers)
        yield Open(
            # Ids need not differ between languages, and one shared by two would look parallel.
            f"{language}:{name}",
            pair.where,
            image,
            kind,
            {language: pair.text("question")},
            answers[0],
            [*answers[1:], *pair.texts("processed_answers")],
            [] if kind == CLOSED else [f"{language} {kind}"],
        )


def _kind(pair: Entry, answers: Sequence[str]) -> str:
    """What can be told of an answer without knowing the language."""
    texts = [composed(answer).casefold() for answer in answers]
    if any(text in YES_OR_NO for text in texts):
        return CLOSED
    if pair.flag("is_collection"):
        return "collection"
    return "number" if any(text.isdecimal() for text in texts) else "other"


SOURCE = Maxm()
