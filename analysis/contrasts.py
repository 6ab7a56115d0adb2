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

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis import mixed
from analysis.frames import Outcome, Study
from analysis.settings import Settings

COLUMNS = [
    "outcome", "arch", "size", "contrast", "estimate", "se", "df", "ci_low", "ci_high", "p", "p_adjusted",
    "procedure", "exploratory",
]  # fmt: skip
"""Columns of tables/contrasts.csv, in this order."""

AVERAGE = "average"
"""Value of arch and size in a contrast averaged over all of them."""

REML = "crossed REML, run variance per method, Satterthwaite t"
POOLED = "crossed REML, one run variance, Satterthwaite t"
PAIRED = "paired t within blocks"

Cell = tuple[str, str]


@dataclass(frozen=True)
class Result:
    """The analysis of one outcome. `contrasts` has COLUMNS and method, mde (80 % power), p_equivalent (TOST)."""

    outcome: Outcome
    contrasts: pd.DataFrame
    procedure: str
    formula: str
    fit: mixed.MixedFit | None = None
    pooled: mixed.MixedFit | None = None
    f_tests: dict[str, tuple[float, int, float, float]] = field(default_factory=dict)
    sensitivity: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()
    design: Layout | None = None

    def marginal(self) -> pd.DataFrame:
        """The contrasts averaged over architectures and sizes."""
        return self.contrasts[self.contrasts["arch"] == AVERAGE].reset_index(drop=True)


@dataclass(frozen=True)
class Layout:
    """Which methods ran in which arch x size, and the columns of the cell-means design."""

    control: str
    methods: tuple[str, ...]  # without the control
    places: tuple[Cell, ...]  # arch x size
    columns: tuple[tuple[str, str, str], ...]  # (arch, size, method) with at least one run

    @classmethod
    def of(cls, frame: pd.DataFrame, study: Study, control: str) -> Layout:
        seen = set(zip(frame["arch"], frame["size"], frame["method"], strict=True))
        columns = [(a, s, m) for a in study.archs for s in study.sizes for m in study.methods if (a, s, m) in seen]
        places = list(dict.fromkeys((a, s) for a, s, _ in columns))
        return cls(control, tuple(m for m in study.methods if m != control), tuple(places), tuple(columns))

    def shared(self, method: str) -> list[Cell]:
        """Places in which both the method and the control ran."""
        return [c for c in self.places if (*c, method) in self.columns and (*c, self.control) in self.columns]

    def row(self, method: str, place: Cell, width: int) -> np.ndarray:
        row = np.zeros(width)
        row[self.columns.index((*place, method))] = 1.0
        row[self.columns.index((*place, self.control))] = -1.0
        return row

    def average(self, method: str, width: int) -> np.ndarray:
        return np.asarray(np.mean([self.row(method, place, width) for place in self.shared(method)], axis=0))


def dunnett(t: np.ndarray, df: np.ndarray, correlation: np.ndarray, power: int = 14) -> np.ndarray:
    """Single-step p values of |t| [m] under a multivariate t of the given correlation [m, m].

    Each contrast uses its own degrees of freedom, as R's emmeans does. With Z normal and s = chi / sqrt(df),
    P(max |Z| / s > t) = E[P(s < max |Z| / t)]: the outer mean runs over 2^power scrambled Sobol points, the
    inner probability is exact. The result is held within its exact bounds, the plain p and Bonferroni's.
    """
    size, value = len(t), np.abs(t)
    plain = np.asarray(2 * stats.t.sf(value, df))
    if size == 1:
        return plain
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    uniform = stats.qmc.Sobol(size, rng=np.random.default_rng(0)).random_base2(power)
    normal = stats.norm.ppf(np.clip(uniform, 1e-12, 1 - 1e-12))
    largest = np.abs(normal @ root.T).max(axis=1)
    floor = np.maximum(value, 1e-12)
    raw = [float(stats.chi2.cdf(nu * (largest / v) ** 2, nu).mean()) for v, nu in zip(floor, df, strict=True)]
    return np.asarray(np.clip(raw, plain, np.minimum(1.0, plain * size)))


def _finish(raw: pd.DataFrame, families: list[tuple[list[int], np.ndarray]], alpha: float, points: float) -> None:
    """Add interval, p, adjusted p, smallest detectable effect and equivalence p to `raw`, in place."""
    se, df, estimate = (raw[c].to_numpy(dtype=float) for c in ("se", "df", "estimate"))
    known = np.isfinite(se) & np.isfinite(df) & (se > 0)
    nu = np.where(known, df, 1.0)
    scale = np.where(known, se, np.nan)
    half = stats.t.isf(alpha / 2, nu) * scale
    raw["ci_low"], raw["ci_high"] = estimate - half, estimate + half
    t = estimate / scale
    raw["p"] = 2 * stats.t.sf(np.abs(t), nu)
    raw["mde"] = (stats.t.isf(alpha / 2, nu) + stats.t.isf(0.2, nu)) * scale
    raw["p_equivalent"] = np.maximum(
        stats.t.sf((estimate + points) / scale, nu), stats.t.cdf((estimate - points) / scale, nu)
    )
    adjusted = np.full(len(raw), np.nan)
    for rows, correlation in families:
        index = np.array(rows)
        good = known[index]
        if good.any():
            kept = index[good]
            adjusted[kept] = dunnett(t[kept], nu[kept], correlation[np.ix_(good, good)])
    raw["p_adjusted"] = adjusted


def _correlation(cov: np.ndarray) -> np.ndarray:
    sd = np.sqrt(np.diag(cov))
    return np.asarray(cov / np.outer(sd, sd))


def _places(layout: Layout) -> list[Cell]:
    """Rows of the contrast table: the average first, then each place if there are several."""
    return [(AVERAGE, AVERAGE), *(layout.places if len(layout.places) > 1 else ())]


def crossed_model(
    outcome: Outcome, study: Study, layout: Layout, settings: Settings, own: bool
) -> tuple[mixed.MixedFit, str]:
    """Fit the crossed model of run x language scores; returns it and its formula in words.

    Columns of the design are the cell means of arch x size x method, which span method * arch * size; with
    languages as fixed effects, sum-to-zero columns for languages and for language x method follow, so that the
    cell means stay averages over languages.

    Raises:
        mixed.ModelError: the scores cannot carry the model.
    """
    frame = outcome.frame
    key = pd.MultiIndex.from_frame(frame[["arch", "size", "method"]])
    x = np.column_stack([key == column for column in layout.columns]).astype(float)
    block = frame["arch"] + "|" + frame["size"] + "|" + frame["seed"].astype(str)
    many = [f for f in ("arch", "size") if frame[f].nunique() > 1]
    formula = "score ~ " + " * ".join(["method", *many])
    terms = []
    if block.nunique() > len(layout.places):
        terms.append(mixed.Term.of("block", block))
        formula += " + (1 | block)"
    if own:
        present = [m for m in study.methods if (frame["method"] == m).any()]
        terms += [mixed.Term.of(f"run {m}", frame["cell"], (frame["method"] == m).to_numpy()) for m in present]
        formula += " + (1 | run), own variance per method"
    else:
        terms.append(mixed.Term.of("run", frame["cell"]))
        formula += " + (1 | run)"
    if settings.languages == "random":
        terms.append(mixed.Term.of("language", frame["language"]))
        terms.append(mixed.Term.of("language:method", frame["language"] + "|" + frame["method"]))
        formula += " + (1 | language) + (1 | language:method)"
    else:
        x = np.hstack([x, _language_columns(frame, layout)])
        formula = formula.replace(" * ".join(["method", *many]), f"{' * '.join(['method', *many])} + language * method")
    return mixed.fit(frame["score"], x, terms), formula


def _language_columns(frame: pd.DataFrame, layout: Layout) -> np.ndarray:
    """Sum-to-zero columns of language, and of its product with each method but the control."""
    codes, levels = pd.factorize(frame["language"], sort=True)
    basis = np.vstack([np.eye(len(levels) - 1), -np.ones(len(levels) - 1)])[codes]
    products = [basis * (frame["method"] == m).to_numpy()[:, None] for m in layout.methods]
    return np.hstack([basis, *products])


def _mixed_contrasts(
    fit: mixed.MixedFit, layout: Layout, alpha: float, points: float
) -> tuple[pd.DataFrame, dict[str, tuple[float, int, float, float]]]:
    width = len(fit.beta)
    records, vectors, families = [], [], []
    for place in _places(layout):
        rows = []
        for method in layout.methods:
            shared = layout.shared(method)
            if not shared or (place[0] != AVERAGE and place not in shared):
                continue
            rows.append(len(records))
            records.append({"arch": place[0], "size": place[1], "method": method})
            average = place[0] == AVERAGE
            vectors.append(layout.average(method, width) if average else layout.row(method, place, width))
        if rows:
            matrix = np.array([vectors[i] for i in rows])
            families.append((rows, _correlation(matrix @ fit.cov @ matrix.T)))
    raw = pd.DataFrame(records).join(fit.contrast(np.array(vectors)))
    _finish(raw, families, alpha, points)
    average_rows = [layout.average(m, width) for m in layout.methods if layout.shared(m)]
    tests = {"method": fit.f_test(np.array(average_rows))}
    differing = [
        layout.row(m, place, width) - layout.row(m, layout.shared(m)[0], width)
        for m in layout.methods
        for place in layout.shared(m)[1:]
    ]
    if differing:
        tests["method x (arch, size)"] = fit.f_test(np.array(differing))
    return raw, tests


def paired_differences(scores: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Differences from the control within blocks.

    Args:
        scores: one row a run: arch, size, method, seed and score.

    Returns:
        A frame indexed by (arch, size, seed) with a column for each method; empty where a run is missing.
    """
    wide = scores.pivot_table(index=["arch", "size", "seed"], columns="method", values="score", observed=True)
    present = [m for m in layout.methods if m in wide.columns]
    return wide[present].sub(wide[layout.control], axis=0).dropna(how="all")


def _paired_contrasts(differences: pd.DataFrame, layout: Layout, alpha: float, points: float) -> pd.DataFrame:
    records, families = [], []
    by_place = differences.groupby(["arch", "size"])
    residuals = differences - by_place.transform("mean")
    counts = by_place.count()
    df = {m: int((counts[m] - 1).clip(lower=0).sum()) for m in differences.columns}
    sd = {m: float(np.sqrt((residuals[m] ** 2).sum() / df[m])) if df[m] > 0 else np.nan for m in differences.columns}
    for place in _places(layout):
        rows, methods = [], []
        for method in differences.columns:
            n = counts.loc[counts[method] > 0, method]
            means = by_place[method].mean()
            if place[0] == AVERAGE:
                estimate, factor = float(means[n.index].mean()), float(np.sqrt((1 / n).sum()) / max(len(n), 1))
            elif place in n.index:
                estimate, factor = float(means.loc[place]), float(1 / np.sqrt(n.loc[place]))
            else:
                continue
            rows.append(len(records))
            methods.append(method)
            records.append({"arch": place[0], "size": place[1], "method": method, "estimate": estimate,
                            "se": sd[method] * factor, "df": float(df[method]) if df[method] else np.nan})  # fmt: skip
        # The correlation is estimated where the residuals can carry it; else Dunnett's 1/2 for equal variances.
        if min(df[m] for m in methods) >= 10 and all(sd[m] > 0 for m in methods):
            correlation = residuals[methods].corr(min_periods=3).fillna(0.5).to_numpy()
        else:
            correlation = np.full((len(methods), len(methods)), 0.5) + 0.5 * np.eye(len(methods))
        families.append((rows, correlation))
    raw = pd.DataFrame(records)
    _finish(raw, families, alpha, points)
    return raw


def _sensitivity(analyses: dict[str, Callable[[], pd.DataFrame]]) -> pd.DataFrame:
    """The averaged contrasts under several analyses; columns analysis, method, estimate, ci_low, ci_high, p."""
    parts = []
    for name, run in analyses.items():
        raw = run()
        average = raw.loc[raw["arch"] == AVERAGE, ["method", "estimate", "ci_low", "ci_high", "p"]]
        parts.append(average.assign(analysis=name))
    return pd.concat(parts, ignore_index=True)


def analyse(outcome: Outcome, study: Study, settings: Settings) -> Result:
    """Contrasts of every method against the control, per arch x size and averaged over them.

    Run x language scores get the crossed model where seeds and languages repeat, everything else the paired t.
    """
    frame, alpha, points = outcome.frame, settings.alpha, settings.smallest(outcome.name)
    layout = Layout.of(frame, study, settings.control)
    notes = [
        f"{m}: averaged over {len(layout.shared(m))} of {len(layout.places)} combinations of architecture and size, "
        "the others lack the method or the control"
        for m in layout.methods
        if len(layout.shared(m)) < len(layout.places)
    ]
    run_scores = frame.groupby(["arch", "size", "method", "seed"], as_index=False)["score"].mean()
    differences = paired_differences(run_scores, layout)
    paired = _paired_contrasts(differences, layout, alpha, points)
    repeats = len(run_scores) > len(layout.columns)
    result: Result | None = None
    if outcome.by_language and frame["language"].nunique() > 1 and repeats:
        try:
            own, formula = crossed_model(outcome, study, layout, settings, own=True)
            pooled, _ = crossed_model(outcome, study, layout, settings, own=False)
            raw, tests = _mixed_contrasts(own, layout, alpha, points)
            if not own.converged:
                notes.append("the optimiser stopped before the gradient vanished: read the intervals with care")
            sensitivity = _sensitivity({
                REML: lambda: raw,
                POOLED: lambda: _mixed_contrasts(pooled, layout, alpha, points)[0],
                PAIRED + " (run means: these languages only)": lambda: paired,
            })  # fmt: skip
            result = Result(outcome, raw, REML, formula, own, pooled, tests, sensitivity, design=layout)
        except mixed.ModelError as error:
            notes.append(f"no crossed model: {error}; paired differences are reported instead")
    if result is None:
        if not repeats:
            notes.append("one seed: no run repeats another, so there are differences but no intervals")
        formula = "difference from the control ~ method, within blocks"
        result = Result(outcome, paired, PAIRED, formula, f_tests=_hotelling(differences), design=layout)
    table = result.contrasts.assign(outcome=outcome.name, procedure=result.procedure)
    table["contrast"] = table["method"] + " - " + settings.control
    # Only the averaged contrasts of the declared outcomes were chosen before the data were seen.
    table["exploratory"] = (table["arch"] != AVERAGE) | (outcome.name not in settings.primary)
    table = table[[*COLUMNS, "method", "mde", "p_equivalent"]]
    return replace(result, contrasts=table, notes=tuple(notes))


def _hotelling(differences: pd.DataFrame) -> dict[str, tuple[float, int, float, float]]:
    """Hotelling's test that no method differs from the control, on complete blocks; empty if they are too few."""
    complete = differences.dropna()
    if complete.empty:
        return {}
    by_place = complete.groupby(["arch", "size"])
    nu, k = len(complete) - by_place.ngroups, complete.shape[1]
    if nu < k:
        return {}
    residuals = (complete - by_place.transform("mean")).to_numpy()
    cov = residuals.T @ residuals / nu * float((1 / by_place.size()).sum()) / by_place.ngroups**2
    mean = by_place.mean().mean().to_numpy()
    if np.linalg.matrix_rank(cov) < k:
        return {}
    f = float(mean @ np.linalg.solve(cov, mean)) * (nu - k + 1) / (k * nu)
    return {"method": (f, k, float(nu - k + 1), float(stats.f.sf(f, k, nu - k + 1)))}


def holm(p: list[float]) -> list[float]:
    """Holm-adjusted p values; empty in, empty out."""
    return [float(v) for v in multipletests(p, method="holm")[1]] if p else []
