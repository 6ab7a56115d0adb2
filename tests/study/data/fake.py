"""A source of names and artwork that needs no package: coloured shapes called by syllables."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from study.data.base import DatasetInfo
from study.data.emoji import RECORD
from study.data.emoji.settings import EmojiSettings, Questions, Scenes
from study.data.emoji.source import Concept

LANGUAGES = ("en", "de", "he", "ja", "sw", "mi")
VQA_LANGUAGES = ("en", "he", "ja")
FAKE_RECORD: DatasetInfo = replace(RECORD, languages=LANGUAGES, vqa_languages=VQA_LANGUAGES)
GROUPS = ("Food & Drink", "Objects", "Travel & Places", "Animals & Nature")


def small(**changes: object) -> EmojiSettings:
    """Settings that are ready in a second."""
    return EmojiSettings.model_validate(
        {
            "concepts": 24,
            "scenes": Scenes(teacher=120, distil=200, validation=40, test=40),
            "questions": Questions(validation=48, test=96),
            "captions_per_scene": 3,
            **changes,
        }
    )


class FakeSource:
    """60 concepts in four groups."""

    @property
    def candidates(self) -> list[Concept]:
        return [Concept(f"{0x1F000 + n:04x}", GROUPS[n % 4], f"part {n % 8}") for n in range(60)]

    def names(self, language: str) -> dict[str, str]:
        # "e" and a combining accent: names must come out composed whatever the source does.
        return {concept.id: f"{language} e\u0301 {concept.id}" for concept in self.candidates}

    def art(self, concept: str, vendor: str) -> np.ndarray:
        digest = hashlib.sha256(f"{concept} {vendor}".encode()).digest()
        art = np.zeros((20, 30, 4), dtype=np.uint8)
        art[4:16, 5:25] = [*digest[:3], 255]
        art[8:12, 10:20] = [*digest[3:6], 255]
        return art
