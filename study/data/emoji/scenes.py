"""Placing the items of scenes and drawing them.

Shapes: N scenes, M most items, all in canvas pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from study.data.base import CorpusError
from study.data.emoji.placing import ROUNDS, draw
from study.data.emoji.settings import EmojiSettings
from study.data.emoji.source import EmojiSource

ROTATION_STEPS = 9
ALPHA_SEEN = 16
"""Alpha below this is the antialiased rim: it does not count for the size of a picture."""

CACHE_BYTES = 2**28


@dataclass(frozen=True)
class SceneLayout:
    """Where the items are: `centre` [N, M, 2] (x, y), `size` [N, M] and `angle` [N, M] degrees, `items` [N]."""

    centre: np.ndarray
    size: np.ndarray
    angle: np.ndarray
    items: np.ndarray


def place(items: np.ndarray, settings: EmojiSettings, rng: np.random.Generator) -> SceneLayout:
    """Random layouts; item k is k-th from the left, by at least `settings.step` of the canvas."""
    canvas, most = settings.canvas, settings.max_items
    count = len(items)
    bounds = np.array(settings.sizes[:most]) * canvas
    low, high = bounds[items - 1, :1], bounds[items - 1, 1:]
    step = 2 * settings.rotation / (ROTATION_STEPS - 1)
    angle = (rng.integers(0, ROTATION_STEPS, (count, most)) - ROTATION_STEPS // 2) * step
    centre = np.zeros((count, most, 2))
    size = np.zeros((count, most), dtype=np.int64)
    present = np.arange(most) < items[:, None]
    room = (canvas, settings.overlap, settings.step)
    todo = np.arange(count)
    for _ in range(ROUNDS):
        drawn, sizes, good = draw(low[todo], high[todo], present[todo], room, rng)
        centre[todo[good]], size[todo[good]] = drawn[good], sizes[good]
        todo = todo[~good]
        if not len(todo):
            return SceneLayout(centre, size, angle, items)
    raise CorpusError(f"{len(todo)} scenes cannot be laid out: lower `sizes` or `step`, or raise `overlap`")


class Sprites:
    """The artwork at every size and rotation that was asked for, premultiplied."""

    def __init__(self, source: EmojiSource, settings: EmojiSettings) -> None:
        self._source = source
        radians = math.radians(settings.rotation)
        self._room = math.cos(radians) + math.sin(radians)
        bytes_each = 4 * (self._room * settings.canvas * np.mean(settings.sizes)) ** 2
        self.square = lru_cache(maxsize=None)(self._square)
        self.sprite = lru_cache(maxsize=1 + int(CACHE_BYTES / bytes_each))(self._sprite)

    def _square(self, concept: str, vendor: str) -> Image.Image:
        """Cropped to what is seen, so that every vendor's picture fills its size, with room to turn in."""
        art = self._source.art(concept, vendor)
        seen = art[..., 3] >= ALPHA_SEEN
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        if not len(rows):
            raise CorpusError(f"the picture of {concept} by {vendor} is empty")
        cropped = art[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        side = math.ceil(max(cropped.shape[:2]) * self._room)
        square = np.zeros((side, side, 4), dtype=np.uint8)
        top, left = (side - cropped.shape[0]) // 2, (side - cropped.shape[1]) // 2
        square[top : top + cropped.shape[0], left : left + cropped.shape[1]] = cropped
        # Premultiplied: the colour of a transparent pixel must not bleed into the rim.
        return Image.fromarray(square).convert("RGBa")

    def _sprite(self, concept: str, vendor: str, size: int, angle: float) -> np.ndarray:
        """uint8 [s, s, 4], s a little more than `size`."""
        turned = self.square(concept, vendor).rotate(angle, resample=Image.Resampling.BICUBIC)
        side = max(1, round(size * self._room))
        return np.asarray(turned.resize((side, side), resample=Image.Resampling.BOX))


@dataclass(frozen=True)
class Looks:
    """How N scenes are drawn: where their items lie, whose artwork each takes, and backgrounds uint8 [N, 3]."""

    layout: SceneLayout
    vendors: Sequence[str]
    backgrounds: np.ndarray


def render(
    out: np.ndarray,
    scenes: Sequence[Sequence[str]],
    looks: Looks,
    sprites: Sprites,
    progress: Callable[[float], None],
) -> None:
    """Fill `out` uint8 [N, H, W, 3]. Later items lie on top."""
    layout, vendors, backgrounds = looks.layout, looks.vendors, looks.backgrounds
    canvas = out.shape[1]
    margin = canvas
    board = np.empty((canvas + 2 * margin, canvas + 2 * margin, 3), dtype=np.int32)
    for index, scene in enumerate(scenes):
        board[:] = backgrounds[index]
        for item, concept in enumerate(scene):
            size, angle = int(layout.size[index, item]), float(layout.angle[index, item])
            sprite = sprites.sprite(concept, vendors[index], size, angle)
            side = len(sprite)
            x, y = (round(float(c) - side / 2) + margin for c in layout.centre[index, item])
            under = board[y : y + side, x : x + side]
            # Integer arithmetic: the same picture on every machine.
            under *= 255 - sprite[..., 3:].astype(np.int32)
            under += 127
            under //= 255
            under += sprite[..., :3]
            np.minimum(under, 255, out=under)
        out[index] = board[margin : margin + canvas, margin : margin + canvas]
        if index % 500 == 0:
            progress(index / len(scenes))
    progress(1.0)
