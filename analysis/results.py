"""Every analysis of one study, in the order in which they build on one another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import (
    confirm,
    contrasts,
    frames,
    influence,
    languages,
    layout,
    mixed,
    paired,
    profile,
    shrunken,
    tradeoff,
)
from analysis.frames import Study
from analysis.settings import Settings


@dataclass(frozen=True)
class Analysis:
    """All results of one study."""

    study: Study
    headlines: dict[str, contrasts.Result]
    secondary: dict[str, contrasts.Result]
    tradeoffs: list[tradeoff.Tradeoff]
    confirmations: dict[str, confirm.Confirmation]
    influence: dict[str, influence.Influence]
    by_language: dict[str, pd.DataFrame]  # shrunken.COLUMNS
    single_languages: pd.DataFrame  # contrasts.COLUMNS
    profiles: dict[str, pd.DataFrame]  # profile.COLUMNS
    front: pd.DataFrame  # tradeoff.pareto


def analyse(folder: Path, settings: Settings) -> Analysis:
    """Read a results folder and run every analysis.

    Raises:
        AnalysisError: the results cannot be used; the message names file and problem.
    """
    study = frames.load(folder, settings)
    headlines = {name: contrasts.analyse(o, study, settings) for name, o in study.headlines.items()}
    # A secondary outcome that was declared primary gets the full model.
    secondary = {
        name: contrasts.analyse(o, study, settings, crossed=name in settings.primary)
        for name, o in study.secondary.items()
    }
    confirmations = {}
    for name, result in headlines.items():
        if result.pooled is not None and result.design is not None:
            design = layout.crossed_design(result.outcome, study, result.design, settings, own=False)
            scores = result.outcome.frame["score"].to_numpy()
            terms, without = confirm.affordable(len(scores), design.terms)
            fit = mixed.fit(scores, design.x, terms) if without else result.pooled
            confirmations[name] = confirm.confirm(scores, design.x, terms, fit, without)
    tradeoffs = tradeoff.analyse(study, settings)
    crossed = {
        n: (r.outcome, r.fit, r.design) for n, r in headlines.items() if r.fit is not None and r.design is not None
    }
    return Analysis(
        study, headlines, secondary, tradeoffs, confirmations,
        {n: influence.leave_out(o, study, settings, fit) for n, (o, fit, _) in crossed.items()},
        {n: shrunken.language_differences(fit, o, d, settings.alpha) for n, (o, fit, d) in crossed.items()},
        pd.concat([languages.contrast_table(r.outcome, study.methods, settings)
                   for r in (*headlines.values(), *secondary.values())], ignore_index=True)
        if headlines or secondary else pd.DataFrame(columns=contrasts.COLUMNS),
        {n: profile.summary(paired.run_means(r.outcome.frame), study.methods, settings.control,
                            r.outcome.higher_is_better) for n, r in headlines.items()},
        tradeoff.pareto(tradeoffs, settings.control),
    )  # fmt: skip
