"""Differences between each method and the control: estimate, interval, exact and adjusted p.

Two procedures, both paired within blocks (arch x size x seed):

- `crossed REML`: run x language scores, languages and runs as crossed random effects, a run variance for each
  method, Satterthwaite degrees of freedom. A pooled run variance is wrong when one method is less stable than
  the others: its type I error was 12-18 % at a nominal 5 % in simulations of this design.
- `paired t`: one score a run. A method's differences from the control within blocks, its own variance pooled
  over architectures and sizes; exact whatever the variances of the other methods. It answers for the tested
  languages only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis import effects, mixed, paired, robust
from analysis.frames import Outcome, Study
from analysis.inference import correlation, detectable, finish
from analysis.layout import AVERAGE, Layout, contrast_places, crossed_design, is_average
from analysis.settings import Settings

COLUMNS = [
    "outcome", "arch", "size", "language", "contrast", "estimate", "se", "df", "ci_low", "ci_high", "p", "p_adjusted",
    "procedure", "exploratory",
]  # fmt: skip
"""Columns of tables/contrasts.csv, in this order."""


REML = "crossed REML, run variance per method, Satterthwaite t"
POOLED = "crossed REML, one run variance, Satterthwaite t"
PAIRED = "paired t within blocks"
HC2 = "run means, HC2 and Bell-McCaffrey t"
SWAP = "run means, method and control swapped within blocks"


@dataclass(frozen=True)
class Result:
    """The analysis of one outcome.

    `contrasts` has COLUMNS and method, mde (`inference.detectable`), p_equivalent (TOST), standardised (d_z);
    `means` has effects.MEAN_COLUMNS, `pairs` effects.PAIR_COLUMNS; `sensitivity` the averaged contrasts under
    every analysis.
    """

    outcome: Outcome
    contrasts: pd.DataFrame
    procedure: str
    formula: str
    fit: mixed.MixedFit | None = None
    pooled: mixed.MixedFit | None = None
    f_tests: dict[str, tuple[float, int, float, float]] = field(default_factory=dict)
    sensitivity: pd.DataFrame = field(default_factory=pd.DataFrame)
    means: pd.DataFrame = field(default_factory=pd.DataFrame)
    pairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()
    design: Layout | None = None

    def marginal(self) -> pd.DataFrame:
        """The contrasts averaged over architectures and sizes."""
        return self.contrasts[is_average(self.contrasts)].reset_index(drop=True)


def _mixed_contrasts(
    fit: mixed.MixedFit, layout: Layout, alpha: float, points: float, adjust: bool = True
) -> pd.DataFrame:
    width = len(fit.beta)
    records: list[dict[str, Any]] = []
    vectors, families = [], []
    for place in contrast_places(layout):
        rows = []
        for method in layout.methods:
            if not layout.within(method, place):
                continue
            rows.append(len(records))
            records.append({"arch": place[0], "size": place[1], "method": method})
            vectors.append(layout.average(method, width, place))
        if rows:
            matrix = np.array([vectors[i] for i in rows])
            families.append((rows, correlation(matrix @ fit.cov @ matrix.T)))
    raw = pd.DataFrame(records).join(fit.contrast(np.array(vectors)))
    finish(raw, families if adjust else [], alpha, points)
    return raw


def _f_tests(fit: mixed.MixedFit, layout: Layout) -> dict[str, tuple[float, int, float, float]]:
    """F tests that no method differs from the control, and that each differs alike in every place."""
    width = len(fit.beta)
    average_rows = [layout.average(m, width) for m in layout.methods if layout.shared(m)]
    tests = {"method": fit.f_test(np.array(average_rows))}
    differing = [
        layout.row(m, place, width) - layout.row(m, layout.shared(m)[0], width)
        for m in layout.methods
        for place in layout.shared(m)[1:]
    ]
    if differing:
        tests["method x (arch, size)"] = fit.f_test(np.array(differing))
    return tests


def _sensitivity(
    declared: dict[str, pd.DataFrame], run_scores: pd.DataFrame, differences: pd.DataFrame, layout: Layout, alpha: float
) -> pd.DataFrame:
    """The averaged contrasts under several analyses; columns analysis, method, estimate, ci_low, ci_high, p.

    `declared` are contrast tables by the name of their analysis; those of `robust` follow.
    """
    columns = ["method", "estimate", "ci_low", "ci_high", "p"]
    parts = [table.loc[is_average(table), columns].assign(analysis=name) for name, table in declared.items()]
    parts.append(robust.intervals(robust.hc2(run_scores, layout), alpha)[columns].assign(analysis=HC2))
    swaps = [
        (m, float(d.groupby(level=["arch", "size"]).mean().mean()), robust.swap_test(d)) for m, d in differences.items()
    ]
    parts.append(pd.DataFrame(swaps, columns=["method", "estimate", "p"]).assign(analysis=SWAP))
    return pd.concat([part.dropna(subset=["p"]) for part in parts], ignore_index=True)


def analyse(outcome: Outcome, study: Study, settings: Settings, crossed: bool = True) -> Result:
    """Contrasts of every method against the control, per arch x size and averaged over them.

    Run x language scores get the crossed model where seeds and languages repeat, everything else (and everything
    when not `crossed`) the paired t on run means.
    """
    frame, alpha, points = outcome.frame, settings.alpha, settings.smallest(outcome.name)
    layout = Layout.of(frame, study, settings.control)
    notes = [
        f"{m}: averaged over {len(layout.shared(m))} of {len(layout.places)} combinations of architecture and size, "
        "the others lack the method or the control"
        for m in layout.methods
        if len(layout.shared(m)) < len(layout.places)
    ]
    run_scores = paired.run_means(frame)
    differences = paired.paired_differences(run_scores, layout)
    repeats = len(run_scores) > len(layout.columns)
    result: Result | None = None
    if crossed and outcome.by_language and frame["language"].nunique() > 1 and repeats:
        try:
            design = crossed_design(outcome, study, layout, settings, own=True)
            own, formula = mixed.fit(frame["score"], design.x, design.terms), design.formula
            design = crossed_design(outcome, study, layout, settings, own=False)
            pooled = mixed.fit(frame["score"], design.x, design.terms)
            raw = _mixed_contrasts(own, layout, alpha, points)
            if not own.converged:
                notes.append("the optimiser stopped before the gradient vanished: read the intervals with care")
            if not pooled.converged:
                notes.append("the model with one run variance did not converge: disregard its row among the checks")
            others = {
                POOLED: _mixed_contrasts(pooled, layout, alpha, points, adjust=False),
                PAIRED: paired.contrast_table(differences, layout, alpha, points, adjust=False),
            }
            result = Result(
                outcome, raw, REML, formula, own, pooled, _f_tests(own, layout),
                _sensitivity({REML: raw, **others}, run_scores, differences, layout, alpha),
                effects.mixed_means(own, layout, alpha), effects.mixed_pairs(own, layout, alpha), design=layout,
            )  # fmt: skip
        except mixed.ModelError as error:
            notes.append(f"no crossed model: {error}; paired differences are reported instead")
    if result is None:
        if not repeats:
            notes.append("one seed: no run repeats another, so there are differences but no intervals")
        by_pairs = paired.contrast_table(differences, layout, alpha, points)
        formula = "difference from the control ~ method, within blocks"
        result = Result(
            outcome, by_pairs, PAIRED, formula, f_tests=paired.hotelling(differences),
            sensitivity=_sensitivity({PAIRED: by_pairs}, run_scores, differences, layout, alpha),
            means=effects.run_level_means(run_scores, layout, alpha),
            pairs=effects.run_level_pairs(run_scores, layout, alpha), design=layout,
        )  # fmt: skip
    table = result.contrasts.assign(outcome=outcome.name, procedure=result.procedure)
    table["contrast"] = table["method"] + " - " + settings.control
    # Only the averaged contrasts of the declared outcomes were chosen before the data were seen.
    declared = table["method"].map(lambda method: settings.declared(outcome.name, method)).astype(bool)
    table["exploratory"] = ~is_average(table) | ~declared
    table["language"] = AVERAGE
    adjusted_for = table.groupby(["arch", "size"])["method"].transform("size")
    if settings.family == "study":
        adjusted_for = adjusted_for.where(table["exploratory"], adjusted_for * len(settings.primary))
        # Dunnett within the outcome, Bonferroni over the outcomes that were declared with it.
        widened = (table["p_adjusted"] * len(settings.primary)).clip(upper=1.0)
        table["p_adjusted"] = table["p_adjusted"].where(table["exploratory"], widened)
    table["mde"] = detectable(table["se"], table["df"], alpha, adjusted_for)
    table["standardised"] = table["estimate"] / table["method"].map(effects.spread_of_differences(differences))
    table = table[[*COLUMNS, "method", "mde", "p_equivalent", "standardised"]]
    return replace(result, contrasts=table, notes=tuple(notes))


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dictionaries."""
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
