"""Drawing where the items of scenes lie; a draw whose items stand too close, or out of order, is drawn again.

Shapes: N scenes, M most items, all in canvas pixels.
"""

from __future__ import annotations

import numpy as np

ROUNDS = 20_000
"""Draws of a scene at most."""
TRIED = 20_000
LEAST_SHARE = 0.001
"""Of draws that must be good: then a scene finds none within `ROUNDS` once in 500 million."""


def draw(
    low: np.ndarray,
    high: np.ndarray,
    present: np.ndarray,
    room: tuple[int, float, float],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One draw of each scene: centres [N, M, 2] (x, y) and sizes [N, M], from left to right, and which are good [N].

    Args:
        low, high: [N, 1], the least and the largest size of a scene's items.
        present: [N, M], which items a scene has.
        room: the canvas's side, the overlap of two items' circles of their diameter, and the least horizontal distance
            of two centres, of the canvas.
        rng: what is drawn from.
    """
    canvas, overlap, step = room
    shape = present.shape
    # Absent items stand far to the right and far apart, where they disturb no test.
    absent = 1e6 * (1 + np.arange(shape[1]))[:, None]
    size = np.rint(rng.uniform(low, high, shape))
    centre = rng.uniform(size[..., None] / 2, canvas - size[..., None] / 2, (*shape, 2))
    centre = np.where(present[..., None], centre, absent)
    order = np.argsort(centre[..., 0], axis=1, kind="stable")
    size = np.take_along_axis(size, order, axis=1)
    centre = np.take_along_axis(centre, order[..., None], axis=1)
    return centre, size, _apart(centre, size, canvas, overlap, step)


def _apart(centre: np.ndarray, size: np.ndarray, canvas: int, overlap: float, step: float) -> np.ndarray:
    """[N] whether all items are in order from left to right and overlap no more than they may."""
    good = np.ones(len(centre), dtype=bool)
    for left in range(centre.shape[1]):
        for right in range(left + 1, centre.shape[1]):
            offset = centre[:, right] - centre[:, left]
            room = (1 - overlap) * (size[:, left] + size[:, right]) / 2
            good &= (offset[:, 0] >= step * canvas) & (np.hypot(offset[:, 0], offset[:, 1]) >= room)
    return good


def share_that_fits(items: int, least: float, largest: float, room: tuple[int, float, float]) -> float:
    """The share of random draws of `items` items of these sizes, in fractions of the canvas, that are good."""
    low, high = np.full((TRIED, 1), least * room[0]), np.full((TRIED, 1), largest * room[0])
    present = np.ones((TRIED, items), dtype=bool)
    return float(draw(low, high, present, room, np.random.default_rng(0))[2].mean())
