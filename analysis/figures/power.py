"""Power over seeds and languages."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from analysis.figures.style import AXIS, STYLE, legend, new
from analysis.names import SPARE_MARKERS as MARKERS
from analysis.power.power import TARGET, TRADEOFF, middle
from analysis.wording import capital, points

SHADES = ("#7fb8dc", "#4292c6", "#08519c", "#08306b", "#3f007d", "#000001")
"""Few languages light, many dark: they differ in print and to every eye."""


def power(table: pd.DataFrame, labels: Mapping[str, str] | None = None) -> Figure:
    """One panel per outcome: power over seeds, a line for each number of languages, over the contrasts a band.

    Args:
        table: `power.COLUMNS`.
        labels: names of the outcomes, where their keys are not to be shown.
    """
    found = middle(table)
    outcomes = list(dict.fromkeys(found["outcome"]))
    languages = sorted(set(found["languages"]))
    columns = min(len(outcomes), 3)
    count = -(-len(outcomes) // columns)
    figure, axes = new(count, columns, 0.6 + 2.5 * count, sharex=True, sharey=True)
    with mpl.rc_context(STYLE):
        for index, axis in enumerate(axes.ravel()):
            if index >= len(outcomes):
                axis.set_visible(False)
                continue
            _panel(axis, found[found["outcome"] == outcomes[index]], languages)
            axis.set_title(_title(outcomes[index], table, labels or {}), loc="left", fontweight="bold")
            axis.set_ylabel("power" if index % columns == 0 else "")
            # The last panel of a column, which a shorter last row may leave above its end.
            last = index + columns >= len(outcomes)
            axis.set_xlabel("seeds" if last else "")
            axis.tick_params(labelbottom=last)
        legend(figure, [
            *(Line2D([], [], color=_shade(i, len(languages)), marker=MARKERS[i % len(MARKERS)], ms=4, lw=1.4,
                     label=f"{n} languages") for i, n in enumerate(languages)),
            Line2D([], [], color=AXIS, lw=1.0, ls=(0, (4, 3)), label=f"{TARGET:.0%}"),
        ])  # fmt: skip
    return figure


def _panel(axis: Axes, part: pd.DataFrame, languages: list[int]) -> None:
    axis.axhline(TARGET, color=AXIS, lw=1.0, ls=(0, (4, 3)))
    seeds = sorted(set(part["seeds"]))
    for i, n in enumerate(languages):
        rows = part[part["languages"] == n].sort_values("seeds")
        colour = _shade(i, len(languages))
        # The band is drawn first, so that no line is hidden by another one's.
        axis.fill_between(rows["seeds"], rows["low"], rows["high"], color=colour, alpha=0.15, lw=0, zorder=1)
        axis.plot(
            rows["seeds"],
            rows["power"],
            color=colour,
            marker=MARKERS[i % len(MARKERS)],
            ms=4,
            lw=1.4,
            zorder=2,
        )
    if len(seeds) > 1:
        axis.set_xscale("log")
        axis.minorticks_off()
    axis.set_xticks(seeds, [str(s) for s in seeds])
    axis.set_ylim(0, 1.02)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _shade(index: int, count: int) -> str:
    """Shades spread over the scale."""
    return SHADES[round(index * (min(len(SHADES), max(count, 3)) - 1) / max(count - 1, 1))]


def _title(outcome: str, table: pd.DataFrame, labels: Mapping[str, str]) -> str:
    rows = table[table["outcome"] == outcome]
    up, down = rows["effect"].iloc[0], rows["effect_stability"].iloc[0]
    if outcome == TRADEOFF and np.isfinite(down):
        return f"Trade-off: consistency +{up:g}, stability \N{MINUS SIGN}{down:g}"
    return f"{capital(labels.get(outcome, outcome))}: {points(up)}"
