"""What methods are called and how they are drawn, declared once; needs nothing but the standard library.

It stands beside the registry of objectives and not in their files: a new colour trains nothing anew. A method that is
not declared here goes by its name in params.yaml and gets a colour that is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Display:
    """A method in text and in figures: its short name, the name spelled out, its colour on a light and on a dark page,
    and its marker. `phrase` stands for the short name in running text."""

    label: str
    title: str
    colour: str
    dark: str
    marker: str
    phrase: str = ""


DISPLAYS: Mapping[str, Display] = {
    "none": Display(
        "control", "no distillation: the architecture's own image-text loss", "#5f5f5f", "#a9adb5", "o", "the control"
    ),
    "fd": Display("FD", "feature distillation", "#0072b2", "#4aa8e6", "s"),
    "ed": Display("ED", "English-control distillation", "#e69f00", "#ffd24a", "D"),
    "sd": Display("SD", "self-distillation across languages", "#009e73", "#0b8f6a", "^"),
    "mcl": Display("MCL", "multilingual contrastive learning", "#d55e00", "#e2622a", "v"),
    "dr": Display("DR", "distributional replication", "#332288", "#e3c6f5", "P"),
}
"""The methods of the repository by their names in params.yaml, in the order of every table and figure.

Colours are Okabe and Ito's with Tol's indigo in place of their reddish purple, which in deuteranopia is the same grey
as the bluish green; the nearest two colours are then 17 apart in CIELAB in deuteranopia, protanopia and tritanopia.
"""
