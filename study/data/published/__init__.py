"""A corpus assembled from parts of published data sets: what is distilled on, chosen by and scored.

Images are kept as their files are, for each model to fit as its own library does once they are decoded in one
way for all (`study.data.pictures`); texts are brought into Unicode's form NFC. No image content is in two of training,
validation and test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from study.data.base import Corpus, CorpusError, DatasetInfo, Licence, Progress, check_languages
from study.data.fingerprint import ends_hash
from study.data.prepared import CaptionSplit, file_hash
from study.data.problems import Problems
from study.data.published.captions import Into, Tally, write_split
from study.data.published.gallery import Gallery
from study.data.published.leakage import LeakageCheck
from study.data.published.questions import check_questions, question_source, write_questions
from study.data.published.registry import caption_source
from study.data.published.requirements import needs
from study.data.published.sampling import drawn, items_of
from study.data.published.settings import PublishedSettings
from study.data.published.sources import Part, Source
from study.data.writer import CorpusWriter

__all__ = ["CORPUS", "RECORD", "PublishedSettings", "build", "check", "needs"]

MOST_LANGUAGES = 127
"""The layout numbers languages in eight bits."""

RECORD = DatasetInfo(
    name="published",
    description="Parts of published data sets, as declared.",
    source="the data sets named in corpus.settings",
    revision="as declared in corpus.settings",
    licences=(Licence("images, captions and questions", "as each data set's", "as each data set's record says"),),
    languages=(),
    vqa_languages=(),
    in_domain="validation and test: the captioned data sets declared",
    out_of_domain="questions: the data sets of questions declared",
    notes=(
        "Languages are those of the test; distillation and validation may have some of them only.",
        "Columns called english hold the pivot language.",
        "No image file is in two of training, validation and test; copies that were scaled or encoded anew are not "
        "looked for.",
        "A caption in another language is trained beside the caption in the pivot language that has its number.",
    ),
)


def check(settings: PublishedSettings, languages: Sequence[str], vqa_languages: Sequence[str]) -> None:
    """Refuse what cannot be built. Local tables that are scored by are read whole, hub data sets are not queried."""
    problems = Problems()
    for key in ("distil", "validation", "test"):
        if not getattr(settings, key):
            problems.add(f"settings.{key}: there must be a part or a list of parts")
    for key, part in settings.places():
        problems.tried(key, _check_part, key, part)
    problems.check()
    known, asked = settings.known_languages()
    check_languages(languages, known, "languages")
    if not 2 <= len(languages) <= MOST_LANGUAGES:
        raise CorpusError(f"languages: {len(languages)} given, there must be 2 to {MOST_LANGUAGES}: they are compared")
    spoken = {lang for part in settings.distil for lang in caption_source(part.source).languages(part)}
    check_languages([settings.pivot], sorted(spoken), "pivot")
    if vqa_languages:
        check_languages(vqa_languages, asked, "vqa_languages")
        problems.tried("questions", check_questions, settings.questions.by_split(), vqa_languages)
    for split in settings.captioned():
        problems.tried(split, _check_tables, settings, split, languages)
    problems.check()


def _check_part(key: str, part: Part) -> None:
    _source(key, part).split(part)
    if part.language is not None and part.source != "webdataset":
        raise CorpusError(
            f"settings.{key}: {part.source}: language is for webdataset alone; this data set says what its own are"
        )


def _check_tables(settings: PublishedSettings, split: CaptionSplit, languages: Sequence[str]) -> None:
    """Read local captions that are scored, without their images; of training data the first image only."""
    parts = settings.captioned()[split]
    local = [part for part in parts if part.hub is None]
    if split in ("validation", "test"):
        tally = Tally(languages)
        for _, captions, _ in items_of(local, languages, []):
            tally.add(captions)
        if len(local) == len(parts):
            tally.check(split)
    else:
        for part in local:
            if next(drawn(part, [settings.pivot]), None) is None:
                raise CorpusError(f"settings.{split}: {part.source}, {part.place}: there are no images")


def build(
    settings: PublishedSettings,
    languages: Sequence[str],
    vqa_languages: Sequence[str],
    out: Path,
    cache: Path,
    progress: Progress,
) -> None:
    """Prepare the corpus in `out`; `cache` is not used: the hub's client has its own."""
    writer, leakage, gallery = CorpusWriter(out), LeakageCheck(), Gallery(settings.broken)
    into = Into(writer, languages, settings.pivot, leakage, gallery, progress)
    parts: dict[str, object] = {}
    facts: dict[str, object] = {"tables": table_hashes(settings), "bulk": bulk_hashes(settings), "parts": parts}

    def captions(splits: Iterable[CaptionSplit]) -> None:
        for split, sources in settings.captioned().items():
            if split in splits:
                progress(f"{split}: images and captions", 0.0)
                parts[split] = write_split(into, split, sources)

    # What is scored first: it is small, and an error in it shows early.
    captions(("test", "validation"))
    if vqa_languages:
        progress("questions", 0.0)

        def claim(content: bytes, split: str, where: str) -> None:
            leakage.claim(content, split, where)

        facts["questions"] = write_questions(writer, settings.questions.by_split(), vqa_languages, claim, gallery)
    captions(("distil", "teacher"))
    gallery.problems.check()
    facts["images left out"] = dict(sorted(gallery.left_out.items()))
    facts["images"] = dict(sorted(gallery.notes.items()))
    progress("card", 0.0)
    record = _record(settings, languages, vqa_languages)
    writer.finish(record, settings, list(languages), list(vqa_languages), facts)
    progress("card", 1.0)


def table_hashes(settings: PublishedSettings) -> dict[str, str]:
    """sha256 of each local table (not of images, nor of files with images in them), by its name."""
    tables = {table for source, part in _local(settings) for table in source.tables(part)}
    return {table.as_posix(): file_hash(table) for table in sorted(tables)}


def bulk_hashes(settings: PublishedSettings) -> dict[str, str]:
    """The `ends_hash` of each local file with images in it, by its name."""
    files = {file for source, part in _local(settings) for file in source.bulk(part)}
    return {file.as_posix(): ends_hash(file) for file in sorted(files)}


def _local(settings: PublishedSettings) -> Iterator[tuple[Source, Part]]:
    """The parts that lie in folders, and what reads them."""
    return ((_source(key, part), part) for key, part in settings.places() if part.hub is None)


def _source(key: str, part: Part) -> Source:
    return question_source(part.source) if key.startswith("questions.") else caption_source(part.source)


def _record(settings: PublishedSettings, languages: Sequence[str], vqa_languages: Sequence[str]) -> DatasetInfo:
    """The record of this very corpus: the data sets it was made of, their licences and notes."""
    used = {part.source: _source(key, part).record for key, part in settings.places()}
    pinned = {f"{part.source}: {part.revision or 'folder'}": None for _, part in settings.places()}
    scored = {part.source: caption_source(part.source).record for part in [*settings.validation, *settings.test]}
    asked = {part.source: question_source(part.source).record for part in settings.questions.test}
    return replace(
        RECORD,
        source="; ".join(f"{name} ({record.source})" for name, record in used.items()),
        revision="; ".join(pinned),
        licences=tuple(_licences(settings, used)),
        languages=tuple(languages),
        vqa_languages=tuple(vqa_languages),
        in_domain="; ".join(f"{name}: {record.in_domain}" for name, record in scored.items()),
        out_of_domain="; ".join(f"{name}: {record.out_of_domain}" for name, record in asked.items()) or "none",
        notes=(*RECORD.notes, *(f"{name}: {note}" for name, record in used.items() for note in record.notes)),
    )


def _licences(settings: PublishedSettings, used: Mapping[str, DatasetInfo]) -> Iterator[Licence]:
    for name, record in used.items():
        for licence in record.licences:
            covers = f"{name}: {licence.covers}"
            if licence.name == "as declared":
                yield Licence(covers, settings.licence, settings.attribution)
            else:
                yield replace(licence, covers=covers)


CORPUS = Corpus(record=RECORD, Settings=PublishedSettings, build=build, check=check, needs=needs)
