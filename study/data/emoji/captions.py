"""Captions: the names of a scene's items from left to right, joined in the language's own way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from unicodedata import normalize

import numpy as np
from babel import Locale

from study.data.base import CorpusError

BABEL_NAMES = {"quz": "qu"}


class Captioner:
    """Writes captions in one language. CLDR has a bare comma for mi and qu, and so have the captions."""

    def __init__(self, language: str, names: Mapping[str, str]) -> None:
        self.names = names
        patterns = Locale.parse(BABEL_NAMES.get(language, language)).list_patterns["standard"]
        self._two, self._start, self._middle, self._end = (patterns[key] for key in ("2", "start", "middle", "end"))

    def __call__(self, scene: Sequence[str]) -> str:
        """A concept that is there k times is written once, "name ×k", where it is first."""
        counts = Counter(scene)  # keeps the order of first appearance
        return self.join([self.counted(id_, times) if times > 1 else self.names[id_] for id_, times in counts.items()])

    def counted(self, concept: str, times: int) -> str:
        return normalize("NFC", f"{self.names[concept]} ×{times}")

    def join(self, parts: Sequence[str]) -> str:
        """As Babel's `format_list`, whose look-up of the locale would be most of the time here."""
        if len(parts) == 1:
            return normalize("NFC", parts[0])
        if len(parts) == 2:
            return normalize("NFC", self._two.format(*parts))
        text = self._start.format(parts[0], parts[1])
        for part in parts[2:-1]:
            text = self._middle.format(text, part)
        return normalize("NFC", self._end.format(text, parts[-1]))


def balanced_languages(scenes: int, languages: Sequence[str], each: int, rng: np.random.Generator) -> list[list[str]]:
    """`each` different languages a scene, every language equally often (within one block of scenes).

    Block design: of as many scenes as there are languages, scene r takes the languages at r plus
    `each` offsets on a shuffled circle.
    """
    if each > len(languages):
        raise CorpusError(f"captions_per_scene is {each}, but there are {len(languages)} languages")
    rows: list[list[str]] = []
    size = len(languages)
    while len(rows) < scenes:
        circle = [languages[index] for index in rng.permutation(size)]
        offsets = rng.permutation(size)[:each]
        rows += [[circle[(row + int(offset)) % size] for offset in offsets] for row in range(size)]
    return rows[:scenes]


def shared_languages(
    scenes: int, share: Mapping[str, float], languages: Sequence[str], rng: np.random.Generator
) -> list[str]:
    """One language a scene, in the declared shares up to rounding (largest remainders), shuffled.

    Quotas and not draws: the rarest language's count should not be luck.
    """
    quota = quotas([share[language] for language in languages], scenes)
    ordered = [language for language, number in zip(languages, quota, strict=True) for _ in range(number)]
    return [ordered[index] for index in rng.permutation(scenes)]


def quotas(weights: Sequence[float], total: int) -> np.ndarray:
    """[K] whole numbers that sum to `total`, in proportion to `weights` [K] up to rounding (largest remainders)."""
    given = np.array(weights, dtype=np.float64)
    exact = given / given.sum() * total
    quota = np.floor(exact).astype(np.int64)
    rest = np.argsort(-(exact - quota), kind="stable")[: total - int(quota.sum())]
    quota[rest] += 1
    return quota
