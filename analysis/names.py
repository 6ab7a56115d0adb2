"""What methods and languages are called, and how a method is drawn, in text and figures."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from babel import Locale

from study.objectives.displays import DISPLAYS, Display

SPARE_COLOURS = ("#56b4e9", "#8c6d31", "#7b4173", "#a6761d", "#843c39", "#1b7837", "#b5a800")
SPARE_MARKERS = ("X", "<", ">", "p", "h", "*", "d", "8", "H")

_LANGUAGES = {"quz": "Cusco Quechua"}
"""Names that CLDR lacks."""


def methods(names: Iterable[str], control: str = "none") -> dict[str, Display]:
    """How each method is called and drawn; one that is not in `DISPLAYS` gets a colour and a marker from its name.

    The name decides where in the spare colours the search starts, so a method mostly keeps its colour whatever else is
    in the study; two methods never share one while there are colours left.
    """
    found: dict[str, Display] = {}
    taken: set[int] = set()
    for name in sorted(set(names) - set(DISPLAYS)):
        start = zlib.crc32(name.encode())
        tries = [(start + step) % len(SPARE_COLOURS) for step in range(len(SPARE_COLOURS))]
        place = next((i for i in tries if i not in taken), tries[0])
        taken.add(place)
        marker = SPARE_MARKERS[(place + len(found) // len(SPARE_COLOURS)) % len(SPARE_MARKERS)]
        found[name] = Display(name, "", SPARE_COLOURS[place], "", marker)
    for name in names:
        known = DISPLAYS.get(name)
        if known is not None:
            # Who compares with another method calls the control by its name.
            as_named = bool(known.phrase) and name != control
            found[name] = replace(known, label=name) if as_named else known
    return found


def label(method: str) -> str:
    """The short name of a method, as everywhere in text."""
    return DISPLAYS[method].label if method in DISPLAYS else method


def title(method: str, titles: Mapping[str, str] | None = None) -> str:
    """The name spelled out; `titles` gives those of methods that are not in `DISPLAYS`; empty where nobody knows."""
    return DISPLAYS[method].title if method in DISPLAYS else (titles or {}).get(method, "")


def language(code: str) -> str:
    """English name of a language code (CLDR); the code itself where there is none."""
    return _LANGUAGES.get(code) or Locale("en").languages.get(code.replace("-", "_")) or code
