"""Leave one out: does a finding hang on one language or one seed?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from analysis.data.load import Outcome, StudyData
from analysis.mixed import model as mixed
from analysis.mixed.design import Layout, crossed_design
from analysis.settings import AnalysisSettings


@dataclass(frozen=True)
class Influence:
    """Averaged differences from the control without one language or seed: columns left_out, method, estimate."""

    languages: pd.DataFrame
    seeds: pd.DataFrame


def leave_out(outcome: Outcome, study: StudyData, settings: AnalysisSettings, fit: mixed.MixedFit) -> Influence:
    """Estimate the crossed model again without each language and each seed, variances held at those of `fit`."""
    parts = {}
    for factor in ("language", "seed"):
        levels = sorted(set(outcome.frame[factor]))
        rows = []
        for level in levels if len(levels) > 2 else []:
            frame = outcome.frame[outcome.frame[factor] != level].reset_index(drop=True)
            smaller = replace(outcome, frame=frame)
            layout = Layout.of(frame, study, settings.control)
            design = crossed_design(smaller, study, layout, settings, own=True)
            # What is left may not carry all terms: a language left out of two leaves none to compare.
            known = dict(zip(fit.names, fit.theta, strict=True))
            try:
                theta = [known[term.name] for term in design.terms]
                beta = mixed.coefficients(frame["score"], design.x, design.terms, theta)
            except (mixed.ModelError, KeyError):
                continue
            for method in layout.methods:
                if layout.shared(method):
                    estimate = float(layout.average(method, len(beta)) @ beta)
                    rows.append({"left_out": str(level), "method": method, "estimate": estimate})
        parts[factor] = pd.DataFrame(rows, columns=["left_out", "method", "estimate"])
    return Influence(parts["language"], parts["seed"])
