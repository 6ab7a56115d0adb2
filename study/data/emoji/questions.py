"""Questions with four options about scenes: what they ask, and what is wrong in the wrong options.

The options never give the answer away without the picture: `pair` and `order` cross two right
elements with two wrong ones, so that every element is in as many options as its rival; in `count`
the numbers 1 to 3 are right equally often (4 never is: scenes have at most three items).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from unicodedata import normalize

import numpy as np

from study.data.emoji.captions import Captioner, quotas
from study.data.emoji.compositions import Drawer
from study.data.emoji.concepts import Chosen
from study.data.emoji.prompts import PROMPTS
from study.data.emoji.settings import EmojiSettings
from study.seeds import stream

Kind = Literal["what", "pair", "order", "count"]
KINDS: tuple[Kind, ...] = ("what", "pair", "order", "count")
OPTIONS = 4


@dataclass(frozen=True)
class Option:
    """Concepts from left to right, or one concept `times` times (0: not about number)."""

    concepts: tuple[str, ...]
    times: int = 0

    @property
    def id(self) -> str:
        return f"{self.concepts[0]}*{self.times}" if self.times else "+".join(self.concepts)

    def text(self, captioner: Captioner) -> str:
        return captioner.counted(self.concepts[0], self.times) if self.times else captioner(self.concepts)


@dataclass(frozen=True)
class EmojiQuestion:
    """A question about its own scene, whose items stand from left to right."""

    kind: Kind
    scene: tuple[str, ...]
    options: tuple[Option, ...]
    answer: int

    def holds(self, option: Option) -> bool:
        """Whether an option is true of the scene: by the scene, not by how the option was made."""
        if option.times:
            return self.scene.count(option.concepts[0]) == option.times
        if self.kind == "order":
            return option.concepts == self.scene
        return set(option.concepts) <= set(self.scene)


class Asker:
    """Makes the questions of one split."""

    def __init__(self, chosen: Chosen, settings: EmojiSettings, split: str) -> None:
        self.chosen, self.settings, self.split = chosen, settings, split
        self.drawer = Drawer(chosen.ids, settings, f"vqa_{split}", f"vqa_{split}")
        self.rng = stream("emoji", "questions", split, settings.seed)
        self.group = {concept.id: concept.group for concept in chosen.concepts}
        self.drawn_alike: list[bool] = []

    def ask(self, count: int) -> list[EmojiQuestion]:
        """`count` questions, the kinds in their declared shares, right answers in every position equally often."""
        quota = dict(zip(KINDS, quotas([getattr(self.settings.kinds, kind) for kind in KINDS], count), strict=True))
        position: dict[Kind, np.ndarray] = {}
        for kind in KINDS:
            # A balanced deal: every block of four questions of a kind has its answers in four positions.
            blocks = [self.rng.permutation(OPTIONS) for _ in range(quota[kind] // OPTIONS + 1)]
            position[kind] = np.concatenate(blocks)
        return [self._question(kind, number, position) for kind, number in spread(quota)]

    def _question(self, kind: Kind, number: int, position: Mapping[Kind, np.ndarray]) -> EmojiQuestion:
        make = {"what": self._what, "pair": self._pair, "order": self._order, "count": self._count}[kind]
        scene, right, wrong = make(number)
        options = [wrong[index] for index in self.rng.permutation(len(wrong))]
        answer = int(position[kind][number])
        options.insert(answer, right)
        return EmojiQuestion(kind, tuple(scene), tuple(options), answer)

    def _what(self, number: int) -> tuple[list[str], Option, list[Option]]:
        scene = self._mixed(self.drawer.any_scene(2))
        right = scene[int(self.rng.integers(len(scene)))]
        wrong: list[str] = []
        for _ in range(OPTIONS - 1):
            wrong.append(self._absent(right, [*scene, *wrong]))
        return scene, Option((right,)), [Option((id_,)) for id_ in wrong]

    def _pair(self, number: int) -> tuple[list[str], Option, list[Option]]:
        scene = self._mixed(self.drawer.distinct(2))
        first, second = (scene[index] for index in sorted(self.rng.permutation(len(scene))[:2]))
        other_first = self._absent(first, scene)
        other_second = self._absent(second, [*scene, other_first])
        pairs = [(other_first, second), (first, other_second), (other_first, other_second)]
        return scene, Option((first, second)), [Option(pair) for pair in pairs]

    def _order(self, number: int) -> tuple[list[str], Option, list[Option]]:
        scene = self._mixed(self.drawer.distinct(2))
        changed = list(scene)
        place = int(self.rng.integers(len(scene)))
        changed[place] = self._absent(scene[place], scene)
        wrong = [Option(tuple(reversed(scene))), Option(tuple(changed)), Option(tuple(reversed(changed)))]
        return scene, Option(tuple(scene)), wrong

    def _count(self, number: int) -> tuple[list[str], Option, list[Option]]:
        times = 1 + number % min(self.settings.max_items, OPTIONS)
        scene = self.drawer.counted(times)
        asked = scene[0]
        wrong = [Option((asked,), other) for other in range(1, OPTIONS + 1) if other != times]
        return self._mixed(scene), Option((asked,), times), wrong

    def _mixed(self, scene: list[str]) -> list[str]:
        return [scene[index] for index in self.rng.permutation(len(scene))]

    def _absent(self, right: str, taken: Sequence[str]) -> str:
        """A concept that is not among `taken`: of the group of `right` in the declared share, else of another."""
        alike = bool(self.rng.random() < self.settings.same_group_share)
        free = [id_ for id_ in self.chosen.ids if id_ not in taken]
        wanted = [id_ for id_ in free if (self.group[id_] == self.group[right]) == alike] or free
        picked = wanted[int(self.rng.integers(len(wanted)))]
        self.drawn_alike.append(self.group[picked] == self.group[right])
        return picked


def spread(quota: Mapping[Kind, int]) -> list[tuple[Kind, int]]:
    """Kind and number within it of every question, each kind evenly from the first question to the last."""
    numbered = [(kind, number) for kind in quota for number in range(quota[kind])]
    return sorted(numbered, key=lambda each: (each[1] + 0.5) / quota[each[0]])  # stable: kinds in their order


def question_columns(split: str, questions: Sequence[EmojiQuestion]) -> dict[str, list[object]]:
    """Rows of questions.parquet; question i is about image i."""
    return {
        "question": [question_id(split, index, question) for index, question in enumerate(questions)],
        "split": [split] * len(questions),
        "image": list(range(len(questions))),
        "type": [question.kind for question in questions],
        "answer": [question.answer for question in questions],
        "options": [[option.id for option in question.options] for question in questions],
    }


def text_columns(
    split: str, questions: Sequence[EmojiQuestion], captioners: Mapping[str, Captioner]
) -> dict[str, list[object]]:
    """Rows of texts.parquet: every question in every language of `captioners`."""
    columns: dict[str, list[object]] = {"question": [], "language": [], "prompt": [], "options": []}
    for language, captioner in captioners.items():
        for index, question in enumerate(questions):
            columns["question"].append(question_id(split, index, question))
            columns["language"].append(language)
            columns["prompt"].append(normalize("NFC", getattr(PROMPTS[language], question.kind)))
            columns["options"].append([option.text(captioner) for option in question.options])
    return columns


def question_id(split: str, index: int, question: EmojiQuestion) -> str:
    return f"{split}-{index:05d}-{question.kind}"
