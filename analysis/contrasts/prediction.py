"""Where a method's difference from the control would lie in a new language, or in a new architecture and size.

A confidence interval of the averaged difference narrows as languages are added; the difference in the next language
does not become more certain than languages are alike. Its variance is that of the estimate, and twice the variances of
language:method and, over the places studied, of language:place:method (twice, for method and control): what the method
gains there in the long run, without the noise of its runs. Degrees of freedom are Satterthwaite's of the sum, from the
curvature of the same fit; the interval is Student's (Higgins, Thompson and Spiegelhalter 2009, J. R. Statist. Soc. A
172:137, for the like in meta-analysis, with k - 2 degrees of freedom in place of these).

In a new place the differences in the places studied are the sample: their variance, with what all of them have in
common added from the fit, on one degree of freedom fewer than places. It takes them for draws from one population,
which is asked of places only where there are at least FEWEST_PLACES of them with FEWEST_ARCHITECTURES architectures:
sizes of two architectures tell little of a third.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from analysis.contrasts.estimate import LIKE_THESE, Result
from analysis.contrasts.estimate import rows as as_rows
from analysis.mixed.design import Layout
from analysis.mixed.model import MixedFit
from analysis.names import label
from analysis.wording import count, percent, sign

COLUMNS = ["outcome", "measure", "method", "new", "estimate", "se", "df", "low", "high", "sd_between", "basis"]
"""One row per outcome, method and kind of `new` (LANGUAGE or PLACE), points.

se: of the prediction; low, high: where the difference in one new language or place lies, for one method at a time (not
simultaneous, and no interval for the average); sd_between: how far single languages or places lie from the average;
basis: languages or places behind it.
"""

LANGUAGE, PLACE = "language", "place"
FEWEST_LANGUAGES, FEWEST_PLACES, FEWEST_ARCHITECTURES = 4, 6, 3


def analyse(results: Mapping[str, Result], alpha: float) -> pd.DataFrame:
    """Prediction intervals of every outcome that has a crossed model: COLUMNS; no row where `withheld` has a reason."""
    found = []
    for name, result in results.items():
        fit, layout = result.fit, result.design
        if fit is None or layout is None:
            continue
        for method in (m for m in layout.methods if layout.shared(m)):
            both = {LANGUAGE: new_language, PLACE: new_place}
            for kind, work in both.items():
                if withheld(result, method, kind):
                    continue
                row = work(fit, layout, method)
                half = stats.t.isf(alpha / 2, row["df"]) * row["se"]
                found.append({"outcome": name, "measure": result.outcome.measure, "method": method, "new": kind,
                              "low": row["estimate"] - half, "high": row["estimate"] + half, **row})  # fmt: skip
    return pd.DataFrame(found, columns=COLUMNS)


def withheld(result: Result, method: str, kind: str) -> str:
    """Why a method has no prediction interval for a new language or place; empty where it has one."""
    fit, layout = result.fit, result.design
    if fit is None or layout is None:
        return "there is no crossed model of runs and languages"
    places = layout.shared(method)
    if kind == LANGUAGE:
        if result.population != LIKE_THESE:
            return "languages are fixed by declaration: the model knows no population to draw a new one from"
        languages = result.outcome.frame["language"].nunique()
        if languages < FEWEST_LANGUAGES:
            return f"{count(languages, 'language')} cannot say how far languages differ"
        return ""
    architectures = len({arch for arch, _ in places})
    if len(places) < FEWEST_PLACES or architectures < FEWEST_ARCHITECTURES:
        return (
            f"{count(len(places), 'place')} with {count(architectures, 'architecture')} are no sample of places; "
            f"at least {FEWEST_PLACES} with {FEWEST_ARCHITECTURES} architectures would be"
        )
    return ""


def new_language(fit: MixedFit, layout: Layout, method: str) -> dict[str, float]:
    """Estimate, se and df of the difference in a new language, averaged over the places studied."""
    vector = layout.average(method, len(fit.beta))
    names, places = [*fit.names, "residual"], len(layout.shared(method))
    weights = np.zeros(len(names))
    for i, name in enumerate(names):
        if name.startswith("language:") and name.endswith(":method"):
            weights[i] = 2.0 if name == "language:method" else 2.0 / places
    between = float(weights @ fit.variances)
    error, slope = fit.variance_gradient(vector)
    total, gradient = error + between, slope + weights
    spread = float(gradient @ fit.variance_cov @ gradient)
    languages = next(len(term.levels) for term in fit.terms if term.name == "language")
    # Variances that were all estimated at 0 leave the curvature silent: no more is known than of the languages.
    df = 2 * total**2 / spread if spread > 0 else float(languages - 1)
    return {
        "estimate": float(vector @ fit.beta), "se": float(np.sqrt(total)), "df": float(df),
        "sd_between": float(np.sqrt(between)), "basis": float(languages),
    }  # fmt: skip


def new_place(fit: MixedFit, layout: Layout, method: str) -> dict[str, float]:
    """Estimate, se and df of the difference that another place would show with as many seeds as those studied."""
    shared = layout.shared(method)
    rows = np.array([layout.row(method, place, len(fit.beta)) for place in shared])
    k, values, cov = len(shared), rows @ fit.beta, rows @ fit.cov @ rows.T
    between = float(values.var(ddof=1))
    # The spread of the places holds each one's own error, but none that they share.
    common = max(float(cov.sum() - np.trace(cov)) / (k * (k - 1)), 0.0)
    own = between * (1 + 1 / k)
    df_common = float(fit.contrast(rows.mean(axis=0))["df"].iloc[0])
    df = (own + common) ** 2 / (own**2 / (k - 1) + common**2 / df_common)
    return {
        "estimate": float(values.mean()), "se": float(np.sqrt(own + common)), "df": float(df),
        "sd_between": float(np.sqrt(between)), "basis": float(k),
    }  # fmt: skip


def sentences(table: pd.DataFrame, results: Mapping[str, Result], alpha: float) -> list[str]:
    """For each outcome where differences in a new language lie; and why there are none, for languages or places."""
    out = []
    for name, result in results.items():
        part = table[(table["outcome"] == name) & (table["new"] == LANGUAGE)]
        if len(part):
            said = [f"{label(r['method'])} {sign(r['low'])} to {sign(r['high'])}" for r in as_rows(part)]
            out.append(
                f"{name}: in one new language the difference from the control lies within "
                f"{'; '.join(said)} points ({percent(alpha)} prediction intervals)."
            )
        methods = [] if result.design is None else [m for m in result.design.methods if result.design.shared(m)]
        for kind in (LANGUAGE, PLACE):
            reasons = dict.fromkeys(r for m in methods if (r := withheld(result, m, kind)))
            out += [f"{name}: no prediction for a new {kind}: {reason}." for reason in reasons]
    return out
