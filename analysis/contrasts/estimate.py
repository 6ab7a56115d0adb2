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

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.contrasts import effects, paired, robust
from analysis.contrasts.inference import Family, correlation, detectable, judge
from analysis.contrasts.verdict import verdict
from analysis.data.load import Outcome, StudyData
from analysis.mixed import model as mixed
from analysis.mixed.design import (
    AVERAGE,
    Layout,
    contrast_families,
    contrast_places,
    crossed_design,
    is_average,
    varies_within,
)
from analysis.settings import AnalysisSettings

COLUMNS = [
    "outcome", "measure", "arch", "size", "language", "contrast", "estimate", "se", "df", "ci_low", "ci_high", "p",
    "p_adjusted", "p_equivalent", "family", "procedure", "exploratory",
]  # fmt: skip
"""Columns of tables/contrasts.csv, in this order.

`ci_low`, `ci_high`, `p_adjusted` and `p_equivalent` are simultaneous over `family` (`inference.judge`): the interval
leaves out 0 just where p_adjusted is under the level. `se`, `df` and `p` are of the row alone.
"""


LIKE_THESE = "languages like these"
TESTED = "the tested languages"
REML = "crossed REML, run variance per method, Satterthwaite t"
POOLED = "crossed REML, one run variance, Satterthwaite t"
PAIRED = "paired t within blocks"
HC2 = "run means, HC2 and Bell-McCaffrey t"
SWAP = "run means, method and control swapped within blocks"


ACCURACY = "crossed REML, accuracy of the same run and language as covariate"
OUTLIERS = "without outlying runs"
SENSITIVITY = ["analysis", "method", "estimate", "se", "df", "ci_low", "ci_high", "p", "p_adjusted", "p_equivalent"]
"""Columns of the sensitivity table; every analysis is adjusted for its methods as the main one is."""


@dataclass(frozen=True)
class Result:
    """The analysis of one outcome.

    `contrasts` has COLUMNS and method, mde (`inference.detectable`), standardised (d_z); `means` has
    effects.MEAN_COLUMNS, `pairs` effects.PAIR_COLUMNS; `sensitivity` (SENSITIVITY) the averaged contrasts under every
    analysis. `outliers` are runs that `robust.outlying` names, and `parted` the methods whose verdict is another one
    without them. `populations` says what the contrasts speak of: LIKE_THESE or TESTED languages.
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
    population: str = TESTED
    outliers: tuple[str, ...] = ()
    parted: tuple[str, ...] = ()

    def marginal(self) -> pd.DataFrame:
        """The contrasts averaged over architectures and sizes."""
        return self.contrasts[is_average(self.contrasts)].reset_index(drop=True)


@dataclass(frozen=True)
class _Task:
    """What every analysis of an outcome shares."""

    outcome: Outcome
    study: StudyData
    settings: AnalysisSettings
    layout: Layout

    def judged(self, raw: pd.DataFrame, family: paired.Judge) -> pd.DataFrame:
        """`raw` (arch, size, method, estimate, se, df) with `inference.JUDGED`."""
        keys = [((str(a), str(s)), str(m)) for a, s, m in zip(raw["arch"], raw["size"], raw["method"], strict=True)]
        families = [family(*f) for f in contrast_families(self.outcome.name, keys, self.settings)]
        return judge(raw, families, self.settings.alpha, self.settings.smallest(self.outcome.name))

    def averaged(self, raw: pd.DataFrame) -> pd.DataFrame:
        """Averages over all places (method, estimate, se, df), judged by Bonferroni within the same families."""
        whole = raw.assign(arch=AVERAGE, size=AVERAGE)
        return self.judged(whole, lambda name, rows, widened: Family(name, rows, widened=widened))

    def fitted(
        self, own: bool, covariates: Mapping[str, np.ndarray], start: np.ndarray | None = None
    ) -> tuple[mixed.MixedFit, str]:
        """The crossed model and its formula; `start` are SD ratios of a model with the same terms."""
        design = crossed_design(self.outcome, self.study, self.layout, self.settings, own, covariates)
        return mixed.fit(self.outcome.frame["score"], design.x, design.terms, start), design.formula

    def crossed(self, fit: mixed.MixedFit) -> pd.DataFrame:
        """Contrasts of a crossed model in every row of `contrast_places`."""
        width = len(fit.beta)
        keys = [(place, m) for place in contrast_places(self.layout) for m in self.layout.methods
                if self.layout.within(m, place)]  # fmt: skip
        vectors = np.array([self.layout.average(method, width, place) for place, method in keys])
        cov = vectors @ fit.cov @ vectors.T
        raw = pd.DataFrame([{"arch": place[0], "size": place[1], "method": method} for place, method in keys])
        return self.judged(
            raw.join(fit.contrast(vectors)),
            lambda name, rows, widened: Family(name, rows, correlation(cov[np.ix_(rows, rows)]), widened=widened),
        )

    def paired(self, differences: pd.DataFrame) -> pd.DataFrame:
        return self.judged(*paired.contrast_table(differences, self.layout))

    def covariates(self) -> tuple[dict[str, np.ndarray], list[str]]:
        """Declared numeric columns of the runs, for every row of the outcome; and what had to be left out."""
        found, notes, frame = {}, [], self.outcome.frame
        for name in self.settings.covariates:
            values = frame["cell"].map(self.study.cells.set_index("cell")[name]).to_numpy(dtype=float)
            if varies_within(frame, values):
                found[name] = values
            else:
                notes.append(f"{name} does not vary within architecture, size and method: the model has no term for it")
        return found, notes


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


def _sensitivity(task: _Task, declared: Mapping[str, pd.DataFrame], run_scores: pd.DataFrame) -> pd.DataFrame:
    """The averaged contrasts under several analyses: those of `declared` by name, then those of `robust`."""
    parts = [table[is_average(table)].assign(analysis=name) for name, table in declared.items()]
    parts.append(task.averaged(robust.hc2(run_scores, task.layout)).assign(analysis=HC2))
    differences = paired.paired_differences(run_scores, task.layout)
    swaps = [
        (m, float(d.groupby(level=["arch", "size"]).mean().mean()), robust.swap_test(d)) for m, d in differences.items()
    ]
    swapped = pd.DataFrame(swaps, columns=["method", "estimate", "p"])
    counts = task.averaged(swapped.assign(se=np.nan, df=np.nan))["tests"]
    adjusted = (swapped["p"] * counts).clip(upper=1.0)
    parts.append(swapped.assign(analysis=SWAP, p_adjusted=adjusted))
    return pd.concat([p.reindex(columns=SENSITIVITY).dropna(subset=["p"]) for p in parts], ignore_index=True)


def _without_outliers(task: _Task, crossed: bool, covariates: Mapping[str, np.ndarray]) -> tuple[
    tuple[str, ...], pd.DataFrame | None
]:  # fmt: skip
    """Runs that lie far from those of their kind, and the contrasts without them; none where none does."""
    frame = task.outcome.frame
    outliers = robust.outlying(paired.run_means(frame, keep=("cell",)))
    if not outliers:
        return (), None
    kept = ~frame["cell"].isin(outliers).to_numpy()
    smaller = replace(task.outcome, frame=frame[kept].reset_index(drop=True))
    layout = Layout.of(smaller.frame, task.study, task.layout.control)
    if not any(layout.shared(m) for m in layout.methods):
        return outliers, None
    rest = replace(task, outcome=smaller, layout=layout)
    if crossed:
        try:
            return outliers, rest.crossed(rest.fitted(True, {n: v[kept] for n, v in covariates.items()})[0])
        except mixed.ModelError:
            return outliers, None
    return outliers, rest.paired(paired.paired_differences(paired.run_means(smaller.frame), layout))


def _parted(main: pd.DataFrame, other: pd.DataFrame, alpha: float) -> tuple[str, ...]:
    """Methods on which two tables of contrasts come to another verdict, on the average."""
    first, second = ({r["method"]: verdict(r, alpha) for r in rows(t[is_average(t)])} for t in (main, other))
    return tuple(m for m in first if m in second and first[m] != second[m])


def _accuracy(task: _Task) -> np.ndarray | None:
    """VQA accuracy of each row's run and language, minus the language's mean; None where a row has none."""
    vqa, frame = task.study.headlines.get("vqa"), task.outcome.frame
    if vqa is None or not vqa.by_language or vqa.name == task.outcome.name:
        return None
    # What is left of accuracy within a language: that hard languages are less stable is no method's doing.
    centred = vqa.frame["score"] - vqa.frame.groupby("language")["score"].transform("mean")
    by_row = vqa.frame[["cell", "language"]].assign(accuracy=centred)
    values = frame[["cell", "language"]].merge(by_row, how="left", on=["cell", "language"])["accuracy"].to_numpy()
    return values if np.isfinite(values).all() and varies_within(frame, values) else None


def _crossed_result(task: _Task, run_scores: pd.DataFrame, differences: pd.DataFrame, checks: bool) -> Result:
    """The crossed model, with what stands beside it where `checks`.

    Raises:
        mixed.ModelError: the data cannot carry it.
    """
    covariates, notes = task.covariates()
    own, formula = task.fitted(True, covariates)
    table, alpha = task.crossed(own), task.settings.alpha
    population = LIKE_THESE if task.settings.languages == "random" else TESTED
    if not own.converged:
        notes.append("the optimiser stopped before the gradient vanished: read the intervals with care")
    if not checks:
        return Result(task.outcome, table, REML, formula, own, notes=tuple(notes), design=task.layout,
                      population=population)  # fmt: skip
    pooled, _ = task.fitted(False, covariates)
    if not pooled.converged:
        notes.append("the model with one run variance did not converge: disregard its row among the checks")
    others = {REML: table, POOLED: task.crossed(pooled), PAIRED: task.paired(differences)}
    if task.outcome.name.split(":")[0] == "stability" and (accuracy := _accuracy(task)) is not None:
        try:
            others[ACCURACY] = task.crossed(task.fitted(True, {**covariates, "accuracy": accuracy}, own.theta)[0])
        except mixed.ModelError as error:
            notes.append(f"no model with accuracy as covariate: {error}")
    outliers, without = _without_outliers(task, True, covariates)
    if without is not None:
        others[OUTLIERS] = without
    return Result(
        task.outcome, table, REML, formula, own, pooled, _f_tests(own, task.layout),
        _sensitivity(task, others, run_scores), effects.mixed_means(own, task.layout, alpha),
        effects.mixed_pairs(own, task.layout, alpha), tuple(notes), task.layout,
        population, outliers, () if without is None else _parted(table, without, alpha),
    )  # fmt: skip


def _paired_result(task: _Task, run_scores: pd.DataFrame, differences: pd.DataFrame, checks: bool) -> Result:
    """Paired differences, with what stands beside them where `checks`."""
    table, alpha = task.paired(differences), task.settings.alpha
    formula = "difference from the control ~ method, within blocks"
    if not checks:
        return Result(task.outcome, table, PAIRED, formula, design=task.layout)
    others = {PAIRED: table}
    outliers, without = _without_outliers(task, False, {})
    if without is not None:
        others[OUTLIERS] = without
    notes = [f"{name} is no term of paired differences" for name in task.settings.covariates]
    return Result(
        task.outcome, table, PAIRED, formula,
        f_tests=paired.hotelling(differences), sensitivity=_sensitivity(task, others, run_scores),
        means=effects.run_level_means(run_scores, task.layout, alpha),
        pairs=effects.run_level_pairs(run_scores, task.layout, alpha), notes=tuple(notes), design=task.layout,
        outliers=outliers, parted=() if without is None else _parted(table, without, alpha),
    )  # fmt: skip


def analyse(
    outcome: Outcome, study: StudyData, settings: AnalysisSettings, crossed: bool = True, checks: bool = True
) -> Result:
    """Contrasts of every method against the control, per arch x size and averaged over them.

    Run x language scores get the crossed model where seeds and languages repeat, everything else (and everything
    when not `crossed`) the paired t on run means. Without `checks` the contrasts are all that is worked out: no
    sensitivity, means or pairs.
    """
    frame = outcome.frame
    layout = Layout.of(frame, study, settings.control)
    task = _Task(outcome, study, settings, layout)
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
            result = _crossed_result(task, run_scores, differences, checks)
        except mixed.ModelError as error:
            notes.append(f"no crossed model: {error}; paired differences are reported instead")
    if result is None:
        if not repeats:
            notes.append("one seed: no run repeats another, so there are differences but no intervals")
        result = _paired_result(task, run_scores, differences, checks)
    table = result.contrasts.assign(outcome=outcome.name, measure=outcome.measure, procedure=result.procedure)
    table["contrast"] = table["method"] + " - " + settings.control
    # Only the averaged contrasts of the declared outcomes were chosen before the data were seen.
    declared = table["method"].map(lambda method: settings.declared(outcome.name, method)).astype(bool)
    table["exploratory"] = ~is_average(table) | ~declared
    table["language"] = AVERAGE
    table["mde"] = detectable(table["se"], table["df"], settings.alpha, table["tests"])
    table["standardised"] = table["estimate"] / table["method"].map(effects.spread_of_differences(differences))
    table = table[[*COLUMNS, "method", "mde", "standardised"]]
    return replace(result, contrasts=table, notes=(*notes, *result.notes))


def fixed_effects(result: Result, study: StudyData, settings: AnalysisSettings) -> np.ndarray:
    """Columns of the fixed effects behind `result.fit` [n, p], for another program to judge."""
    layout = result.design or Layout.of(result.outcome.frame, study, settings.control)
    covariates, _ = _Task(result.outcome, study, settings, layout).covariates()
    return crossed_design(result.outcome, study, layout, settings, True, covariates).x


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dictionaries."""
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
