"""Consistency against stability."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import STYLE, colours, legend, markers, new
from analysis.frames import Study
from analysis.settings import Settings
from analysis.tradeoff import Tradeoff


def tradeoff(found: list[Tradeoff], study: Study, settings: Settings) -> Figure:
    """Consistency against stability, both minus the control: blocks as dots, means, joint 95 % regions."""
    colour, shape = colours(study.methods), markers(study.methods)
    figure, axes = new(1, 1, 5.6)
    axis: Axes = axes[0, 0]
    with mpl.rc_context(STYLE):
        axis.grid(True, axis="both", color="#eeeeee")
        axis.axhline(0, color="#777777", lw=1)
        axis.axvline(0, color="#777777", lw=1)
        for t in found:
            hue = colour[t.method]
            axis.scatter(t.points["consistency"], t.points["stability"], s=14, color=hue, alpha=0.35, linewidths=0)
            outline = t.ellipse()
            if len(outline):
                axis.fill(*outline.T, color=hue, alpha=0.16, lw=0)
                axis.plot(*outline.T, color=hue, lw=1.5)
            x, y = t.mean
            axis.scatter(x, y, s=64, color=hue, marker=shape[t.method], edgecolor="white", linewidths=1, zorder=5)
        axis.margins(0.08)
        # All four corners stay in view, so that the reader sees what was possible.
        low_x, high_x = axis.get_xlim()
        low_y, high_y = axis.get_ylim()
        axis.set_xlim(min(low_x, -0.12 * high_x), max(high_x, -0.12 * low_x))
        axis.set_ylim(min(low_y, -0.35 * high_y), max(high_y, -0.35 * low_y))
        axis.set_xlabel(f"retrieval consistency minus {settings.control} (points)")
        axis.set_ylabel(f"VQA stability minus {settings.control} (points)")
        corner: dict[str, Any] = {
            "transform": axis.transAxes,
            "ha": "right",
            "color": "#777777",
            "fontsize": 8.5,
            "style": "italic",
        }
        axis.text(0.99, 0.985, "more consistent, more stable", va="top", **corner)
        axis.text(0.99, 0.015, "consistency bought with stability", va="bottom", **corner)
        legend(figure, [
            Line2D([], [], color=colour[t.method], marker=shape[t.method], ls="", ms=7, label=t.method) for t in found
        ])  # fmt: skip
    return figure
