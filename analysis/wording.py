"""Numbers and names into words, the same everywhere in the report."""

from __future__ import annotations

import numpy as np

from analysis import names
from study.objectives.displays import DISPLAYS


def method_name(method: str) -> str:
    """A method in running text."""
    known = DISPLAYS.get(method)
    return "the teacher" if method == "teacher" else known.phrase if known and known.phrase else names.label(method)


def capital(text: str) -> str:
    """`text` with its first letter as a capital, the others untouched."""
    return text[:1].upper() + text[1:]


def sign(value: float, digits: int = 1) -> str:
    """A signed number with a true minus sign; what rounds to zero has no sign."""
    if not np.isfinite(value):
        return "n/a"
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return ("+" if value > 0 else "\N{MINUS SIGN}") + text


def number(value: float, digits: int = 1) -> str:
    """A number with a true minus sign, for intervals and levels."""
    if not np.isfinite(value):
        return "n/a"
    return sign(value, digits).lstrip("+")


def interval(low: float, high: float, digits: int = 1) -> str:
    return f"[{number(low, digits)}, {number(high, digits)}]"


def p_value(p: float) -> str:
    """'p < .001' or 'p = .012'; never p = .000, never p = 1.000 by rounding."""
    if not np.isfinite(p):
        return "p not available"
    if p < 0.001:
        return "p < .001"
    if p > 0.999:
        return "p > .999"
    return f"p = {p:.3f}".replace("0.", ".")


def join(names_: list[str]) -> str:
    return names_[0] if len(names_) == 1 else ", ".join(names_[:-1]) + " and " + names_[-1]


def percent(alpha: float) -> str:
    return f"{100 * (1 - alpha):g} %"


def count(number_of: int, noun: str) -> str:
    return f"{number_of} {noun}{'' if number_of == 1 else 's'}"


def points(value: float) -> str:
    """'1 point', '1.5 points'."""
    return f"{value:g} point{'' if value == 1 else 's'}"
