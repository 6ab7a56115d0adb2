"""Consistency against stability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import names
from analysis.contrasts.verdict import BOTH_LOWERED, BOTH_RAISED, COST, OPPOSITE
from analysis.data.load import StudyData
from analysis.figures.style import AXIS, GRID, PAPER, SOFT, STYLE, WIDTH, keys, legend, new
from analysis.settings import AnalysisSettings
from analysis.tradeoff.tradeoff import Tradeoff

BOTH_MOVED = (COST, BOTH_RAISED, BOTH_LOWERED, OPPOSITE)


def tradeoff(found: Sequence[Tradeoff], study: StudyData, settings: AnalysisSettings) -> Figure:
    """Consistency against stability, both minus the control, a panel for each architecture and size of `found`.

    Small marks are blocks (seeds), large ones means, filled where both differences are significant; outlines are joint
    confidence regions. The averages of a study with one architecture and size are its only panel.
    """
    looks = names.methods(study.methods, settings.control)
    archs = [a for a in study.archs if any(t.arch == a for t in found)] or [found[0].arch]
    sizes = [s for s in study.sizes if any(t.size == s for t in found)] or [found[0].size]
    single = len(archs) * len(sizes) == 1
    figure, axes = new(len(sizes), len(archs), 0.5 + (4.2 if single else 3.1) * len(sizes), sharex=True, sharey=True)
    if single:
        figure.set_figwidth(0.75 * WIDTH)
    with mpl.rc_context(STYLE):
        for (line, column), axis in np.ndenumerate(axes):
            axis.grid(True, axis="both", color=GRID)
            axis.axhline(0, color=AXIS, lw=1)
            axis.axvline(0, color=AXIS, lw=1)
            here = [t for t in found if (t.arch, t.size) == (archs[column], sizes[line])]
            for t in here:
                look = looks[t.method]
                axis.plot(
                    t.points["consistency"], t.points["stability"], ls="", marker=look.marker, ms=3.4,
                    color=look.colour, alpha=0.45, mew=0,
                )  # fmt: skip
                outline = t.ellipse()
                if len(outline):
                    axis.fill(*outline.T, color=look.colour, alpha=0.1, lw=0)
                    axis.plot(*outline.T, color=look.colour, lw=1.3)
            for t in here:
                look = looks[t.method]
                axis.plot(
                    *t.mean, ls="", marker=look.marker, ms=8.5, color=look.colour, mew=1.6, zorder=5,
                    mec=look.colour, mfc=look.colour if t.verdict in BOTH_MOVED else PAPER,
                )  # fmt: skip
            axis.set_title("" if single else f"{archs[column]}, {sizes[line]}", loc="left", fontweight="bold")
        # All four corners stay in view, so that the reader sees what was possible.
        axis = axes[0, 0]
        axis.margins(0.06)
        (low_x, high_x), (low_y, high_y) = axis.get_xlim(), axis.get_ylim()
        axis.set_xlim(min(low_x, -0.15 * high_x), max(high_x, -0.15 * low_x))
        axis.set_ylim(min(low_y, -0.35 * high_y), max(high_y, -0.35 * low_y))
        for axis in axes[-1]:
            axis.set_xlabel("retrieval consistency minus control (points)")
        for axis in axes[:, 0]:
            axis.set_ylabel("VQA stability minus control (points)")
        for axis in axes.ravel():
            corner: dict[str, Any] = {"transform": axis.transAxes, "color": SOFT, "fontsize": 8.5, "style": "italic"}
            axis.text(0.99, 0.98, "both raised", va="top", ha="right", **corner)
            axis.text(0.99, 0.02, "consistency at the cost of stability", va="bottom", ha="right", **corner)
        shown = [m for m in study.methods if any(t.method == m for t in found)]
        legend(figure, [
            *keys(shown, settings.control),
            Line2D([], [], color=SOFT, marker="o", ls="", ms=3.4, alpha=0.6, label="one seed"),
        ])  # fmt: skip
    return figure
