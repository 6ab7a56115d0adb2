"""Crossmodal-3600: photographs from all over the world, captioned by people in 36 languages.

Folder: captions.jsonl and images/<key>.jpg, as the publisher's two archives unpack. Hub: one split a
language, each with all images; the images are read once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from study.data.base import CorpusError, DatasetInfo, Licence
from study.data.manifest.contents import CODE
from study.data.published.hub import check_fetched, count_rows, image_of, read_rows, repository, texts_of
from study.data.published.sources import Captioned, CaptionSource, Part
from study.data.published.text_lines import ImageFolder, meant

LANGUAGES = (
    *("ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fil", "fr", "he", "hi", "hr", "hu", "id", "it"),
    *("ja", "ko", "mi", "nl", "no", "pl", "pt", "quz", "ro", "ru", "sv", "sw", "te", "th", "tr", "uk", "vi", "zh"),
)


class Crossmodal3600(CaptionSource):
    """3,600 images, 261,375 captions."""

    record = DatasetInfo(
        name="crossmodal3600",
        description="Crossmodal-3600: 3,600 photographs with captions written by people in 36 languages.",
        source="Thapliyal et al. 2022 (EMNLP), https://google.github.io/crossmodal-3600; hub: mteb/xm3600",
        revision="hub 536cd45bbfe53de9b08c0483bb4a76a4bd3673fa",
        licences=(
            Licence("captions", "CC-BY-4.0", "Thapliyal, Pont-Tuset, Chen and Soricut (Google)"),
            Licence("images", "CC-BY-2.0", "their photographers, by way of Open Images"),
        ),
        languages=LANGUAGES,
        vqa_languages=(),
        in_domain="photographs from regions where the 36 languages are spoken",
        out_of_domain="none",
        notes=(
            "Protocols differ: CLIP_benchmark keeps each image's first caption, MTEB all of them; the scores here "
            "say which was used. Bengali has one caption an image, most languages two or more.",
        ),
        disk={"test": 300_000_000},
        how="captions.zip and images.tgz from the publisher's page: captions.jsonl and images/ in one folder",
    )
    splits = ("test",)
    hub = "mteb/xm3600"

    def languages(self, part: Part) -> tuple[str, ...]:
        if part.path is None:
            return LANGUAGES
        found: dict[str, None] = {}
        for _, line in self._lines(part):
            found.update(dict.fromkeys(key for key, value in line.items() if isinstance(value, dict)))
        if odd := next((code for code in found if not CODE.fullmatch(code)), None):
            raise CorpusError(f"{part.path}/captions.jsonl: {odd!r} is no language code such as 'en' or 'pt-BR'")
        return tuple(found)

    def tables(self, part: Part) -> Sequence[Path]:
        return () if part.path is None else (Path(part.path) / "captions.jsonl",)

    def items(self, part: Part, languages: Sequence[str]) -> Iterator[Captioned]:
        self.split(part)
        return self._of_hub(part, languages) if part.path is None else self._of_folder(part, languages)

    def count(self, part: Part) -> int:
        if part.path is not None:
            return super().count(part)
        return count_rows(repository(str(part.hub), part.revision).files(LANGUAGES[0]))

    def _of_folder(self, part: Part, languages: Sequence[str]) -> Iterator[Captioned]:
        folder = ImageFolder(Path(str(part.path)), ("images",))
        first: dict[str, str] = {}
        for where, line in self._lines(part):
            key = line.get("image/key")
            if not isinstance(key, str) or not key:
                raise CorpusError(f"{where}: there is no image/key")
            if key in first:
                raise CorpusError(f"{where}: image {key!r} is in {first[key]} already")
            first[key] = where
            texts = {language: _captions(line, language, where) for language in languages if language in line}
            yield Captioned(folder.image(f"{key}.jpg", key, where), texts)

    def _lines(self, part: Part) -> Iterator[tuple[str, Mapping[str, Any]]]:
        file = Path(str(part.path)) / "captions.jsonl"
        if not file.is_file():
            raise CorpusError(f"there is no file {file}{meant(file)}")
        check_fetched(str(file))
        with file.open("rb") as stream:
            for row, line in enumerate(stream, start=1):
                where = f"{file}, row {row}"
                try:
                    value = json.loads(line)
                except UnicodeDecodeError as error:
                    raise CorpusError(f"{where}: not UTF-8: {error.reason}") from None
                except RecursionError:
                    raise CorpusError(f"{where}: its values lie too deep in one another") from None
                except ValueError as error:
                    raise CorpusError(f"{where}: no JSON, the file is not whole: {error}") from None
                if not isinstance(value, dict):
                    raise CorpusError(f"{where}: must be a JSON object, is {type(value).__name__}")
                yield where, value

    def _of_hub(self, part: Part, languages: Sequence[str]) -> Iterator[Captioned]:
        """All captions are held while the images, of one language's split, pass by."""
        there = repository(str(part.hub), part.revision)
        texts: dict[str, dict[str, list[str]]] = {}
        for language in languages:
            first: dict[str, str] = {}
            for row in read_rows(there.files(language), ("image_id", "captions")):
                key = str(row.values["image_id"])
                if key in first:
                    raise row.error(f"image {key!r} is in {first[key]} already")
                first[key] = str(row)
                texts.setdefault(key, {})[language] = texts_of(row, "captions")
        files = there.files(languages[0] if languages else LANGUAGES[0])
        for row in read_rows(files, ("image_id", "image")):
            key = str(row.values["image_id"])
            yield Captioned(image_of(row, key), texts.pop(key, {}))
        if texts:
            raise CorpusError(f"{part.place}: image {next(iter(texts))!r} has captions, but is not in {files[0]}")


def _captions(line: Mapping[str, Any], language: str, where: str) -> list[str]:
    captions = line[language].get("caption") if isinstance(line[language], dict) else None
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
        raise CorpusError(f"{where}: {language}.caption must be a list of texts")
    return captions
