"""Scores of runs: every run as a dot, every language, profiles."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import STYLE, TEACHER, colours, legend, markers, new
from analysis.frames import Study
from analysis.paired import run_means
from analysis.profile import profile


def scores(study: Study) -> Figure:
    """Every run as a dot: rows are outcomes, columns arch x size, the teacher a dashed line."""
    outcomes = list(study.headlines.values())
    places = [(a, s) for a in study.archs for s in study.sizes]
    colour = colours(study.methods)
    place = {method: x for x, method in enumerate(study.methods)}
    seeds = sorted({int(seed) for o in outcomes for seed in o.frame["seed"]})
    beside = dict(zip(seeds, np.linspace(-0.2, 0.2, len(seeds)) if len(seeds) > 1 else [0.0], strict=True))
    figure, axes = new(len(outcomes), len(places), 0.5 + 2.0 * len(outcomes), sharey="row", sharex=True)
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
        legend(figure, [
            Line2D([], [], color=TEACHER, lw=1.1, ls=(0, (4, 3)), label="teacher"),
            Line2D([], [], color="#5f5f5f", lw=1.8, label="mean over seeds"),
            Line2D([], [], color="#5f5f5f", marker="o", ls="", ms=4, label="one run"),
        ])  # fmt: skip
    return figure


def retrieval_languages(study: Study) -> Figure | None:
    """Retrieval in every language, sizes averaged: teacher, control and methods; one panel an architecture."""
    outcome = study.headlines.get("retrieval")
    if outcome is None:
        return None
    colour, shape = colours(study.methods), markers(study.methods)
    figure, axes = new(len(study.archs), 1, 0.6 + 3.0 * len(study.archs), sharex=True)
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
        legend(figure, [
            Line2D([], [], color=TEACHER, lw=1.6, label="teacher"),
            *(Line2D([], [], color=colour[m], marker=shape[m], ls="", ms=5, label=m) for m in study.methods),
        ])  # fmt: skip
    return figure


def profiles(study: Study) -> Figure | None:
    """Share of runs above each fraction of their teacher's score (Agarwal et al. 2021): one panel an outcome."""
    # A share of nothing is no number: an outcome on which a teacher scores 0 has no profile.
    outcomes = [o for o in study.headlines.values() if not o.teachers.empty and o.higher_is_better
                and o.teachers.groupby("arch")["score"].mean().min() > 0]  # fmt: skip
    if not outcomes:
        return None
    colour = colours(study.methods)
    figure, axes = new(1, len(outcomes), 2.9, sharey=True)
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
        legend(figure, [Line2D([], [], color=colour[m], lw=1.8, label=m) for m in study.methods])
    return figure
