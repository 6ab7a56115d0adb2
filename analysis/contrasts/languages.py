"""Differences from the control in each language by itself: no other language lends to it.

The mixed model's predictions (`shrunken`) are better guesses of one language; these are what its scores alone say.
"""

from __future__ import annotations

import pandas as pd

from analysis.contrasts.estimate import COLUMNS
from analysis.contrasts.inference import NO_SPREAD, Family, judge
from analysis.data.load import Outcome
from analysis.mixed.design import AVERAGE
from analysis.settings import AnalysisSettings

PROCEDURE = "paired t within blocks, one language; Bonferroni over languages and methods"


def contrast_table(outcome: Outcome, methods: list[str], settings: AnalysisSettings) -> pd.DataFrame:
    """Paired t of every method in every language, averaged over the architectures and sizes that have both.

    A method's variance in a language is its own, pooled over architectures and sizes. There is no interval where
    no run repeats another or nothing varies.

    Returns:
        `contrasts.COLUMNS`, all exploratory; empty for scores that have no languages.
    """
    keys = ["language", "arch", "size"]
    if not outcome.by_language:
        return pd.DataFrame(columns=COLUMNS)
    wide = outcome.frame.pivot_table(index=[*keys, "seed"], columns="method", values="score")
    parts = []
    for method in (m for m in methods if m != settings.control and m in wide.columns):
        gap = (wide[method] - wide[settings.control]).dropna()
        place = gap.groupby(level=keys).agg(["mean", "size"])
        place["df"], place["share"] = place["size"] - 1, 1 / place["size"]
        place["squares"] = ((gap - gap.groupby(level=keys).transform("mean")) ** 2).groupby(level=keys).sum()
        count = place.groupby(level="language").size()
        total = place.groupby(level="language")[["df", "share", "squares"]].sum()
        df = total["df"].where(total["df"] > 0).astype(float)
        se = (total["squares"] / df * total["share"]) ** 0.5 / count
        estimate = place["mean"].groupby(level="language").mean()
        found = pd.DataFrame({"estimate": estimate, "se": se.mask(se < NO_SPREAD, 0.0), "df": df})
        parts.append(found.reset_index().assign(method=method))
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat(parts, ignore_index=True)
    family = Family(f"{outcome.name}, by language", range(len(table)))
    table = judge(table, [family], settings.alpha, settings.smallest(outcome.name))
    table["contrast"] = table["method"] + " - " + settings.control
    return table.assign(
        outcome=outcome.name, measure=outcome.measure, arch=AVERAGE, size=AVERAGE, procedure=PROCEDURE, exploratory=True
    )[COLUMNS]
