"""How every picture looks, and how it is written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

mpl.use("Agg")


PALETTE = {
    "none": "#5f5f5f", "fd": "#0072b2", "ed": "#e69f00", "sd": "#009e73", "mcl": "#d55e00", "dr": "#cc79a7",
}  # fmt: skip
"""Okabe and Ito's colour-blind safe colours; a method keeps its colour in every figure."""


SPARE = ("#56b4e9", "#8c6d31", "#7b4173", "#31a354", "#843c39", "#3182bd", "#b5a800")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "h", "*", "d")
TEACHER = "#111111"
WIDTH = 9.6
"""Inches of every figure: 9.6 in x 100 px is the report's column on a desktop."""


STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "legend.frameon": False,
    # Text stays text: it can be searched, selected and read aloud.
    "svg.fonttype": "none",
}


def colours(methods: Iterable[str]) -> dict[str, str]:
    """A colour for every method: fixed for the known ones, in order of name for others."""
    rest = sorted(m for m in methods if m not in PALETTE)
    return {**PALETTE, **{m: SPARE[i % len(SPARE)] for i, m in enumerate(rest)}}


def markers(methods: list[str]) -> dict[str, str]:
    return {m: MARKERS[i % len(MARKERS)] for i, m in enumerate(methods)}


def save(figure: Figure, folder: Path, name: str) -> str:
    """Write name.svg and name.png into `folder`; returns the SVG as an element to stand inside HTML."""
    folder.mkdir(parents=True, exist_ok=True)
    # The salt keeps ids the same from run to run and different from figure to figure.
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None}, facecolor="white")
        figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None}, facecolor="white")
    plt.close(figure)
    text = (folder / f"{name}.svg").read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sid="(figure|axes|patch|matplotlib|line2d|text|xtick|ytick|legend|PathCollection)[^"]*"', "", text)
    return re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", text))


def new(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, np.ndarray]:
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(WIDTH, height), squeeze=False, layout="constrained", **options
        )
    return figure, axes


def legend(figure: Figure, handles: list[Line2D]) -> None:
    # On the left, where a phone shows it before the picture is scrolled.
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 8), handletextpad=0.5)
