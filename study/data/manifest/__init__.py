"""A corpus of one's own: images in a folder, captions and questions in a table or two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from study.data.base import Corpus, DatasetInfo, Licence, Progress
from study.data.manifest.contents import CAPTION_SPLITS, QUESTION_SPLITS, Caption, Text, gather
from study.data.manifest.pictures import Looked, keep, load, survey
from study.data.manifest.selection import Selection, select
from study.data.manifest.settings import ManifestSettings
from study.data.manifest.tables import Row
from study.data.prepared import ImageSet, file_hash
from study.data.problems import Problems
from study.data.writer import CorpusWriter

RECORD = DatasetInfo(
    name="manifest",
    description="Images, captions and questions of the user's own, as listed in tables.",
    source="the files named in corpus.settings",
    revision="as declared in corpus.settings",
    licences=(Licence("images, captions and questions", "as declared", "as declared in corpus.settings"),),
    languages=(),
    vqa_languages=(),
    in_domain="validation and test: the user's own splits",
    out_of_domain="questions: the user's own",
    notes=(
        "Languages are those of the data; columns called english hold the pivot language.",
        "No image file is in two splits; near duplicates are not looked for.",
    ),
)


def check(settings: ManifestSettings, languages: Sequence[str], vqa_languages: Sequence[str]) -> None:
    """Refuse what cannot be built. Images must be there; of many only the headers are read before `build`."""
    select(settings.contents(), settings.captions, settings.pivot, languages, vqa_languages)


def build(
    settings: ManifestSettings,
    languages: Sequence[str],
    vqa_languages: Sequence[str],
    out: Path,
    cache: Path,
    progress: Progress,
) -> None:
    """Prepare the corpus in `out`; `cache` is not used. Relative paths start at the working folder.

    All images are looked at before anything is written.
    """
    progress("tables", 0.0)
    problems = Problems()
    contents = gather(settings.captions, settings.questions, problems)
    progress("tables", 1.0)
    looked = survey(contents, settings.broken, problems, lambda share: progress("images, looked at", share))
    problems.check()
    usable = contents.without(looked.broken)
    chosen = select(usable, settings.captions, settings.pivot, languages, vqa_languages)
    writer = CorpusWriter(out)
    pictures = _Pictures(writer, settings.canvas, looked, progress)
    for split in CAPTION_SPLITS:
        captions = chosen.captions[split]
        if not captions:
            continue
        place = pictures.write(split, captions)
        columns: dict[str, Any] = {
            "image": [place[caption.image] for caption in captions],
            "language": [caption.language for caption in captions],
            "text": [caption.text for caption in captions],
        }
        if split == "distil":
            columns["english"] = list(chosen.pivots)
        writer.captions(split, columns)
    if vqa_languages:
        _write_questions(writer, chosen, pictures)
    record = replace(
        RECORD,
        revision=settings.revision,
        source=", ".join(_tables(settings)),
        licences=(replace(RECORD.licences[0], name=settings.licence, attribution=settings.attribution),),
        languages=tuple(languages),
        vqa_languages=tuple(vqa_languages),
    )
    facts = {
        "tables": table_hashes(settings),
        "images left out": looked.left_out,
        "rows left out with them": {
            "captions": len(contents.captions) - len(usable.captions),
            "texts of questions": len(contents.texts) - len(usable.texts),
        },
        "images": dict(sorted(looked.notes.items())),
        "captions with space around them": dict(contents.spaced),
    }
    progress("card", 0.0)
    writer.finish(record, settings, list(languages), list(vqa_languages), facts)
    progress("card", 1.0)


def table_hashes(settings: ManifestSettings) -> dict[str, str]:
    """sha256 of each of the user's tables, by its name."""
    return {name: file_hash(Path(name)) for name in _tables(settings)}


def _tables(settings: ManifestSettings) -> list[str]:
    return [name for name in (settings.captions, settings.questions) if name is not None]


class _Pictures:
    """Writes image files one by one: as pixels of one size, or as they are."""

    def __init__(self, writer: CorpusWriter, canvas: int | None, looked: Looked, progress: Progress) -> None:
        self._writer, self._canvas, self._looked, self._progress = writer, canvas, looked, progress

    def write(self, name: ImageSet, rows: Iterable[Caption | Text]) -> dict[str, int]:
        """Write the images of `rows`, each once, in order of appearance; returns file -> number."""
        first: dict[str, Row] = {}
        for user in rows:
            first.setdefault(user.image, user.row)
        if self._canvas is None:
            self._writer.encoded(name, self._files(name, first))
        else:
            pixels = self._writer.images(name, len(first), self._canvas, self._canvas)
            for number, (file, row) in enumerate(first.items()):
                pixels[number] = load(file, self._canvas, row)
                self._tell(name, number, len(first))
            pixels.flush()
        self._progress(f"images {name}", 1.0)
        return {file: number for number, file in enumerate(first)}

    def _files(self, name: ImageSet, first: Mapping[str, Row]) -> Iterator[bytes]:
        for number, (file, row) in enumerate(first.items()):
            self._tell(name, number, len(first))
            yield keep(file, self._looked.digests[file], row)

    def _tell(self, name: str, number: int, total: int) -> None:
        if number % 500 == 0:
            self._progress(f"images {name}", number / total)


def _write_questions(writer: CorpusWriter, chosen: Selection, pictures: _Pictures) -> None:
    questions: dict[str, list[Any]] = {c: [] for c in ("question", "split", "image", "type", "answer", "options")}
    texts: dict[str, list[Any]] = {c: [] for c in ("question", "language", "prompt", "options")}
    for split in QUESTION_SPLITS:
        asked = chosen.texts[split]
        if not asked:
            continue
        place = pictures.write("vqa_validation" if split == "validation" else "vqa_test", asked)
        for text in {text.question: text for text in asked}.values():
            options = [str(number) for number in range(len(text.options))]
            values: tuple[Any, ...] = (text.question, split, place[text.image], text.type, text.answer, options)
            for column, value in zip(questions, values, strict=True):
                questions[column].append(value)
        for text in asked:
            for column, value in zip(
                texts, (text.question, text.language, text.prompt, list(text.options)), strict=True
            ):
                texts[column].append(value)
    writer.questions(questions, texts)


CORPUS = Corpus(record=RECORD, Settings=ManifestSettings, build=build, check=check)
