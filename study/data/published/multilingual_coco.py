"""COCO's captions in ten languages, in Karpathy's splits; very likely what the paper trained on.

Folder: a copy of the hub's repository (data/<split>-*.parquet with the images in them); hub: the same,
read over the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from study.data.base import CorpusError, DatasetInfo, Licence
from study.data.published.hub import column_names, count_rows, image_of, read_rows, split_files, texts_of
from study.data.published.sources import Captioned, CaptionSource, Part

COLUMNS = {
    **{language: language for language in ("ar", "de", "en", "es", "it", "ru", "th", "vi")},
    "ja": "jp-stair",
    "zh": "cn",
}
"""The column that holds a language's captions."""


class MultilingualCoco(CaptionSource):
    """82,783 images to train on (with restval 113,287), 5,000 to validate, 5,000 to test; about five captions each."""

    record = DatasetInfo(
        name="multilingual_coco",
        description="COCO's images with its English captions and published captions or translations in nine "
        "further languages.",
        source="hub: romrawinjp/multilingual-coco, collected from COCO (Lin et al. 2014), STAIR Captions and others",
        revision="hub d61d80b3f3260c18326209467b2842b89cc83f96",
        licences=(
            Licence("captions in ten languages", "CC-BY-4.0", "COCO Consortium; the authors listed in its card"),
            Licence("images", "Flickr's terms of use, each image under its own licence", "COCO Consortium"),
        ),
        languages=tuple(sorted(COLUMNS)),
        vqa_languages=(),
        in_domain="photographs of COCO",
        out_of_domain="none",
        notes=(
            "Japanese captions are STAIR's; those of YJ Captions, which cover a part of the images, are not read.",
            "Images of COCO are also in XTD10, in a split of Multi30K and in Visual Genome.",
        ),
        disk={"train": 13_900_000_000, "restval": 5_200_000_000, "val": 850_000_000, "test": 850_000_000},
        how="the files of the hub's data set romrawinjp/multilingual-coco in a folder, or its name and commit",
    )
    splits = ("train", "restval", "val", "test")
    hub = "romrawinjp/multilingual-coco"

    def languages(self, part: Part) -> tuple[str, ...]:
        self.split(part)
        if part.path is None:
            return self.record.languages
        if not Path(part.path).is_dir():
            raise CorpusError(f"there is no folder {part.path}")
        found = column_names(self._files(part))
        return tuple(language for language in self.record.languages if COLUMNS[language] in found)

    def items(self, part: Part, languages: Sequence[str]) -> Iterator[Captioned]:
        columns = {language: COLUMNS[language] for language in languages if language in COLUMNS}
        first: dict[str, str] = {}
        for row in read_rows(self._files(part), ("cocoid", *columns.values(), "image")):
            key = str(row.values["cocoid"])
            if key in first:
                raise row.error(f"image {key!r} is in {first[key]} already")
            first[key] = str(row)
            texts = {language: texts_of(row, column) for language, column in columns.items()}
            yield Captioned(image_of(row, key), texts)

    def count(self, part: Part) -> int:
        return count_rows(self._files(part))

    def bulk(self, part: Part) -> Sequence[Path]:
        return [Path(file) for file in self._files(part)]

    def _files(self, part: Part) -> list[str]:
        return split_files(str(part.path or part.hub), part.revision, self.split(part))
