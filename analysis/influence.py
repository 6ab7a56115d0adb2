"""Leave one out: does a finding hang on one language or one seed?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from analysis import mixed
from analysis.frames import Outcome, Study
from analysis.layout import Layout, crossed_design
from analysis.settings import Settings


@dataclass(frozen=True)
class Influence:
    """Averaged differences from the control without one language or seed: columns left_out, method, estimate."""

    languages: pd.DataFrame
    seeds: pd.DataFrame


def leave_out(outcome: Outcome, study: Study, settings: Settings, fit: mixed.MixedFit) -> Influence:
    """Fit the crossed model again without each language and without each seed, starting from `fit`."""
    parts = {}
    for factor in ("language", "seed"):
        levels = sorted(set(outcome.frame[factor]))
        rows = []
        for level in levels if len(levels) > 2 else []:
            frame = outcome.frame[outcome.frame[factor] != level].reset_index(drop=True)
            smaller = replace(outcome, frame=frame)
            layout = Layout.of(frame, study, settings.control)
            design = crossed_design(smaller, study, layout, settings, own=True)
            # The same terms in the same order, unless the part that is left cannot carry one of them.
            start = fit.theta if len(design.terms) == len(fit.theta) else None
            try:
                found = mixed.fit(frame["score"], design.x, design.terms, start)
            except mixed.ModelError:
                continue
            for method in layout.methods:
                if layout.shared(method):
                    estimate = float(layout.average(method, len(found.beta)) @ found.beta)
                    rows.append({"left_out": str(level), "method": method, "estimate": estimate})
        parts[factor] = pd.DataFrame(rows, columns=["left_out", "method", "estimate"])
    return Influence(parts["language"], parts["seed"])
