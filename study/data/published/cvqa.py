"""CVQA: questions about the daily life of many countries, in their languages and in English."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from study.data.base import DatasetInfo, Licence, check_languages, nearest
from study.data.manifest.tables import Row
from study.data.prepared import HELD_BACK
from study.data.published.question_tables import table_files, table_rows
from study.data.published.sources import Asking, LeftOut, Part, Question, QuestionSource

OPTIONS = 4
ENGLISH = "en"
CODES = {
    "Amharic": "am", "Bengali": "bn", "Breton": "br", "Bulgarian": "bg", "Chinese": "zh", "Egyptian Arabic": "ar",
    "Filipino": "fil", "Hindi": "hi", "Igbo": "ig", "Indonesian": "id", "Irish": "ga", "Japanese": "ja",
    "Javanese": "jv", "Kinyarwanda": "rw", "Korean": "ko", "Malay": "ms", "Marathi": "mr", "Minangkabau": "min",
    "Mongolian": "mn", "Norwegian": "no", "Oromo": "om", "Portuguese": "pt", "Romanian": "ro", "Russian": "ru",
    "Sinhala": "si", "Spanish": "es", "Sundanese": "su", "Swahili": "sw", "Tamil": "ta", "Telugu": "te", "Urdu": "ur",
}  # fmt: skip
"""The publisher's 31 languages -> BCP 47."""
COLUMNS = ("ID", "Subset", "Question", "Translated Question", "Options", "Translated Options", "Label")


class Cvqa(QuestionSource):
    """The parquet files of the hub, in a folder or through `datasets`."""

    record = DatasetInfo(
        name="cvqa",
        description="Questions with four options about photographs from 30 countries, in 31 languages and English.",
        source="Romero et al. 2024 (arXiv 2406.05967); hub: afaji/cvqa",
        revision="declared with the part: 10,374 questions in 39 pairs of language and country",
        licences=(
            Licence("questions", "as in the data set's card", "Romero et al. 2024, CVQA (arXiv 2406.05967)"),
            Licence(
                "images",
                "each row's own, in its column License; some for research only, in its column Image Source",
                "the photographers, as the column Image Source names them",
            ),
        ),
        languages=(),
        vqa_languages=tuple(sorted((*CODES.values(), ENGLISH))),
        in_domain="none",
        out_of_domain="questions: each in the language of its country and in English",
        notes=(
            "Every question is asked in its own language and in English, so stability over languages compares each "
            "language with English; other languages share no question. Differences of accuracy between languages "
            "are also differences between their questions.",
            "Prompts are location-agnostic: the country is not named.",
            "The publisher holds the answers back (Label -1): such questions are never scored. Evaluation writes the "
            "submission files instead, in English and in the local languages.",
            "An option is scored as the question joined to it. Type is the pair of language and country.",
            "Questions whose own language is not in the study are left out, unless English is its only language.",
        ),
        disk={"test": 5_100_000_000},
        how="the data set afaji/cvqa, through hub with its commit, or its parquet files in a folder or in data/ of it",
    )
    splits = ("test",)
    hub = "afaji/cvqa"

    def languages(self, part: Part) -> tuple[str, ...]:
        if part.hub is not None:
            return self.record.vqa_languages
        rows = table_rows(table_files(part, self.split(part)), ["Subset"])
        return tuple(sorted({ENGLISH, *(_subset(row)[0] for row, _ in rows)}))

    def bulk(self, part: Part) -> Sequence[Path]:
        return [Path(file) for file in table_files(part, self.split(part))]

    def questions(self, part: Part, languages: Sequence[str]) -> Iterator[Question | LeftOut]:
        check_languages(languages, self.languages(part), part.source)
        local = set(languages) - {ENGLISH} or set(CODES.values())
        seen: dict[str, str] = {}
        for row, image in table_rows(table_files(part, self.split(part)), COLUMNS):
            key = _text(row, "ID")
            if key in seen:
                raise row.error(f"ID {key!r} is in {seen[key]} too")
            seen[key] = str(row)
            language, pair = _subset(row)
            if language not in local:
                continue
            own = Asking(_text(row, "Question"), _options(row, "Options"))
            english = Asking(_text(row, "Translated Question"), _options(row, "Translated Options"))
            texts = {code: text for code, text in ((language, own), (ENGLISH, english)) if code in languages}
            yield Question(key, f"{row} ({key})", image, pair, _answer(row), texts)


def _subset(row: Row) -> tuple[str, str]:
    """Code of the language, and the pair of language and country, of a text such as ('Japanese', 'Japan')."""
    value = row.values["Subset"]
    try:
        pair = ast.literal_eval(value) if isinstance(value, str) else None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pair = None
    if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(text, str) and text for text in pair)):
        raise row.error(f"Subset is {value!r}, it must be a pair such as ('Japanese', 'Japan')")
    language, country = (text.replace("_", " ") for text in pair)
    if language not in CODES:
        raise row.error(f"Subset names the unknown language {language!r}; {nearest(language, CODES)}")
    return CODES[language], f"{language}/{country}"


def _text(row: Row, column: str) -> str:
    value = row.values[column]
    if not isinstance(value, str) or not value.strip():
        raise row.error(f"{column} is {value!r}, it must be a text")
    return value


def _options(row: Row, column: str) -> list[str]:
    value: Any = row.values[column]
    if not isinstance(value, list) or len(value) != OPTIONS:
        raise row.error(f"{column} has {len(value) if isinstance(value, list) else 'no'} entries, not {OPTIONS}")
    for text in value:
        if not isinstance(text, str) or not text.strip():
            raise row.error(f"{column} has the entry {text!r}, it must be a text")
    return value


def _answer(row: Row) -> int:
    value = row.values["Label"]
    if not isinstance(value, int) or isinstance(value, bool) or not (value == HELD_BACK or 0 <= value < OPTIONS):
        raise row.error(f"Label is {value!r}, it must be 0 to {OPTIONS - 1}, or {HELD_BACK} where it is held back")
    return value


SOURCE = Cvqa()
