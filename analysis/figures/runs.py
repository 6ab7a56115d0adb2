"""Scores of runs: every run as a mark, every language, profiles."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from analysis import names
from analysis.contrasts.paired import run_means
from analysis.contrasts.profile import profile
from analysis.data.load import Outcome, StudyData
from analysis.figures.style import AXIS, BAND, GRID, SOFT, STYLE, TEACHER, keys, legend, new
from analysis.settings import AnalysisSettings
from analysis.wording import capital


def scores(study: StudyData, settings: AnalysisSettings) -> Figure:
    """Every run: rows are outcomes, columns arch x size; scores on the left axis, minus the control on the right.

    Means over seeds are bars, the teacher is a dashed line, the control's mean a solid one.
    """
    outcomes = list(study.headlines.values())
    places = [(a, s) for a in study.archs for s in study.sizes]
    looks = names.methods(study.methods, settings.control)
    place = {method: x for x, method in enumerate(study.methods)}
    seeds = sorted({int(seed) for o in outcomes for seed in o.frame["seed"]})
    beside = dict(zip(seeds, np.linspace(-0.22, 0.22, len(seeds)) if len(seeds) > 1 else [0.0], strict=True))
    figure, axes = new(len(outcomes), len(places), 0.5 + 1.9 * len(outcomes), sharey="row", sharex=True)
    with mpl.rc_context(STYLE):
        for (i, j), axis in np.ndenumerate(axes):
            outcome, (arch, size) = outcomes[i], places[j]
            runs = run_means(outcome.frame)
            here = runs[(runs["arch"] == arch) & (runs["size"] == size)]
            means = here.groupby("method")["score"].mean()
            for method in means.index:
                values, look = here[here["method"] == method], looks[method]
                # A seed has the same place beside every method, so that the eye can follow a block.
                axis.plot(
                    place[method] + values["seed"].map(beside), values["score"], ls="", marker=look.marker, ms=3.6,
                    color=look.colour, alpha=0.8, mew=0,
                )  # fmt: skip
                axis.plot([place[method] - 0.36, place[method] + 0.36], [means[method]] * 2, color=look.colour, lw=1.8)
            teacher = outcome.teachers.loc[outcome.teachers["arch"] == arch, "score"]
            if not teacher.empty:
                axis.axhline(float(teacher.mean()), color=TEACHER, lw=1.1, ls=(0, (4, 3)))
            axis.set_xticks(range(len(study.methods)), [looks[m].label for m in study.methods])
            axis.tick_params(axis="x", length=0, labelsize=8, rotation=0 if len(study.methods) < 7 else 90)
            axis.set_ylabel(f"{capital(outcome.label)}\n(points)" if j == 0 else "")
            if settings.control in means.index:
                _beside_control(axis, float(means[settings.control]), last=j == len(places) - 1)
            if i == 0:
                axis.set_title(f"{arch}, {size}", loc="left", fontweight="bold")
        legend(figure, [
            Line2D([], [], color=TEACHER, lw=1.1, ls=(0, (4, 3)), label="teacher"),
            Line2D([], [], color=AXIS, lw=1, label="control's mean, 0 of the right axis"),
            Line2D([], [], color=SOFT, lw=1.8, label="mean over seeds"),
            Line2D([], [], color=SOFT, marker="o", ls="", ms=4, label="one run"),
        ])  # fmt: skip
    return figure


def _beside_control(axis: Axes, level: float, last: bool) -> None:
    """A line at the control's mean, and a right axis that counts from it."""
    axis.axhline(level, color=AXIS, lw=1, zorder=0.5)
    right = axis.secondary_yaxis("right", functions=(lambda y: np.asarray(y) - level, lambda d: np.asarray(d) + level))
    right.tick_params(length=2, labelsize=7.5, labelcolor=SOFT, pad=2)
    right.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5))
    right.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda v, _: f"{v:+g}".replace("-", "\N{MINUS SIGN}")
                                                             if abs(v) > 1e-9 else "0"))  # fmt: skip
    right.spines["right"].set_visible(False)
    if last:
        right.set_ylabel("minus control", color=SOFT, fontsize=8)


def retrieval_languages(study: StudyData, settings: AnalysisSettings) -> Figure | None:
    """Retrieval in every language, sizes averaged, with intervals over runs: teacher, control and methods."""
    outcome = study.headlines.get("retrieval")
    if outcome is None:
        return None
    looks = names.methods(study.methods, settings.control)
    levels = language_levels(outcome, settings.alpha)
    figure, axes = new(len(study.archs), 1, 1.3 + 2.7 * len(study.archs), sharex=True)
    place = {language: i for i, language in enumerate(study.languages)}
    spread = np.linspace(-0.32, 0.32, len(study.methods))
    with mpl.rc_context(STYLE):
        for axis, arch in zip(axes[:, 0], study.archs, strict=True):
            here = levels[levels["arch"] == arch]
            for left in range(0, len(place), 2):
                axis.axvspan(left - 0.5, left + 0.5, color=BAND, alpha=0.5, lw=0, zorder=0)
            for shift, method in zip(spread, study.methods, strict=True):
                values, look = here[here["method"] == method], looks[method]
                x = values["language"].map(place).astype(float) + shift
                axis.vlines(x, values["low"], values["high"], color=look.colour, lw=1, alpha=0.75)
                axis.plot(x, values["estimate"], ls="", marker=look.marker, ms=3.6, color=look.colour, mew=0)
            teacher = outcome.teachers[outcome.teachers["arch"] == arch].groupby("language")["score"].mean()
            known = [language for language in teacher.index if language in place]
            x = np.array([place[language] for language in known])
            axis.hlines(teacher[known].to_numpy(), x - 0.45, x + 0.45, color=TEACHER, lw=1.6)
            axis.set_title(arch, loc="left", fontweight="bold")
            axis.set_ylabel(f"{capital(outcome.label)} (points)")
            axis.set_xlim(-0.6, len(place) - 0.4)
            axis.tick_params(axis="x", length=0, labelsize=8)
        labels = [f"{names.language(code)}  {code}" for code in place]
        axes[-1, 0].set_xticks(range(len(place)), labels, rotation=90)
        legend(figure, [
            Line2D([], [], color=TEACHER, lw=1.6, label="teacher"), *keys(study.methods, settings.control, ms=5),
        ])  # fmt: skip
    return figure


def profiles(study: StudyData, settings: AnalysisSettings) -> Figure | None:
    """Share of runs above each fraction of their teacher's score (Agarwal et al. 2021), with pointwise intervals."""
    # A share of nothing is no number: an outcome on which a teacher scores 0 has no profile.
    outcomes = [o for o in study.headlines.values() if not o.teachers.empty and o.higher_is_better
                and o.teachers.groupby("arch")["score"].mean().min() > 0]  # fmt: skip
    if not outcomes:
        return None
    looks = names.methods(study.methods, settings.control)
    figure, axes = new(1, len(outcomes), 2.9, sharey=True)
    with mpl.rc_context(STYLE):
        for axis, outcome in zip(axes[0], outcomes, strict=True):
            teacher = outcome.teachers.groupby("arch")["score"].mean()
            runs = run_means(outcome.frame)
            runs["kept"] = runs["score"] / runs["arch"].map(teacher) * 100
            for i, method in enumerate(study.methods):
                values = runs.loc[runs["method"] == method, "kept"].dropna().to_numpy()
                if len(values):
                    thresholds = np.linspace(values.min() - 1, values.max() + 1, 120)
                    share, look = profile(values, thresholds), looks[method]
                    low, high = share_band(share, len(values), settings.alpha)
                    axis.fill_between(thresholds, 100 * low, 100 * high, color=look.colour, alpha=0.08, lw=0)
                    axis.plot(thresholds, 100 * share, color=look.colour, lw=1.4, drawstyle="steps-mid",
                              marker=look.marker, ms=4.5, markevery=(8 + 3 * i, 35))  # fmt: skip
            axis.grid(True, axis="both", color=GRID)
            axis.set_title(capital(outcome.label), loc="left", fontweight="bold")
            axis.set_xlabel("% of the teacher's score")
        axes[0, 0].set_ylabel("% of runs above")
        legend(figure, keys(study.methods, settings.control, ls="-", lw=1.4, ms=5))
    return figure


LEVEL_COLUMNS = ["arch", "method", "language", "estimate", "low", "high"]


def language_levels(outcome: Outcome, alpha: float) -> pd.DataFrame:
    """Mean score of each architecture, method and language, sizes weighing alike, with an interval over runs.

    The interval is Student's for one language by itself; the variance of runs is pooled over sizes.

    Returns:
        `LEVEL_COLUMNS`, points; low and high are nan where no run repeats.
    """
    keys = ["arch", "method", "language"]
    by_size = outcome.frame.groupby([*keys, "size"])["score"].agg(["mean", "var", "size"])
    by_size = by_size.set_axis(["mean", "variance", "runs"], axis="columns")
    parts = by_size.assign(
        df=by_size["runs"] - 1,
        square=by_size["variance"].fillna(0) * (by_size["runs"] - 1),
        inverse=1 / by_size["runs"],
    ).groupby(level=keys)
    df, cells = parts["df"].sum(), parts.size()
    variance = (parts["square"].sum() / df.where(df > 0)) * parts["inverse"].sum() / cells**2
    half = stats.t.isf(alpha / 2, df.where(df > 0)) * np.sqrt(variance)
    mean = parts["mean"].mean()
    return pd.DataFrame({"estimate": mean, "low": mean - half, "high": mean + half}).reset_index()[LEVEL_COLUMNS]


def share_band(share: np.ndarray, runs: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval for a share of `runs` runs, point by point (Wilson 1927, J. Am. Stat. Assoc. 22:209).

    Args:
        share: observed shares, 0 to 1, of any shape.
        runs: number of runs behind each.
        alpha: level.
    """
    z = float(stats.norm.isf(alpha / 2))
    centre = (share + z**2 / (2 * runs)) / (1 + z**2 / runs)
    half = z / (1 + z**2 / runs) * np.sqrt(share * (1 - share) / runs + z**2 / (4 * runs**2))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
