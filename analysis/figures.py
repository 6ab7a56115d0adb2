"""The report's pictures. Every function returns a matplotlib figure; nothing is written here but `save`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from analysis.frames import Outcome, Study
from analysis.mixed import MixedFit
from analysis.paired import run_means
from analysis.profile import profile
from analysis.sentences import sign
from analysis.settings import Settings
from analysis.tradeoff import Tradeoff

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


def _new(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, np.ndarray]:
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(WIDTH, height), squeeze=False, layout="constrained", **options
        )
    return figure, axes


def scores(study: Study) -> Figure:
    """Every run as a dot: rows are outcomes, columns arch x size, the teacher a dashed line."""
    outcomes = list(study.headlines.values())
    places = [(a, s) for a in study.archs for s in study.sizes]
    colour = colours(study.methods)
    place = {method: x for x, method in enumerate(study.methods)}
    seeds = sorted({int(seed) for o in outcomes for seed in o.frame["seed"]})
    beside = dict(zip(seeds, np.linspace(-0.2, 0.2, len(seeds)) if len(seeds) > 1 else [0.0], strict=True))
    figure, axes = _new(len(outcomes), len(places), 0.5 + 2.0 * len(outcomes), sharey="row", sharex=True)
    with mpl.rc_context(STYLE):
        for i, outcome in enumerate(outcomes):
            runs = run_means(outcome.frame)
            for j, (arch, size) in enumerate(places):
                axis: Axes = axes[i, j]
                here = runs[(runs["arch"] == arch) & (runs["size"] == size)]
                if not here.empty:
                    # A seed has the same place beside every method, so that the eye can follow a block.
                    across = here["method"].map(place) + here["seed"].map(beside)
                    sns.scatterplot(
                        x=across, y=here["score"], hue=here["method"], palette=colour, ax=axis, s=18, alpha=0.8,
                        linewidth=0, legend=False,
                    )  # fmt: skip
                    axis.set_xticks(range(len(study.methods)), study.methods)
                    means = here.groupby("method")["score"].mean()
                    for x, method in enumerate(study.methods):
                        if method in means.index:
                            axis.plot([x - 0.32, x + 0.32], [means[method]] * 2, color=colour[method], lw=1.8)
                teacher = outcome.teachers.loc[outcome.teachers["arch"] == arch, "score"]
                if not teacher.empty:
                    axis.axhline(float(teacher.mean()), color=TEACHER, lw=1.1, ls=(0, (4, 3)))
                axis.set_xlabel("")
                axis.set_ylabel(f"{outcome.label}\n(points)" if j == 0 else "")
                if i == 0:
                    axis.set_title(f"{arch}, {size}")
        _legend(figure, [
            Line2D([], [], color=TEACHER, lw=1.1, ls=(0, (4, 3)), label="teacher"),
            Line2D([], [], color="#5f5f5f", lw=1.8, label="mean over seeds"),
            Line2D([], [], color="#5f5f5f", marker="o", ls="", ms=4, label="one run"),
        ])  # fmt: skip
    return figure


def _legend(figure: Figure, handles: list[Line2D]) -> None:
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 8), handletextpad=0.5)


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
    figure, axes = _new(1, len(outcomes), 1.3 + 0.235 * len(study.languages))
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


def tradeoff(found: list[Tradeoff], study: Study, settings: Settings) -> Figure:
    """Consistency against stability, both minus the control: blocks as dots, means, joint 95 % regions."""
    colour, shape = colours(study.methods), markers(study.methods)
    figure, axes = _new(1, 1, 5.6)
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
        _legend(figure, [
            Line2D([], [], color=colour[t.method], marker=shape[t.method], ls="", ms=7, label=t.method) for t in found
        ])  # fmt: skip
    return figure


def retrieval_languages(study: Study) -> Figure | None:
    """Retrieval in every language, sizes averaged: teacher, control and methods; one panel an architecture."""
    outcome = study.headlines.get("retrieval")
    if outcome is None:
        return None
    colour, shape = colours(study.methods), markers(study.methods)
    figure, axes = _new(len(study.archs), 1, 0.6 + 3.0 * len(study.archs), sharex=True)
    place = {language: i for i, language in enumerate(study.languages)}
    spread = np.linspace(-0.3, 0.3, len(study.methods))
    with mpl.rc_context(STYLE):
        for axis, arch in zip(axes[:, 0], study.archs, strict=True):
            here = outcome.frame[outcome.frame["arch"] == arch]
            means = here.groupby(["method", "size", "language"])["score"].mean().groupby(["method", "language"]).mean()
            for left in range(0, len(place), 2):
                axis.axvspan(left - 0.5, left + 0.5, color="#f6f6f6", lw=0, zorder=0)
            for shift, method in zip(spread, study.methods, strict=True):
                if method not in means.index.get_level_values(0):
                    continue
                values = means[method]
                axis.plot(
                    [place[x] + shift for x in values.index], values.to_numpy(), ls="", marker=shape[method], ms=4.2,
                    color=colour[method], markeredgecolor="white", markeredgewidth=0.3,
                )  # fmt: skip
            teacher = outcome.teachers[outcome.teachers["arch"] == arch].groupby("language")["score"].mean()
            for language, value in teacher.items():
                if language in place:
                    axis.plot([place[language] - 0.42, place[language] + 0.42], [value] * 2, color=TEACHER, lw=1.6)
            axis.set_title(arch)
            axis.set_ylabel(f"{outcome.label} (points)")
            axis.set_xlim(-0.6, len(place) - 0.4)
            axis.set_xticks(range(len(place)), list(place))
            axis.tick_params(axis="x", length=0, labelsize=8)
        axes[-1, 0].set_xlabel(
            "language, most training text first" if study.resources else "language, by the control's score"
        )
        _legend(figure, [
            Line2D([], [], color=TEACHER, lw=1.6, label="teacher"),
            *(Line2D([], [], color=colour[m], marker=shape[m], ls="", ms=5, label=m) for m in study.methods),
        ])  # fmt: skip
    return figure


def forest(table: pd.DataFrame, outcome: Outcome, study: Study) -> Figure:
    """Differences from the control in every language, drawn together, with intervals; hollow: the plain mean."""
    methods = [m for m in study.methods if m in set(table["method"])]
    languages = [x for x in study.languages if x in set(table["language"])]
    colour = colours(study.methods)
    figure, axes = _new(1, len(methods), 0.9 + 0.19 * len(languages), sharey=True, sharex=True)
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
        _legend(figure, [
            Line2D([], [], color="#5f5f5f", marker="o", ms=3.6, lw=1.4, label="drawn together, with interval"),
            Line2D([], [], color="#999999", marker="o", ms=4.5, mfc="none", ls="", label="plain mean"),
        ])  # fmt: skip
    return figure


def profiles(study: Study) -> Figure | None:
    """Share of runs above each fraction of their teacher's score (Agarwal et al. 2021): one panel an outcome."""
    outcomes = [o for o in study.headlines.values() if not o.teachers.empty and o.higher_is_better]
    if not outcomes:
        return None
    colour = colours(study.methods)
    figure, axes = _new(1, len(outcomes), 2.9, sharey=True)
    with mpl.rc_context(STYLE):
        for axis, outcome in zip(axes[0], outcomes, strict=True):
            teacher = outcome.teachers.groupby("arch")["score"].mean()
            runs = run_means(outcome.frame)
            runs["kept"] = runs["score"] / runs["arch"].map(teacher) * 100
            thresholds = np.linspace(runs["kept"].min() - 1, runs["kept"].max() + 1, 200)
            for method in study.methods:
                values = runs.loc[runs["method"] == method, "kept"].dropna().to_numpy()
                if len(values):
                    axis.step(thresholds, profile(values, thresholds) * 100, color=colour[method], lw=1.5)
            axis.set_title(outcome.label)
            axis.set_xlabel("% of the teacher's score")
        axes[0, 0].set_ylabel("% of runs above")
        _legend(figure, [Line2D([], [], color=colour[m], lw=1.8, label=m) for m in study.methods])
    return figure


def diagnostics(fits: dict[str, tuple[Outcome, MixedFit]]) -> Figure | None:
    """Residuals of the crossed models: against the fitted values, and against a normal distribution."""
    if not fits:
        return None
    figure, axes = _new(2, len(fits), 5.0)
    with mpl.rc_context(STYLE):
        for column, (outcome, fit) in enumerate(fits.values()):
            residual = (outcome.frame["score"].to_numpy() - fit.fitted) / np.sqrt(fit.variances[-1])
            upper, lower = axes[0, column], axes[1, column]
            upper.scatter(fit.fitted, residual, s=3, color="#0072b2", alpha=0.25, linewidths=0, rasterized=True)
            upper.axhline(0, color="#777777", lw=1)
            upper.set_title(outcome.label)
            upper.set_xlabel("fitted (points)")
            theory = stats.norm.ppf((np.arange(len(residual)) + 0.5) / len(residual))
            lower.plot(theory, theory, color="#777777", lw=1)
            lower.scatter(theory, np.sort(residual), s=3, color="#0072b2", linewidths=0, rasterized=True)
            lower.set_xlabel("normal quantile")
        axes[0, 0].set_ylabel("standardised residual")
        axes[1, 0].set_ylabel("standardised residual")
    return figure


def pairs(results: dict[str, pd.DataFrame], labels: dict[str, str], study: Study, alpha: float) -> Figure:
    """Every pair of methods: the row's score minus the column's, its Holm-adjusted p as the colour's depth."""
    figure, axes = _new(1, len(results), 0.75 + 0.36 * len(study.methods))
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
        bar.set_label("Holm-adjusted p")
    return figure
