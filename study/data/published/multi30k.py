"""Multi30K: images of Flickr30k with one caption in each of up to four languages.

Folder: the publisher's repository (data/task1/raw/<split>.<language>.gz, line n belonging to line n of
data/task1/image_splits/<split>.txt) and the images in images/ or flickr30k-images/; those of the split
from COCO in images/, or in train2014/ and val2014/.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from study.data.base import CorpusError, DatasetInfo, Licence
from study.data.published.hub import count_rows, image_of, read_rows, split_files, texts_of
from study.data.published.sources import Captioned, CaptionSource, Part
from study.data.published.text_lines import ImageFolder, check_aligned, check_unique, read_lines

LANGUAGES = ("cs", "de", "en", "fr")
FOLDERS = ("images", "flickr30k-images", "flickr30k_images", "train2014", "val2014")
ON_HUB = {"train": "train", "val": "validation", "test_2016_flickr": "test"}
"""The publisher's splits, and what they are called on the hub."""


class Multi30k(CaptionSource):
    """29,000 images to train on, 1,014 to validate, five small test sets."""

    record = DatasetInfo(
        name="multi30k",
        description="Multi30K: images of Flickr30k, an English caption each and its German, French and Czech "
        "translations by people.",
        source="Elliott et al. 2016, 2017; Barrault et al. 2018; multi30k/dataset; hub: romrawinjp/multi30k",
        revision="a3d2e0d26b56f3846f66a952536ffed4e401d05a; hub 110e827dac7d6aabe6201d13bbdbc7413630390d",
        licences=(
            Licence(
                "captions and images",
                "those of Flickr30k: noncommercial research and education, Flickr's terms of use",
                "Elliott, Frank, Sima'an, Specia, Barrault, Bougares and Lala; Young et al. 2014 (Flickr30k)",
            ),
        ),
        languages=LANGUAGES,
        vqa_languages=(),
        in_domain="photographs of people and animals from Flickr",
        out_of_domain="none",
        notes=("One caption an image and language: both protocols of retrieval are the same here.",),
        disk={"train": 4_200_000_000, "val": 150_000_000, "test_2016_flickr": 145_000_000},
        how="a clone of the publisher's repository; Flickr30k's images, which are asked for by a form, in images/",
    )
    splits = ("train", "val", "test_2016_flickr", "test_2017_flickr", "test_2018_flickr", "test_2017_mscoco")
    hub = "romrawinjp/multi30k"

    def languages(self, part: Part) -> tuple[str, ...]:
        split = self.split(part)
        if part.path is None:
            return LANGUAGES
        read_lines(self._names(part))
        return tuple(code for code in LANGUAGES if self._file(part, split, code).is_file())

    def tables(self, part: Part) -> Sequence[Path]:
        if part.path is None:
            return ()
        split = self.split(part)
        return [self._names(part), *(self._file(part, split, language) for language in self.languages(part))]

    def items(self, part: Part, languages: Sequence[str]) -> Iterator[Captioned]:
        return self._of_hub(part, languages) if part.path is None else self._of_folder(part, languages)

    def count(self, part: Part) -> int:
        return count_rows(self._parquet(part)) if part.path is None else super().count(part)

    def _of_folder(self, part: Part, languages: Sequence[str]) -> Iterator[Captioned]:
        split, listed = self.split(part), self._names(part)
        names = read_lines(listed)
        check_unique(listed, names)
        files = {language: self._file(part, split, language) for language in languages if language in LANGUAGES}
        captions = {language: read_lines(file) for language, file in files.items()}
        for language, texts in captions.items():
            check_aligned(listed, len(names), files[language], len(texts))
        folder = ImageFolder(Path(str(part.path)), FOLDERS)
        for row, name in enumerate(names, start=1):
            # Images of COCO are listed as <file>#<number of the caption>.
            image = folder.image(name.partition("#")[0], name, f"{listed}, row {row}")
            yield Captioned(image, {language: [texts[row - 1]] for language, texts in captions.items()})

    def _of_hub(self, part: Part, languages: Sequence[str]) -> Iterator[Captioned]:
        for number, row in enumerate(read_rows(self._parquet(part), (*languages, "image")), start=1):
            texts = {language: texts_of(row, language) for language in languages}
            yield Captioned(image_of(row, str(number)), texts)

    def _parquet(self, part: Part) -> list[str]:
        split = self.split(part)
        if split not in ON_HUB:
            raise CorpusError(f"multi30k: split {split!r} is not on the hub; there are {', '.join(ON_HUB)}")
        return split_files(str(part.hub), part.revision, ON_HUB[split])

    def _names(self, part: Part) -> Path:
        return Path(str(part.path), "data", "task1", "image_splits", f"{self.split(part)}.txt")

    def _file(self, part: Part, split: str, language: str) -> Path:
        return Path(str(part.path), "data", "task1", "raw", f"{split}.{language}.gz")
