"""XTD10: 1,000 images of COCO with one caption in each of eleven languages.

Folder: the publisher's repository (XTD10/, MIC/ and STAIR/ with one text file a language, line n
belonging to line n of XTD10/test_image_names.txt) and COCO's images, in images/ or in COCO's own
train2014/ and val2014/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from study.data.base import DatasetInfo, Licence
from study.data.published.sources import Captioned, CaptionSource, Part
from study.data.published.text_lines import ImageFolder, check_aligned, check_unique, read_lines

NAMES = Path("XTD10", "test_image_names.txt")
FILES = {
    "de": Path("MIC", "test_1kcaptions_de.txt"),
    "fr": Path("MIC", "test_1kcaptions_fr.txt"),
    "ja": Path("STAIR", "test_1kcaptions_jp.txt"),
    **{
        language: Path("XTD10", f"test_1kcaptions_{language}.txt")
        for language in ("en", "es", "it", "ko", "pl", "ru", "tr", "zh")
    },
}


class Xtd10(CaptionSource):
    """800 images of COCO's train2014 and 200 of its val2014."""

    record = DatasetInfo(
        name="xtd10",
        description="XTD10: 1,000 images of COCO with one caption in each of eleven languages.",
        source="Aggarwal and Kale 2020 (arXiv 2012.05107), adobe-research/Cross-lingual-Test-Dataset-XTD10",
        revision="d77ff16148468c84287f3efcbf602a015c5e4954",
        licences=(
            Licence("captions", "Adobe Research License (noncommercial research)", "Aggarwal and Kale"),
            Licence("German and French captions (MIC)", "not stated by XTD10", "Rajendran et al. (arXiv 1510.03519)"),
            Licence("Japanese captions (STAIR)", "CC-BY-4.0", "Yoshikawa, Shigeto and Takeuchi 2017 (ACL)"),
            Licence("images", "Flickr's terms of use, each image under its own licence", "COCO Consortium"),
        ),
        languages=tuple(sorted(FILES)),
        vqa_languages=(),
        in_domain="photographs of COCO",
        out_of_domain="none",
        notes=(
            "Of its images 800 are in COCO's train2014 and 200 in its val2014: with COCO as training data they "
            "would be trained on, and such a corpus is refused.",
        ),
        disk={"test": 165_000_000},
        how="a clone of the publisher's repository; its 1,000 images of COCO 2014 in images/, or COCO's train2014/ "
        "and val2014/ beside it",
    )
    splits = ("test",)

    def languages(self, part: Part) -> tuple[str, ...]:
        self.split(part)
        read_lines(Path(str(part.path)) / NAMES)
        return tuple(language for language in sorted(FILES) if self._file(part, language).is_file())

    def tables(self, part: Part) -> Sequence[Path]:
        return [Path(str(part.path)) / NAMES, *(self._file(part, language) for language in self.languages(part))]

    def items(self, part: Part, languages: Sequence[str]) -> Iterator[Captioned]:
        self.split(part)
        root = Path(str(part.path))
        names = read_lines(root / NAMES)
        check_unique(root / NAMES, names)
        captions: Mapping[str, list[str]] = {
            language: read_lines(self._file(part, language)) for language in languages if language in FILES
        }
        for language, texts in captions.items():
            check_aligned(root / NAMES, len(names), self._file(part, language), len(texts))
        folder = ImageFolder(root, ("images", "train2014", "val2014"))
        for row, name in enumerate(names, start=1):
            image = folder.image(name, name, f"{root / NAMES}, row {row}")
            yield Captioned(image, {language: [texts[row - 1]] for language, texts in captions.items()})

    def _file(self, part: Part, language: str) -> Path:
        return Path(str(part.path)) / FILES[language]
