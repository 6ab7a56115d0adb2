"""How every figure looks, and how it is written."""

from __future__ import annotations

import re
from functools import cache, partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from analysis import names
from study.objectives.displays import DISPLAYS

mpl.use("Agg")

WIDTH = 11.2
"""Inches of every figure: 11.2 in x 100 px is the report's column on a desktop."""

INK, SOFT, AXIS, GRID, BAND, PAPER = "#222328", "#63666e", "#85888f", "#e3e5ea", "#e4e7ec", "#ffffff"
TEACHER = "#111112"
MORE, LESS = "#3b8ec2", "#e08214"
"""Positive and negative differences in heat maps: blue and orange stay apart in every colour blindness."""

DARK = {
    INK: "#e4e6eb", SOFT: "#a3a7b0", AXIS: "#7d818a", GRID: "#2c3038", BAND: "#2d323b", PAPER: "#15171b",
    TEACHER: "#f4f5f7", MORE: "#4aa3da", LESS: "#e08f2f",
    "#7fb8dc": "#3f6f95", "#4292c6": "#4292c7", "#08519c": "#6fb1ea", "#08306b": "#a9d0f5", "#3f007d": "#cdbdf5",
    "#000001": "#f0f0f2",
    "#7b4173": "#c58abd", "#843c39": "#d0827f", "#1b7837": "#5cb977", "#8c6d31": "#c2a05c",
    **{look.colour: look.dark for look in DISPLAYS.values()},
}  # fmt: skip
"""Colour on a light page -> the same on a dark one; colours that are absent serve both."""

_FONTS = (
    "DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans Devanagari", "Noto Sans Bengali",
    "Noto Sans Telugu", "Noto Sans Thai", "Noto Sans Hebrew", "Noto Sans Arabic", "WenQuanYi Zen Hei", "Unifont",
)  # fmt: skip
"""Fonts to draw with, where installed; a glyph comes from the first that has it."""


@cache
def fonts() -> tuple[str, ...]:
    """Those of `_FONTS` that are installed; matplotlib brings DejaVu Sans."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in _FONTS if name in installed)


@cache
def _glyphs() -> frozenset[int]:
    """Code points that some installed font can draw."""
    found: set[int] = set()
    for name in fonts():
        path = font_manager.findfont(font_manager.FontProperties(family=name))
        found.update(font_manager.get_font(path).get_charmap())
    return frozenset(found)


def drawable(text: str) -> str:
    """`text` with every character that no installed font has as its escape, such as \\u84b8: never an empty box."""
    return "".join(
        c if c == "\n" or ord(c) in _glyphs() else c.encode("ascii", "backslashreplace").decode() for c in text
    )


def _drawable_tick(given: FuncFormatter, value: float, position: int | None = None) -> str:
    return drawable(given(value, position))


def _unescaped(text: str) -> str:
    """Escapes of `drawable` as the characters that they stand for: a browser has more fonts than this machine."""
    return re.sub(r"\\(?:u([0-9a-f]{4})|U([0-9a-f]{8}))", lambda m: chr(int(m[1] or m[2], 16)), text)


STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": list(fonts()),
    "font.size": 9,
    "text.color": INK,
    "axes.titlesize": 9.5,
    "axes.titlecolor": INK,
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": AXIS,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "xtick.color": AXIS,
    "ytick.color": AXIS,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    # Text stays text: it can be searched, selected and read aloud.
    "svg.fonttype": "none",
}


def colours(methods: list[str]) -> dict[str, str]:
    return {m: look.colour for m, look in names.methods(methods).items()}


def markers(methods: list[str]) -> dict[str, str]:
    return {m: look.marker for m, look in names.methods(methods).items()}


def save(figure: Figure, folder: Path, name: str) -> str:
    """Write name.svg and name.png into `folder`; returns the SVG as an element to stand inside HTML.

    In the element, colours are CSS variables (`theme`), the font is the page's, and only ids that something refers to
    are left, with the figure's name before them: no two figures of a page share one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            # Labels that were given with their ticks are put back by a function at every drawing.
            if isinstance(given := axis.get_major_formatter(), FuncFormatter):
                axis.set_major_formatter(FuncFormatter(partial(_drawable_tick, given)))
    for written in figure.findobj(Text):
        if isinstance(written, Text):
            written.set_text(drawable(written.get_text()))
            written.set_parse_math(False)  # a name with two dollar signs is no formula
    # The salt keeps ids the same from run to run.
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None}, facecolor=PAPER)
        figure.set_layout_engine("none")  # the layout is made, and takes a third of the time
        figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None}, facecolor=PAPER)
    plt.close(figure)
    path = folder / f"{name}.svg"
    text = _unescaped(path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    return inline(text, name)


def inline(svg: str, name: str) -> str:
    """An SVG file's text as an element of a page; see `save`."""
    text = svg[svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # The page's own paper shows through; the figure's is the first path.
    text = re.sub(r'<path d="[^"]*" style="fill: #ffffff"/>', "", text, count=1)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(r'\sid="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(url\(#|href="#)', rf"\1{name}-", text)
    text = re.sub(r"font: ((?:italic |bold |[0-9]{3} )*)([0-9.]+px) [^;\"]*", _font, text)
    text = re.sub(r"#[0-9a-f]{6}\b(?=[;\"])", lambda m: f"var(--c{m[0][1:]})" if m[0] in DARK else m[0], text)
    first = text.index(">")
    head = re.sub(r'\s(?:width|height|version)="[^"]*"', "", text[:first])
    return head + ' aria-hidden="true" focusable="false"' + text[first:]


def _font(match: re.Match[str]) -> str:
    words = match[1].split()
    style = "font-style: italic; " if "italic" in words else ""
    weight = next((f"font-weight: {w}; " for w in words if w == "bold" or w.isdigit()), "")
    return f"{style}{weight}font-size: {match[2]}"


def theme(dark: bool) -> str:
    """The CSS variables of the figures' colours."""
    return " ".join(f"--c{light[1:]}: {night if dark else light};" for light, night in DARK.items())


def new(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, np.ndarray]:
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(WIDTH, height), squeeze=False, layout="constrained", **options
        )
    return figure, axes


def legend(figure: Figure, handles: list[Line2D]) -> None:
    # On the left, where a phone shows it before the figure is scrolled.
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 8), handletextpad=0.5)


def keys(methods: list[str], control: str, **options: Any) -> list[Line2D]:
    """Legend entries of methods: marker and colour."""
    looks = names.methods(methods, control)
    style = {"ls": "", "ms": 6, **options}
    return [
        Line2D([], [], color=looks[m].colour, marker=looks[m].marker, label=looks[m].label, **style) for m in methods
    ]
