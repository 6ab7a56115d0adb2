"""Which concepts stand together in a scene, and to which split a composition belongs.

A composition is the sorted tuple of a scene's concepts (ids, repeats counted). Its split follows from
its ids and the seed alone: teacher and distil share theirs, the four evaluation sets have none in
common with them or with one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from study.data.base import CorpusError
from study.data.emoji.settings import EmojiSettings
from study.seeds import entropy, stream

TRAINING = "training"
EVALUATION = ("validation", "test", "vqa_validation", "vqa_test")

Composition = tuple[str, ...]
Draw = Callable[[], list[str]]
TRIES = 20_000


def split_of(composition: Composition, seed: int, held_out: float) -> str:
    """`TRAINING` or one of `EVALUATION`.

    Scenes of one concept several times are few, and questions of number need them: they are dealt
    evenly to the five, whatever `held_out` is.
    """
    if len(composition) == 1:
        return TRAINING
    share = 0.8 if len(set(composition)) == 1 else held_out
    position = entropy("emoji", "split", seed, *composition) / 2**128 * len(EVALUATION) / share
    return EVALUATION[int(position)] if position < len(EVALUATION) else TRAINING


class Drawer:
    """Draws compositions of one split from a stream of its own."""

    def __init__(self, ids: Sequence[str], settings: EmojiSettings, purpose: str, split: str) -> None:
        self.ids = list(ids)
        self.settings = settings
        self.split = split
        self.used: set[Composition] = set()
        self.rng = stream("emoji", "compositions", purpose, settings.seed)

    def scene(self, least: int) -> list[str]:
        """Concepts of a scene of `least` or more items, in no order; repeats in the declared share."""
        items = int(self.rng.integers(least, self.settings.max_items + 1))
        repeated = items > 1 and self.rng.random() < self.settings.repeat_share
        copies = int(self.rng.integers(2, items + 1)) if repeated else 1
        # The shape is drawn once and only the concepts again, lest shapes that this split has more
        # compositions of become more frequent in it.
        for _ in range(TRIES):
            scene = self._pick(items - copies + 1)
            scene += scene[:1] * (copies - 1)
            if self._belongs(scene):
                return scene
        raise self._none_found()

    def new_scene(self, least: int) -> list[str]:
        """Like `scene`, with a composition that this drawer has not given before."""
        for _ in range(TRIES):
            scene = self.scene(least)
            if self._take(scene):
                return scene
        raise self._none_found()

    def any_scene(self, least: int) -> list[str]:
        """Like `scene`, with a new composition wherever one is found."""
        return self._search(lambda: self.scene(least))

    def distinct(self, least: int) -> list[str]:
        """A new scene in which nothing is repeated."""
        items = int(self.rng.integers(least, self.settings.max_items + 1))
        return self._search(lambda: self._pick(items))

    def counted(self, times: int) -> list[str]:
        """A scene whose first concept is there `times` times, and others beside it at random."""
        others = int(self.rng.integers(1 if times == 1 else 0, self.settings.max_items - times + 1))

        def draw() -> list[str]:
            scene = self._pick(1 + others)
            return scene[:1] * times + scene[1:]

        return self._search(draw)

    def _search(self, draw: Draw) -> list[str]:
        # A composition may come again (with another picture) only where no unused one is found.
        again: list[str] | None = None
        for _ in range(TRIES // 10):
            scene = draw()
            if self._belongs(scene):
                if self._take(scene):
                    return scene
                again = again or scene
        if again is None:
            raise self._none_found()
        return again

    def _none_found(self) -> CorpusError:
        return CorpusError(f"{self.split}: too few compositions; raise `concepts` or `held_out_compositions`")

    def _pick(self, count: int) -> list[str]:
        picked: list[str] = []
        while len(picked) < count:
            id_ = self.ids[int(self.rng.integers(len(self.ids)))]
            if id_ not in picked:
                picked.append(id_)
        return picked

    def _belongs(self, scene: list[str]) -> bool:
        composition = tuple(sorted(scene))
        return split_of(composition, self.settings.seed, self.settings.held_out_compositions) == self.split

    def _take(self, scene: list[str]) -> bool:
        composition = tuple(sorted(scene))
        if composition in self.used:
            return False
        self.used.add(composition)
        return True


def shuffled(scenes: list[list[str]], rng: np.random.Generator) -> list[list[str]]:
    """The items of every scene in a random order: from left to right, that is."""
    return [[scene[index] for index in rng.permutation(len(scene))] for scene in scenes]
