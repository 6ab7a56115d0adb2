"""What can be set of the emoji corpus. Sizes of items are in fractions of the canvas."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from study.data.base import CorpusSettings, nearest
from study.data.emoji.placing import LEAST_SHARE, share_that_fits

Vendor = Literal["fluent", "google", "openmoji", "twitter"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]

LANGUAGES = (
    *("ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fil", "fr", "he", "hi", "hr", "hu", "id", "it"),
    *("ja", "ko", "mi", "nl", "no", "pl", "pt", "quz", "ro", "ru", "sv", "sw", "te", "th", "tr", "uk", "vi", "zh"),
)
"""The 36 languages of Crossmodal-3600, by its codes."""

WEB_SHARE: dict[str, float] = {
    "en": 36.0,
    **dict.fromkeys(("de", "es", "fr", "ja", "ru", "zh"), 5.0),
    **dict.fromkeys(("it", "nl", "pl", "pt"), 2.5),
    **dict.fromkeys(("cs", "fa", "id", "ko", "sv", "tr", "uk", "vi"), 1.4),
    **dict.fromkeys(("ar", "da", "el", "fi", "he", "hu", "no", "ro", "th"), 1.0),
    **dict.fromkeys(("bn", "fil", "hi", "hr", "mi", "quz", "sw", "te"), 0.5),
}
"""A web-like imbalance in five steps: the order follows web crawls, the steps are rounded by hand."""


class Scenes(CorpusSettings):
    """Number of scenes of every split."""

    teacher: int = Field(default=30_000, ge=1, le=2_000_000, description="to train teachers on")
    distil: int = Field(default=6_000, ge=1, le=2_000_000, description="to distil students on")
    validation: int = Field(default=500, ge=1, le=20_000, description="to tune on")
    test: int = Field(default=500, ge=1, le=20_000, description="to score on, once")


class Questions(CorpusSettings):
    """Number of questions of both splits; every question has an image of its own."""

    validation: int = Field(default=240, ge=4, le=20_000, description="to look at while a study is designed")
    test: int = Field(default=400, ge=4, le=20_000, description="to score on, once")


class Kinds(CorpusSettings):
    """Weights of the kinds of questions: of all questions, each kind has its part of their sum."""

    what: float = Field(default=1.0, ge=0.0, allow_inf_nan=False, description="which of four things is there")
    pair: float = Field(default=1.0, ge=0.0, allow_inf_nan=False, description="which two things are there")
    order: float = Field(default=1.0, ge=0.0, allow_inf_nan=False, description="what is there, from left to right")
    count: float = Field(default=1.0, ge=0.0, allow_inf_nan=False, description="how many of one thing are there")

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if not any(dict(self).values()):
            raise ValueError("every kind of question has weight 0; give at least one of them more")
        return self


class EmojiSettings(CorpusSettings):
    """Settings of the emoji corpus."""

    seed: int = Field(default=0, ge=0, description="of everything that is drawn")
    concepts: int = Field(
        default=160, ge=8, le=350, description="emoji in use; a smaller number takes the first of them"
    )
    canvas: int = Field(default=32, ge=16, le=256, description="side of an image in pixels")
    scenes: Scenes = Field(default=Scenes(), description="scenes of each split")
    questions: Questions = Field(default=Questions(), description="questions of each split")
    kinds: Kinds = Field(default=Kinds(), description="weights of the kinds of questions")
    captions_per_scene: int = Field(default=8, ge=1, description="languages of a teacher scene")
    max_items: int = Field(default=3, ge=2, le=4, description="emoji in a scene")
    in_domain: Annotated[tuple[Vendor, ...], Field(strict=False, min_length=1)] = Field(
        default=("google", "openmoji"), description="vendors whose artwork the captions are about"
    )
    held_out: Vendor = Field(default="twitter", description="whose artwork the questions are asked about")
    share: dict[str, float] = Field(default=WEB_SHARE, description="weights of languages in distil")
    prompt_share: Fraction = Field(default=0.0, description="of captions to train on: opened by a question's prompt")
    held_out_compositions: float = Field(default=0.2, gt=0.0, le=0.8, description="kept for evaluation, in four parts")
    repeat_share: Fraction = Field(default=0.15, description="of scenes of two or more items")
    same_group_share: Fraction = Field(default=0.5, description="of wrong concepts: the right one's group")
    sizes: Annotated[
        tuple[Annotated[tuple[float, float], Field(strict=False)], ...],
        Field(strict=False, description="least and largest size of an item in scenes of 1, 2, 3, ... items"),
    ] = ((0.5, 0.8), (0.4, 0.55), (0.36, 0.46), (0.3, 0.38))
    rotation: float = Field(default=20.0, ge=0.0, le=45.0, description="largest rotation either way, degrees")
    overlap: float = Field(default=0.15, ge=0.0, le=0.5, description="of two items' circles, of their diameter")
    step: float = Field(default=0.15, gt=0.0, le=0.3, description="least horizontal distance of two items' centres")
    background: Annotated[tuple[int, int], Field(strict=False)] = Field(
        default=(120, 255), description="darkest and lightest value of its channels, 0 to 255"
    )

    @field_validator("share")
    @classmethod
    def _known_languages(cls, share: dict[str, float]) -> dict[str, float]:
        for language, weight in share.items():
            if language not in LANGUAGES:
                raise ValueError(f"unknown language {language!r}; {nearest(language, LANGUAGES)}")
            if not 0.0 < weight < float("inf"):
                raise ValueError(f"the weight of {language!r} is {weight}; it must be above 0")
        return share

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.held_out in self.in_domain:
            raise ValueError(f"vendor {self.held_out!r} cannot be in domain and held out at once")
        if len(set(self.in_domain)) < len(self.in_domain):
            raise ValueError("a vendor is in domain twice")
        if len(self.sizes) < self.max_items:
            raise ValueError(f"sizes has {len(self.sizes)} ranges for scenes of up to {self.max_items} items")
        if any(not 0.1 <= low <= high <= 1.0 for low, high in self.sizes):
            raise ValueError("each range of sizes must be 0.1 <= least <= largest <= 1")
        for items in range(1, self.max_items + 1):
            least, largest = self.sizes[items - 1]
            if share_that_fits(items, least, largest, (self.canvas, self.overlap, self.step)) < LEAST_SHARE:
                raise ValueError(
                    f"{items} items of sizes {least} to {largest} hardly fit beside one another: lower `sizes` or "
                    "`step`, or raise `overlap`"
                )
        if not 0 <= self.background[0] <= self.background[1] <= 255:
            raise ValueError("background must be 0 <= darkest <= lightest <= 255")
        return self
