"""How deep a student is and how many tokens it has, so that its text tower has the size declared."""

from __future__ import annotations

import math
from dataclasses import dataclass


class SizeError(ValueError):
    """No student of that size can be made from that teacher."""


@dataclass(frozen=True)
class TowerSizes:
    """A teacher in numbers. text: parameters of its text tower, of them `table` in the token table and `text_layer` in
    each layer. width: of the table. tokens: that it reads, of which `smallest` always stay."""

    text: int
    table: int
    text_layer: int
    text_layers: int
    image_layers: int
    width: int
    tokens: int
    smallest: int


@dataclass(frozen=True)
class Shape:
    """Depths and vocabulary of a student."""

    text_layers: int
    image_layers: int
    vocabulary: int


def shape_of(teacher: TowerSizes, fraction: float, towers: str) -> Shape:
    """The student whose text tower has `fraction` of the teacher's text-tower total.

    Depth takes its share first, rounded; the vocabulary makes the total true, to less than a row of the token
    table. Where it would need more tokens than the teacher has, or fewer than always stay, the nearest depth that
    fits takes its place. The teacher's own depth takes all tokens that there are: of a table with more rows
    than tokens the spare rows go.

    Raises:
        SizeError: no depth fits; the message says which fractions are possible.
    """
    if not 0.0 < fraction <= 1.0:
        raise SizeError(f"size {fraction}: must be a fraction of the teacher above 0, up to 1")
    wanted = max(1, round(fraction * teacher.text_layers))
    least, most = teacher.smallest + 1, teacher.tokens
    for text_layers in sorted(range(1, teacher.text_layers + 1), key=lambda n: (abs(n - wanted), -n)):
        vocabulary = int((fraction * teacher.text - _rest(teacher, text_layers)) // teacher.width)
        whole = text_layers == teacher.text_layers and vocabulary > most
        if least <= vocabulary <= most or whole:
            image_layers = teacher.image_layers if towers == "text" else max(1, round(fraction * teacher.image_layers))
            return Shape(text_layers, image_layers, min(vocabulary, most))
    raise SizeError(
        f"size {fraction}: a text tower of {fraction * teacher.text:.0f} parameters has no room for "
        f"its layers and {least} to {most} tokens; possible are {possible(teacher)}"
    )


def possible(teacher: TowerSizes) -> str:
    """The fractions of the text tower that `shape_of` can make, in words."""
    least, most = teacher.smallest + 1, teacher.tokens
    ranges: list[tuple[float, float]] = []
    for text_layers in range(1, teacher.text_layers + 1):
        rest = _rest(teacher, text_layers)
        low, high = ((rest + tokens * teacher.width) / teacher.text for tokens in (least, most))
        if text_layers == teacher.text_layers:
            high = 1.0
        joined = bool(ranges) and low <= ranges[-1][1]
        ranges = [*ranges[:-1], (ranges[-1][0], high)] if joined else [*ranges, (low, high)]
    return ", ".join(f"{math.ceil(1e4 * low) / 1e4:g} to {math.floor(1e4 * high) / 1e4:g}" for low, high in ranges)


def _rest(teacher: TowerSizes, text_layers: int) -> int:
    """Parameters of the text tower outside the token table at that depth."""
    return teacher.text - teacher.table - (teacher.text_layers - text_layers) * teacher.text_layer


def matched_layers(deep: int, shallow: int) -> list[int]:
    """`shallow` evenly spaced layer indices of a tower of `deep` layers, the last one always among them.

    Raises:
        ValueError: `shallow` is not between 1 and `deep`.
    """
    if not 1 <= shallow <= deep:
        raise ValueError(f"cannot take {shallow} layers from {deep}: must be 1 to {deep}")
    return [round((i + 1) * deep / shallow) - 1 for i in range(shallow)]
