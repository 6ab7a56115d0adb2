"""Every analysis of one study, in the order in which they build on one another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.contrasts import estimate, languages, paired, prediction, profile
from analysis.data import load
from analysis.data.load import StudyData
from analysis.mixed import blup
from analysis.power import assumptions, power
from analysis.sensitivity import boundary, collapse, influence, items, statsmodels_check
from analysis.settings import AnalysisSettings
from analysis.tradeoff import measure_pairs, pareto, tradeoff


@dataclass(frozen=True)
class Analysis:
    """All results of one study.

    `tradeoffs` are the averages, `places` the trade-offs of single architectures and sizes; `by_construct` the same
    under other pairs of measures, the primary one first, and `disagreements` where those say something else.
    """

    study: StudyData
    headlines: dict[str, estimate.Result]
    secondary: dict[str, estimate.Result]
    tradeoffs: list[tradeoff.Tradeoff]
    places: list[tradeoff.Tradeoff]
    by_construct: list[measure_pairs.ConstructPair]
    disagreements: list[measure_pairs.Disagreement]
    confirmations: dict[str, statsmodels_check.Confirmation]
    influence: dict[str, influence.Influence]
    by_language: dict[str, pd.DataFrame]  # shrunken.COLUMNS
    single_languages: pd.DataFrame  # contrasts.COLUMNS
    profiles: dict[str, pd.DataFrame]  # profile.COLUMNS
    front: pd.DataFrame  # pareto.front
    items: pd.DataFrame  # items.COLUMNS
    predictions: pd.DataFrame  # prediction.COLUMNS
    boundary: pd.DataFrame  # boundary.COLUMNS
    power: pd.DataFrame  # power.COLUMNS
    collapse: pd.DataFrame  # collapse.COLUMNS


def analyse(folder: Path, settings: AnalysisSettings) -> Analysis:
    """Read a results folder and run every analysis.

    Raises:
        AnalysisError: the results cannot be used; the message names file and problem.
    """
    study = load.load(folder, settings)
    headlines = {name: estimate.analyse(o, study, settings) for name, o in study.headlines.items()}
    # A secondary outcome that was declared primary gets the full model with all that stands beside it; one that a
    # trade-off needs, the model alone.
    needed = set(measure_pairs.secondary_measures(list(study.secondary))) - set(settings.primary)
    secondary = {
        name: estimate.analyse(o, study, settings, name in needed or name in settings.primary, name not in needed)
        for name, o in study.secondary.items()
    }
    every = {**headlines, **secondary}
    confirmations = {}
    for name, result in headlines.items():
        if result.fit is not None:
            x, scores = estimate.fixed_effects(result, study, settings), result.outcome.frame["score"].to_numpy()
            confirmations[name] = statsmodels_check.confirm(scores, x, result.fit, result.formula)
    found: list[tradeoff.Tradeoff] = []
    front = pd.DataFrame(columns=["method", "member", "probability"])
    if {"consistency", "stability"} <= set(headlines):
        pair = (headlines["consistency"], headlines["stability"])
        found = tradeoff.analyse(*pair, settings)
        front = pareto.front(tradeoff.averages(found), *pair, settings.control)
    by_construct = measure_pairs.analyse(found, every, settings)
    crossed = {
        n: (r.outcome, r.fit, r.design) for n, r in headlines.items() if r.fit is not None and r.design is not None
    }
    return Analysis(
        study, headlines, secondary, tradeoff.averages(found), tradeoff.by_place(found), by_construct,
        measure_pairs.disagreements(by_construct), confirmations,
        {n: influence.leave_out(o, study, settings, fit) for n, (o, fit, _) in crossed.items()},
        {n: blup.language_differences(fit, o, d, settings.alpha) for n, (o, fit, d) in crossed.items()},
        pd.concat([languages.contrast_table(r.outcome, study.methods, settings) for r in every.values()],
                  ignore_index=True)
        if every else pd.DataFrame(columns=estimate.COLUMNS),
        {n: profile.summary(paired.run_means(r.outcome.frame), study.methods, settings.control,
                            r.outcome.higher_is_better, settings.alpha) for n, r in headlines.items()},
        front, items.analyse(headlines, study.items, settings.alpha), prediction.analyse(headlines, settings.alpha),
        boundary.analyse(headlines, settings.alpha), _power(headlines, found, settings),
        collapse.analyse(study, settings.control),
    )  # fmt: skip


def _power(
    headlines: dict[str, estimate.Result], found: list[tradeoff.Tradeoff], settings: AnalysisSettings
) -> pd.DataFrame:
    """Power of studies of the usual sizes, and of this one's."""
    frames_of = [r.outcome.frame for r in headlines.values()]
    seeds = {int(f.groupby(["arch", "size", "method"])["seed"].nunique().max()) for f in frames_of}
    spoken = {int(f["language"].nunique()) for f in frames_of if "language" in f.columns}
    return power.table(
        assumptions.from_results(headlines, settings, tradeoff.averages(found)), settings,
        sorted({*power.SEEDS, *(n for n in seeds if n > 1)}), sorted({*power.LANGUAGES, *(n for n in spoken if n > 1)}),
    )  # fmt: skip
