"""What can be set of a corpus of one's own. Paths are relative to the study's folder."""

from __future__ import annotations

from pydantic import Field

from study.corpora.base import CorpusSettings
from study.corpora.manifest.contents import CAPTION_SPLITS, read


class ManifestSettings(CorpusSettings):
    """Settings of the manifest corpus."""

    captions: str = Field(default="data/captions.csv", description=".csv or .parquet: image, language, text, split")
    questions: str | None = Field(
        default=None,
        description=".csv or .parquet: question, split, image, type, language, prompt, answer, options",
    )
    canvas: int | None = Field(
        default=None,
        ge=8,
        le=1024,
        description="side of an image in pixels: what the teachers read; null: files are kept, each model fits them",
    )
    pivot: str = Field(default="en", description="language whose captions distillation uses beside every other one")
    revision: str = Field(default="1", description="change it when the data have changed: they are read anew")
    licence: str = Field(default="not stated", min_length=1, description="of images and texts, for the corpus card")
    attribution: str = Field(default="not stated", min_length=1, description="whom to credit, for the corpus card")

    def known_languages(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Languages of captions and of questions in the data, in order of their codes.

        Raises:
            CorpusError: the data cannot be used; the message names file and row.
        """
        contents = read(self.captions, self.questions)
        return contents.languages, contents.vqa_languages

    def known_splits(self) -> tuple[str, ...]:
        """Splits that the data have captions in.

        Raises:
            CorpusError: as `known_languages`.
        """
        found = {caption.split for caption in read(self.captions, None).captions}
        return tuple(split for split in CAPTION_SPLITS if split in found)
