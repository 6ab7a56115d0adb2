"""The figure of the first screen: what every method did to every headline outcome."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import names
from analysis.contrasts.estimate import Result, rows
from analysis.contrasts.verdict import LOWERED, RAISED, verdict
from analysis.figures.style import AXIS, BAND, GRID, INK, PAPER, STYLE, drawable
from analysis.settings import AnalysisSettings
from analysis.wording import capital

OVERVIEW_WIDTH, RIGHT, GAP = 11.4, 0.08, 0.3
"""Inches: of the figure, on its right and between its panels."""

LIMIT = 100.0
"""Points: no score can differ by more, whatever an interval of two runs says."""


def column_style(methods: list[str], control: str) -> str:
    """CSS variables that put four columns of text under the figure's four panels."""
    left = gutter(methods, control, narrow=False)
    shares = {"left": left, "right": RIGHT, "gap": GAP}
    return " ".join(f"--{name}: {100 * inches / OVERVIEW_WIDTH:.2f}%;" for name, inches in shares.items())


def gutter(methods: list[str], control: str, narrow: bool) -> float:
    """Inches on the left for the names of the methods that are compared with the control."""
    looks = names.methods(methods, control)
    longest = max((len(drawable(looks[m].label)) for m in methods if m != control), default=0)
    return min((0.2 if narrow else 0.25) + (0.085 if narrow else 0.09) * longest, 1.2 if narrow else 2.2)


def overview(results: Mapping[str, Result], settings: AnalysisSettings, narrow: bool = False) -> Figure:
    """Forest plot of methods x outcomes: differences from the control, averaged, with simultaneous intervals.

    A filled marker: the adjusted p is under the level. Grey: less than the smallest effect of interest. `narrow` is the
    same in two columns, for a phone.
    """
    methods = list(dict.fromkeys(m for r in results.values() for m in r.marginal()["method"]))
    looks = names.methods([settings.control, *methods], settings.control)
    columns = min(len(results), 2 if narrow else 4)
    lines = -(-len(results) // columns)
    width = 3.75 if narrow else OVERVIEW_WIDTH
    pitch = 0.19 if narrow else 0.27
    above, below = (0.3, 0.3) if narrow else (0.32, 0.34)
    left, right = gutter(methods, settings.control, narrow), RIGHT
    gap = 0.12 if narrow else GAP
    high = pitch * len(methods) + 0.06
    height = lines * (above + high + below)
    small = 7.5 if narrow else 9.5
    with mpl.rc_context(
        {**STYLE, "xtick.labelsize": small - 0.5, "ytick.labelsize": small, "axes.titlesize": small + 0.5}
    ):
        figure = plt.figure(figsize=(width, height))
        wide = (width - left - right - gap * (columns - 1)) / columns
        for index, result in enumerate(results.values()):
            line, column = divmod(index, columns)
            bottom = height - (line + 1) * (above + high + below) + below
            axis = figure.add_axes(
                ((left + column * (wide + gap)) / width, bottom / height, wide / width, high / height)
            )
            _panel(axis, result, methods, looks, settings, narrow)
            if column:
                axis.set_yticklabels([])
    return figure


def _panel(
    axis: Axes,
    result: Result,
    methods: list[str],
    looks: Mapping[str, names.Display],
    settings: AnalysisSettings,
    narrow: bool,
) -> None:
    points = settings.smallest(result.outcome.name)
    axis.axvspan(-points, points, color=BAND, lw=0, zorder=0)
    axis.axvline(0, color=AXIS, lw=0.9, zorder=1)
    found = {row["method"]: row for row in rows(result.marginal())}
    reach = [-points, points]
    for y, method in enumerate(methods):
        row = found.get(method)
        if row is None:
            continue
        look = looks[method]
        reach += [v for v in (row["estimate"], row["ci_low"], row["ci_high"]) if np.isfinite(v)]
        if np.isfinite(row["ci_low"]):
            axis.plot([row["ci_low"], row["ci_high"]], [y, y], color=look.colour, lw=1.5 if narrow else 1.9, zorder=2,
                      solid_capstyle="butt")  # fmt: skip
        shown = verdict(row, settings.alpha) in (RAISED, LOWERED)
        axis.plot(
            row["estimate"], y, ls="", marker=look.marker, ms=5 if narrow else 6.8, color=look.colour,
            mfc=look.colour if shown else PAPER, mec=look.colour, mew=1.2 if narrow else 1.5, zorder=3,
        )  # fmt: skip
    low, high = max(min(reach), -LIMIT), min(max(reach), LIMIT)
    pad = 0.06 * (high - low)
    axis.set_xlim(low - pad, high + pad)
    axis.set_ylim(len(methods) - 0.5, -0.5)
    axis.set_yticks(range(len(methods)), [looks[m].label for m in methods])
    axis.tick_params(axis="y", length=0, pad=4)
    axis.tick_params(axis="x", length=2, pad=2)
    axis.xaxis.set_major_locator(
        mpl.ticker.MaxNLocator(4 if narrow else 5, steps=[1, 2, 5, 10], integer=high - low > 4)
    )
    axis.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(_tick))
    axis.spines["left"].set_visible(False)
    axis.grid(False)
    axis.grid(True, axis="x", color=GRID)
    axis.set_title(capital(result.outcome.label), loc="left", color=INK, fontweight="bold")


def _tick(value: float, _: int) -> str:
    text = f"{abs(value):g}"
    return text if value == 0 else ("+" if value > 0 else "\N{MINUS SIGN}") + text
