"""Captions to train on: a share of them is opened by a question's prompt, as "In the picture: dog and cat".

The prompts' words so get tokens of their own in the vocabulary. Without them a model meets the questions' form
for the first time in the test, and a small vocabulary spells it in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from unicodedata import normalize

from study.data.emoji.captions import Captioner
from study.data.emoji.prompts import PROMPTS
from study.data.emoji.settings import EmojiSettings
from study.data.prepared import scored_text
from study.seeds import stream


class PromptedCaptioner:
    """Writes the captions of one split; which of them are opened, and by what, is drawn from its own stream."""

    def __init__(self, captioners: Mapping[str, Captioner], settings: EmojiSettings, split: str) -> None:
        self._captioners = captioners
        self._share = settings.prompt_share
        self._kinds = tuple(kind for kind, weight in settings.kinds if weight)
        self._rng = stream("emoji", "prompts", split, settings.seed)

    def __call__(self, scene: Sequence[str], *languages: str) -> list[str]:
        """The scene's caption in each language: all are opened by one prompt, or none is."""
        opened = bool(self._rng.random() < self._share)
        kinds = [kind for kind in self._kinds if answers(scene, kind)]
        drawn = int(self._rng.integers(max(1, len(kinds))))
        captions = [self._captioners[language](scene) for language in languages]
        if not (opened and kinds and all(language in PROMPTS for language in languages)):
            return captions
        prompts = [normalize("NFC", getattr(PROMPTS[language], kinds[drawn])) for language in languages]
        return [scored_text(prompt, caption) for prompt, caption in zip(prompts, captions, strict=True)]


def answers(scene: Sequence[str], kind: str) -> bool:
    """Whether the caption of a whole scene is a true answer to a question of that kind."""
    different = len(set(scene))
    return {
        "what": True,
        "pair": different == 2,
        "order": different == len(scene) > 1,
        "count": different == 1 < len(scene),
    }[kind]
