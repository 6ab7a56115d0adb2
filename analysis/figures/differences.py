"""Differences between methods: in every language, and of every pair."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import STYLE, colours, legend, new
from analysis.frames import Outcome, Study
from analysis.settings import Settings
from analysis.wording import sign


def language_differences(outcome: Outcome, study: Study, control: str) -> pd.DataFrame:
    """Mean difference from the control per language (rows, in the study's order) and method (columns), in points."""
    keys = ["arch", "size", "seed", "language"]
    wide = outcome.frame.pivot_table(index=keys, columns="method", values="score")
    methods = [m for m in study.methods if m != control and m in wide.columns]
    paired = wide[methods].sub(wide[control], axis=0)
    by_place = paired.groupby(["arch", "size", "language"]).mean().groupby("language").mean()
    return by_place.reindex([x for x in study.languages if x in by_place.index])


def per_language(study: Study, settings: Settings) -> Figure:
    """Differences from the control in every language: one heat map an outcome, languages in order of resources."""
    outcomes = [o for o in study.headlines.values() if o.by_language]
    grids = [language_differences(o, study, settings.control) for o in outcomes]
    figure, axes = new(1, len(outcomes), 1.3 + 0.235 * len(study.languages))
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        for axis, outcome, grid in zip(axes[0], outcomes, grids, strict=True):
            grid = grid.reindex(study.languages)
            limit = max(float(np.nanmax(np.abs(grid.to_numpy()), initial=0.1)), 0.1)
            values = grid.to_numpy()
            mesh = axis.pcolormesh(values, cmap="PuOr_r", vmin=-limit, vmax=limit, edgecolors="white", linewidth=0.5)
            for (row, column), value in np.ndenumerate(values):
                if np.isfinite(value):
                    text = sign(float(value))
                    ink = "white" if abs(value) > 0.72 * limit else "#222222"
                    axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7, color=ink)
            axis.invert_yaxis()
            axis.set_xticks(np.arange(grid.shape[1]) + 0.5, list(grid.columns))
            figure.colorbar(mesh, ax=axis, orientation="horizontal", pad=0.01, aspect=30, label="points")
            axis.spines[:].set_visible(False)
            axis.set_title(f"{outcome.label}, minus control")
            axis.set_xlabel("")
            axis.set_ylabel("")
            axis.grid(False)
            axis.tick_params(length=0)
            axis.xaxis.tick_top()
            shares = [f"{x} {100 * study.resources[x]:.2g} %" if x in study.resources else x for x in study.languages]
            axis.set_yticks(np.arange(len(grid)) + 0.5, shares if axis is axes[0][0] else study.languages, rotation=0)
    return figure


def forest(table: pd.DataFrame, outcome: Outcome, study: Study) -> Figure:
    """Differences from the control in every language, drawn together, with intervals; hollow: the plain mean."""
    methods = [m for m in study.methods if m in set(table["method"])]
    languages = [x for x in study.languages if x in set(table["language"])]
    colour = colours(study.methods)
    figure, axes = new(1, len(methods), 0.9 + 0.19 * len(languages), sharey=True, sharex=True)
    height = {language: i for i, language in enumerate(languages)}
    with mpl.rc_context(STYLE):
        for axis, method in zip(axes[0], methods, strict=True):
            here = table[table["method"] == method]
            y = here["language"].map(height)
            axis.axvline(0, color="#777777", lw=1)
            axis.hlines(y, here["low"], here["high"], color=colour[method], lw=1.4)
            axis.plot(here["observed"], y, ls="", marker="o", ms=4.5, mfc="none", mec="#999999", mew=0.8)
            axis.plot(here["estimate"], y, ls="", marker="o", ms=3.6, color=colour[method])
            axis.set_title(method)
            axis.set_yticks(range(len(languages)), languages)
            axis.tick_params(axis="y", length=0, labelsize=8)
            axis.grid(True, axis="x")
            axis.grid(False, axis="y")
        axes[0, 0].set_ylim(len(languages) - 0.4, -0.6)
        figure.supxlabel(f"{outcome.label} minus control (points)", fontsize=9)
        legend(figure, [
            Line2D([], [], color="#5f5f5f", marker="o", ms=3.6, lw=1.4, label="drawn together, with interval"),
            Line2D([], [], color="#999999", marker="o", ms=4.5, mfc="none", ls="", label="plain mean"),
        ])  # fmt: skip
    return figure


def pairs(results: dict[str, pd.DataFrame], labels: dict[str, str], study: Study, alpha: float) -> Figure:
    """Every pair of methods: the row's score minus the column's, its adjusted p as the colour's depth."""
    figure, axes = new(1, len(results), 0.75 + 0.36 * len(study.methods))
    steps = [0.0, 0.001, 0.01, alpha, 1.0] if alpha > 0.01 else [0.0, 0.001, alpha, 1.0]
    shades = mpl.colors.ListedColormap(["#0b5394", "#5b8fc7", "#b9d3ee", "#f1f1f1"][-(len(steps) - 1) :])
    norm = mpl.colors.BoundaryNorm(steps, shades.N)
    place = {method: i for i, method in enumerate(study.methods)}
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        for axis, (name, table) in zip(axes[0], results.items(), strict=True):
            grid = np.full((len(place), len(place)), np.nan)
            for first, second, estimate, p in table[["first", "second", "estimate", "p_adjusted"]].itertuples(
                index=False
            ):
                i, j = place[first], place[second]
                grid[i, j] = grid[j, i] = p
                for row, column, value in ((j, i, estimate), (i, j, -estimate)):
                    ink = "white" if np.isfinite(p) and p < steps[-3] else "#222222"
                    axis.text(
                        column + 0.5, row + 0.5, sign(float(value)), ha="center", va="center", fontsize=7, color=ink
                    )
            mesh = axis.pcolormesh(
                np.ma.masked_invalid(grid), cmap=shades, norm=norm, edgecolors="white", linewidth=0.8
            )
            axis.set_xticks(np.arange(len(place)) + 0.5, study.methods)
            axis.set_yticks(np.arange(len(place)) + 0.5, study.methods if axis is axes[0][0] else [])
            axis.set_ylim(len(place), 0)
            axis.set_xlim(0, len(place))
            axis.set_title(labels[name])
            axis.spines[:].set_visible(False)
            axis.grid(False)
            axis.tick_params(length=0, labelsize=8)
        bar = figure.colorbar(mesh, ax=axes, shrink=0.8, aspect=14, pad=0.01)
        bar.set_ticks(steps, labels=[f"{step:g}" for step in steps])
        bar.set_label("adjusted p")
    return figure
