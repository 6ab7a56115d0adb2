"""Differences between methods: in every language, and of every pair."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import names
from analysis.data.load import Outcome, StudyData
from analysis.figures.style import AXIS, INK, LESS, MORE, PAPER, SOFT, STYLE, legend, new
from analysis.settings import AnalysisSettings
from analysis.wording import capital, sign


def per_language(table: pd.DataFrame, study: StudyData, settings: AnalysisSettings) -> Figure | None:
    """Differences from the control in every language: one heat map for each outcome, on one colour scale.

    Args:
        table: rows of contrasts.csv of single languages; faded is what is not significant there.
    """
    present = [n for n in study.headlines if (table["outcome"] == n).any()]
    if not present:
        return None
    methods = [m for m in study.methods if m != settings.control]
    looks = names.methods(study.methods, settings.control)
    table = table[table["outcome"].isin(present)].assign(
        method=table["contrast"].str.removesuffix(f" - {settings.control}")
    )
    significant = table["p_adjusted"] < settings.alpha
    shown = table.loc[significant, "estimate"].abs()
    limit = max(float(shown.quantile(0.95)) if len(shown) else 0.0, 2 * settings.smallest(present[0]))
    figure, axes = new(1, len(present), 0.9 + 0.2 * len(study.languages), sharey=True)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        for axis, name in zip(axes[0], present, strict=True):
            here = table[table["outcome"] == name]
            grids = [here.pivot(index="language", columns="method", values=column)
                     .reindex(index=study.languages, columns=methods).to_numpy(dtype=float)
                     for column in ("estimate", "p_adjusted")]  # fmt: skip
            _heat(axis, grids[0], grids[1] < settings.alpha, limit)
            axis.set_xticks(np.arange(len(methods)) + 0.5, [looks[m].label for m in methods])
            axis.set_title(capital(study.headlines[name].label), loc="left", fontweight="bold", pad=6)
            axis.xaxis.tick_top()
        axes[0, 0].set_yticks(
            np.arange(len(study.languages)) + 0.5, [_language(code, study) for code in study.languages]
        )
        axes[0, 0].set_ylim(len(study.languages), 0)
        for axis in axes[0]:
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
        legend(figure, [
            *(Line2D([], [], ls="", marker="s", ms=9, color=c, alpha=0.75, label=f"{sign(v, 0)} points or more" if v > 0
                     else f"{sign(v, 0)} points or less") for c, v in ((MORE, limit), (LESS, -limit))),
            Line2D([], [], ls="", marker="s", ms=9, color=MORE, alpha=0.12, label="faded: interval includes 0"),
        ])  # fmt: skip
    return figure


def _heat(axis: Axes, values: np.ndarray, significant: np.ndarray, limit: float) -> None:
    """Cells coloured by sign, as deep as the value is large; what is not significant is faded."""
    axis.grid(False)
    depth = 0.12 + 0.63 * np.clip(np.abs(values) / limit, 0, 1)
    colour = np.where((values > 0)[..., None], to_rgb(MORE), to_rgb(LESS))
    alpha = np.where(np.isfinite(values), np.where(significant, depth, 0.06), 0.0)
    axis.pcolormesh(np.concatenate([colour, alpha[..., None]], axis=2), edgecolors=PAPER, linewidth=0.6)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            axis.text(
                column + 0.5, row + 0.53, sign(float(value)), ha="center", va="center", fontsize=7,
                color=INK if significant[row, column] else SOFT, in_layout=False,
            )  # fmt: skip


def _language(code: str, study: StudyData) -> str:
    share = f"  {100 * study.resources[code]:.2g} %" if code in study.resources else ""
    return f"{names.language(code)}  {code}{share}"


def forest(table: pd.DataFrame, outcome: Outcome, study: StudyData) -> Figure:
    """Differences from the control in every language, drawn together, with intervals; hollow: the plain mean."""
    methods = [m for m in study.methods if m in set(table["method"])]
    languages = [x for x in study.languages if x in set(table["language"])]
    looks = names.methods(study.methods)
    figure, axes = new(1, len(methods), 0.9 + 0.17 * len(languages), sharey=True, sharex=True)
    height = {language: i for i, language in enumerate(languages)}
    with mpl.rc_context(STYLE):
        for axis, method in zip(axes[0], methods, strict=True):
            here, look = table[table["method"] == method], looks[method]
            y = here["language"].map(height)
            axis.axvline(0, color=AXIS, lw=1)
            axis.hlines(y, here["low"], here["high"], color=look.colour, lw=1.4)
            axis.plot(here["observed"], y, ls="", marker="o", ms=4.5, mfc="none", mec=AXIS, mew=0.8)
            axis.plot(here["estimate"], y, ls="", marker=look.marker, ms=3.6, color=look.colour)
            axis.set_title(look.label, loc="left", fontweight="bold")
            axis.tick_params(axis="y", length=0, labelsize=8)
            axis.grid(True, axis="x")
            axis.grid(False, axis="y")
        axes[0, 0].set_yticks(range(len(languages)), [f"{names.language(x)}  {x}" for x in languages])
        axes[0, 0].set_ylim(len(languages) - 0.4, -0.6)
        figure.supxlabel(f"{capital(outcome.label)} minus control (points)", fontsize=9, color=INK)
        legend(figure, [
            Line2D([], [], color=SOFT, marker="o", ms=3.6, lw=1.4, label="prediction, with interval"),
            Line2D([], [], color=AXIS, marker="o", ms=4.5, mfc="none", ls="", label="plain mean"),
        ])  # fmt: skip
    return figure


def pairs(
    results: Mapping[str, pd.DataFrame], labels: Mapping[str, str], study: StudyData, settings: AnalysisSettings
) -> Figure | None:
    """Every pair of methods but the control: the row's score minus the column's, faded where not significant.

    Args:
        results: `effects.PAIR_COLUMNS` of each outcome; the difference is second minus first.
        labels: names of the outcomes.
        study: the study.
        settings: the declared level and control.
    """
    filled = {name: table for name, table in results.items() if len(table)}
    if not filled:
        return None
    looks = names.methods(study.methods, settings.control)
    methods = [m for m in study.methods if m != settings.control]
    labelled, place = [looks[m].label for m in methods], {m: i for i, m in enumerate(methods)}
    size = len(methods)
    every = pd.concat(list(filled.values()))
    shown = every.loc[every["p_adjusted"] < settings.alpha, "estimate"].abs()
    limit = float(shown.quantile(0.9)) if len(shown) else 1.0
    figure, axes = new(1, len(filled), 0.5 + 0.3 * size, sharey=True)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        for axis, (name, table) in zip(axes[0], filled.items(), strict=True):
            values, significant = np.full((size, size), np.nan), np.zeros((size, size), dtype=bool)
            for first, second, estimate, p in zip(
                table["first"], table["second"], table["estimate"], table["p_adjusted"], strict=True
            ):
                i, j = place[first], place[second]
                values[j, i], values[i, j] = estimate, -estimate
                significant[i, j] = significant[j, i] = bool(p < settings.alpha)
            _heat(axis, values, significant, limit)
            axis.set_xticks(np.arange(size) + 0.5, labelled)
            axis.set_yticks(np.arange(size) + 0.5, labelled)
            axis.set_ylim(size, 0)
            axis.set_xlim(0, size)
            axis.set_title(capital(labels[name]), loc="left", fontweight="bold")
            axis.spines[:].set_visible(False)
            axis.tick_params(length=0, labelsize=8)
    return figure
