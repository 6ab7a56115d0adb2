"""What methods and languages are called, and how a method is drawn: declared once, for text and figures."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from babel import Locale


@dataclass(frozen=True)
class Method:
    """A method in text and in figures: its short name, the name spelled out, its colour and its marker."""

    label: str
    title: str
    colour: str
    marker: str


KNOWN: Mapping[str, Method] = {
    "none": Method("control", "no distillation: the architecture's own image-text loss", "#5f5f5f", "o"),
    "fd": Method("FD", "feature distillation", "#0072b2", "s"),
    "ed": Method("ED", "English-control distillation", "#e69f00", "D"),
    "sd": Method("SD", "self-distillation across languages", "#009e73", "^"),
    "mcl": Method("MCL", "multilingual contrastive learning", "#d55e00", "v"),
    "dr": Method("DR", "distributional replication", "#332288", "P"),
}
"""The methods of the repository, in the order of every table and figure.

Colours are Okabe and Ito's with Tol's indigo in place of their reddish purple, which in deuteranopia is the same grey
as the bluish green; the nearest two colours are then 17 apart in CIELAB in deuteranopia, protanopia and tritanopia.
"""

SPARE_COLOURS = ("#56b4e9", "#8c6d31", "#7b4173", "#a6761d", "#843c39", "#1b7837", "#b5a800")
SPARE_MARKERS = ("X", "<", ">", "p", "h", "*", "d", "8", "H")

_LANGUAGES = {"quz": "Cusco Quechua"}
"""Names that CLDR lacks."""


def methods(names: Iterable[str], control: str = "none") -> dict[str, Method]:
    """How each method is called and drawn; one that is not `KNOWN` gets a colour and a marker from its name.

    The name decides where in the spare colours the search starts, so a method mostly keeps its colour whatever else is
    in the study; two methods never share one while there are colours left.
    """
    found: dict[str, Method] = {}
    taken: set[int] = set()
    for name in sorted(set(names) - set(KNOWN)):
        start = zlib.crc32(name.encode())
        tries = [(start + step) % len(SPARE_COLOURS) for step in range(len(SPARE_COLOURS))]
        place = next((i for i in tries if i not in taken), tries[0])
        taken.add(place)
        marker = SPARE_MARKERS[(place + len(found) // len(SPARE_COLOURS)) % len(SPARE_MARKERS)]
        found[name] = Method(name, "", SPARE_COLOURS[place], marker)
    for name in names:
        known = KNOWN.get(name)
        if known is not None:
            label = known.label if name != "none" or control == "none" else "none"
            found[name] = Method(label, known.title, known.colour, known.marker)
    return found


def label(method: str) -> str:
    """The short name of a method, as everywhere in text."""
    return KNOWN[method].label if method in KNOWN else method


def title(method: str, titles: Mapping[str, str] | None = None) -> str:
    """The name spelled out; `titles` gives those of methods that are not `KNOWN`; empty where nobody knows."""
    return KNOWN[method].title if method in KNOWN else (titles or {}).get(method, "")


def language(code: str) -> str:
    """English name of a language code (CLDR); the code itself where there is none."""
    return _LANGUAGES.get(code) or Locale("en").languages.get(code.replace("-", "_")) or code
