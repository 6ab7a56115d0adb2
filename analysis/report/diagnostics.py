"""How far the models can be trusted, in plain sentences. Nothing here computes a statistic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis import names
from analysis.contrasts.estimate import Result, rows
from analysis.contrasts.verdict import LOWERED, OPEN, RAISED, verdict
from analysis.sensitivity.influence import Influence
from analysis.sensitivity.statsmodels_check import Confirmation
from analysis.settings import AnalysisSettings
from analysis.wording import capital, join, method_name


def sensitivity_phrase(result: Result, settings: AnalysisSettings) -> str:
    """Whether the other analyses of an outcome find the same methods as the main one; empty where there is none."""
    said: dict[str, dict[str, str]] = {}
    for row in rows(result.sensitivity.dropna(subset=["p_adjusted"])) if len(result.sensitivity) else []:
        found = verdict({"p_equivalent": np.nan, **row}, settings.alpha)
        said.setdefault(str(row["analysis"]), {})[str(row["method"])] = found if found in (RAISED, LOWERED) else OPEN
    main = said.pop(result.procedure, {})
    if not main or not said:
        return ""
    apart = {
        analysis: [m for m, found in other.items() if found != main.get(m, found)] for analysis, other in said.items()
    }
    parted = {analysis: methods for analysis, methods in apart.items() if methods}
    differing = [method_name(m) for m, found in main.items() if found != OPEN]
    if not parted:
        if not differing:
            return f"no method differs significantly from the control in any of {len(said) + 1} analyses"
        verb = "differs" if len(differing) == 1 else "differ"
        return f"{join(differing)} {verb} significantly from the control in all {len(said) + 1} analyses"
    same = len(said) - len(parted)
    agree = f"{same} of {len(said)} other analyses agree{'s' if same == 1 else ''}"
    told = [f"otherwise for {join([method_name(m) for m in methods])} in “{a}”" for a, methods in parted.items()]
    return "; ".join([agree, *told])


def zero_phrase(result: Result, boundary: pd.DataFrame) -> str:
    """Names the variances that were estimated at zero, and what is found without leaning on that.

    Args:
        result: of the outcome.
        boundary: `boundary.COLUMNS`.
    """
    if result.fit is None:
        return ""
    table = result.fit.variance_table()
    zero = [component(str(name)) for name in table.loc[table["zero"], "component"]]
    if not zero:
        return ""
    text = f"estimated at zero: {join(zero)}"
    here = boundary[boundary["outcome"] == result.outcome.name] if len(boundary) else boundary
    if here.empty:
        return f"{text}, so intervals that rest on {'it' if len(zero) == 1 else 'them'} may be too narrow"
    lost = [method_name(r["method"]) for r in rows(here) if r["found"] and not (r["found_anova"] and r["found_limit"])]
    if lost:
        return f"{text}; not every check that leans on no such zero finds {join(lost)}"
    return f"{text}; checks that lean on no such zero find the same"


def component(name: str) -> str:
    """A variance component with the method's label in place of its key: 'run fd' is 'run FD'."""
    kind, _, method = name.partition(" ")
    return f"{kind} {names.label(method)}" if kind == "run" and method else name


def bound_phrase(result: Result) -> str:
    """Says where the search for the variances ended badly."""
    if result.fit is None:
        return ""
    table = zip((*result.fit.names, "residual"), result.fit.bound, strict=True)
    high = [component(name) for name, at_bound in table if at_bound]
    parts = [] if result.fit.converged else ["the optimiser did not converge"]
    return "; ".join(parts + ([f"at the upper bound of the search: {join(high)}"] if high else []))


def scope_notes(result: Result) -> list[str]:
    """What a result cannot speak of for want of languages."""
    if result.outcome.by_language and result.outcome.frame["language"].nunique() == 1:
        return ["one language: runs are compared, and nothing is said about other languages"]
    return []


def influence_phrase(found: Influence | None, result: Result) -> str:
    """How far the averaged differences move when one language or one seed is left out."""
    if found is None:
        return ""
    estimates = result.marginal().set_index("method")["estimate"]
    parts = []
    for what, table in (("language", found.languages), ("seed", found.seeds)):
        if table.empty:
            continue
        moved = (table["estimate"] - table["method"].map(estimates)).abs()
        row = table.iloc[int(moved.to_numpy().argmax())]
        where = f"seed {row['left_out']}" if what == "seed" else names.language(str(row["left_out"]))
        turned = sorted({str(m) for m, e in zip(table["method"], table["estimate"], strict=True)
                         if np.sign(e) != np.sign(estimates[m])})  # fmt: skip
        text = f"{moved.max():.2f} points without any one {what} ({method_name(str(row['method']))} without {where})"
        if turned:
            text += f", and the sign of {join([method_name(m) for m in turned])} depends on it"
        parts.append(text)
    return f"differences move by at most {' and '.join(parts)}" if parts else ""


def outcome_check(
    result: Result, influence: Influence | None, boundary: pd.DataFrame, settings: AnalysisSettings
) -> str:
    """What the checks of one outcome say, in one line; empty where there is none."""
    parts = [sensitivity_phrase(result, settings), influence_phrase(influence, result), zero_phrase(result, boundary),
             bound_phrase(result)]  # fmt: skip
    text = "; ".join(part for part in parts if part)
    return f"{capital(result.outcome.label)}: {text}." if text else ""


def confirmation_sentences(found: Mapping[str, Confirmation], results: Mapping[str, Result]) -> list[str]:
    """What statsmodels says of the models: one line for those that it confirms, one for each other."""
    agreeing = {n: c for n, c in found.items() if c.agrees}
    lines = [confirmation_sentence(c, results[n].outcome.label) for n, c in found.items() if not c.agrees]
    if agreeing:
        models = f"model{'s' if len(agreeing) > 1 else ''} of {join([results[n].outcome.label for n in agreeing])}"
        away, apart = (max(getattr(c, name) for c in agreeing.values()) for name in ("estimate", "criterion"))
        lines.insert(
            0,
            f"statsmodels MixedLM confirms the reported {models}: fixed effects differ by at most {away:.1e} standard "
            f"errors, the log-likelihood by {apart:.1e}, and it finds no better variances.",
        )
    return lines


def confirmation_sentence(found: Confirmation, label: str) -> str:
    """What statsmodels says of one model that it does not confirm, or was not asked about."""
    if not found.ran:
        return f"{capital(label)}: statsmodels was not asked about the reported model: {found.reason}."
    return (
        f"{capital(label)}: statsmodels MixedLM does NOT confirm the reported model: "
        f"fixed effects differ by at most {found.estimate:.1e} standard errors, standard errors by {found.se:.1e} "
        f"(relative), the log-likelihood by {found.criterion:.1e}, and it finds "
        f"{'no better' if found.optimum else 'better'} variances."
    )
