"""xGQA: questions of GQA in eight languages, with English answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from study.data.base import CorpusError, DatasetInfo, Licence, check_languages
from study.data.published.choices import Open, multiple_choice
from study.data.published.question_files import Entry, image_of, local_folder, read_json
from study.data.published.sources import LeftOut, Part, Question, QuestionSource

OPEN = "query"
"""The structural type whose answers are open. Questions to verify, choose, compare or combine have two."""
FEW_SHOT = ("test", "dev", "train_1", "train_5", "train_10", "train_20", "train_25", "train_48")
LAYOUT = "data/few_shot/<language>/<split>.json or data/zero_shot/testdev_balanced_questions_<language>.json"


class Xgqa(QuestionSource):
    """The publisher's repository, with GQA's images beside it as images/<imageId>.jpg."""

    record = DatasetInfo(
        name="xgqa",
        description="Questions about photographs, GQA's balanced test-dev in eight languages, answers in English.",
        source="https://github.com/adapter-hub/xGQA",
        revision="6c34cbdaddae1a0de920dd095924df53aebb3063",
        licences=(
            Licence("questions", "CC-BY-4.0", "Pfeiffer et al. 2022, xGQA (arXiv 2109.06082)"),
            Licence("images and answers", "CC-BY-4.0", "Hudson and Manning 2019, GQA; images of Visual Genome"),
        ),
        languages=(),
        vqa_languages=("bn", "de", "en", "id", "ko", "pt", "ru", "zh"),
        in_domain="none",
        out_of_domain="questions: the same in all languages",
        notes=(
            "Answers are English in every language: an option is scored as the question, in Bengali say, joined to an "
            "English word.",
            "GQA's open vocabulary is made multiple choice: the answer and three others of its semantic group in the "
            "file (of its detailed type, where the group has too few), drawn by the question's id, the same in all "
            "languages. Scores are not those of xGQA's own protocol.",
            "Only questions of structural type query are asked; verify, logical, choose and compare questions have "
            "two answers, and so have queries for left or right. Half of all questions are left out, and counted.",
            "A distractor may be seen in the image, too: it is an answer of its kind, not a known wrong one.",
        ),
        disk={"test": 110_000_000, "testdev": 130_000_000, "dev": 20_000_000},
        how="a clone of the publisher's repository, and of GQA's images those that are asked about, in images/",
    )
    splits = (*FEW_SHOT, "testdev")

    def languages(self, part: Part) -> tuple[str, ...]:
        split, folder = self.split(part), local_folder(part, LAYOUT)
        found = tuple(code for code in self.record.vqa_languages if _file(folder, split, code).is_file())
        if not found:
            raise CorpusError(
                f"{folder}: no file of split {split!r}; looked for {_file(folder, split, 'en')} and others"
            )
        return found

    def tables(self, part: Part) -> Sequence[Path]:
        split, folder = self.split(part), local_folder(part, LAYOUT)
        return [_file(folder, split, code) for code in self.languages(part)]

    def questions(self, part: Part, languages: Sequence[str]) -> Iterator[Question | LeftOut]:
        check_languages(languages, self.languages(part), f"{part.source}, split {self.split(part)!r}")
        folder = local_folder(part, LAYOUT)
        files = {code: _file(folder, self.split(part), code) for code in languages}
        entries = {code: _entries(file) for code, file in files.items()}
        (first, main), *others = entries.items()
        asked: list[Open] = []
        for key, entry in main.items():
            for code, other in others:
                _same(entry, key, files[code], other)
            structural = entry.entry("types").text("structural")
            if structural != OPEN:
                yield LeftOut(key, f"structural type {structural}")
                continue
            prompts = {code: found[key].text("question") for code, found in entries.items()}
            asked.append(_open(folder, key, entry, prompts))
        for code, other in others:
            if extra := next((key for key in other if key not in main), None):
                raise CorpusError(f"{files[code]}: question {extra!r} is not in {files[first]}: languages share all")
        yield from multiple_choice(self.record.name, asked)


def _file(folder: Path, split: str, language: str) -> Path:
    if split in FEW_SHOT:
        return folder / "data" / "few_shot" / language / f"{split}.json"
    return folder / "data" / "zero_shot" / f"testdev_balanced_questions_{language}.json"


def _entries(file: Path) -> dict[str, Entry]:
    content = Entry(str(file), read_json(file))
    return {key: Entry(f"{file}, question {key!r}", values) for key, values in content.values.items()}


def _same(entry: Entry, key: str, file: Path, other: dict[str, Entry]) -> None:
    if key not in other:
        raise CorpusError(f"{file}: there is no question {key!r}, which is in {entry.where}: languages share all")
    for name in ("imageId", "answer"):
        if other[key].text(name) != entry.text(name):
            raise other[key].error(f"{name!r} is {other[key].text(name)!r}, and {entry.text(name)!r} in {entry.where}")


def _open(folder: Path, key: str, entry: Entry, prompts: dict[str, str]) -> Open:
    types, image = entry.entry("types"), entry.text("imageId")
    detailed, semantic = types.text("detailed"), types.text("semantic")
    group = entry.entry("groups").values.get("global")
    kinds = [f"group {group}"] if group else []
    return Open(
        key,
        entry.where,
        image_of(folder, image, entry.where),
        semantic,
        prompts,
        entry.text("answer"),
        (),
        [*kinds, f"detailed {detailed}"],
    )


SOURCE = Xgqa()
