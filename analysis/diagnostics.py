"""How far the models can be trusted, in plain sentences. Nothing here computes a statistic."""

from __future__ import annotations

import numpy as np

from analysis.confirm import Confirmation
from analysis.contrasts import Result
from analysis.influence import Influence
from analysis.settings import Settings
from analysis.wording import capital, join, method_name, p_value


def sensitivity_sentence(result: Result, settings: Settings) -> str:
    """Whether the analyses of one outcome agree about every method."""
    table = result.sensitivity
    if table.empty:
        return ""
    split = []
    for method, rows in table.groupby("method", sort=False):
        known = rows.dropna(subset=["p_adjusted"])
        if known.empty:
            continue
        says = {("differs" if p < settings.alpha else "open", np.sign(e)) for p, e in
                zip(known["p_adjusted"], known["estimate"], strict=True)}  # fmt: skip
        if len({kind for kind, _ in says}) > 1 or (("differs", 1.0) in says and ("differs", -1.0) in says):
            parts = [f"{p_value(p)} by {a}" for p, a in zip(known["p_adjusted"], known["analysis"], strict=True)]
            split.append(f"{method_name(str(method))} ({'; '.join(parts)})")
    label = capital(result.outcome.label)
    if split:
        return f"{label}: the analyses disagree about {join(split)}. The first is the main one."
    count, differing = (
        table["analysis"].nunique(),
        sorted(set(table.loc[table["p_adjusted"] < settings.alpha, "method"])),
    )
    if not differing:
        return f"{label}: no method differs significantly from the control in any of {count} analyses."
    names = join([method_name(m) for m in dict.fromkeys(table["method"]) if m in differing])
    return f"{label}: {names} differ{'s' if len(differing) == 1 else ''} from the control in all {count} analyses."


def variance_sentence(result: Result) -> str:
    """Names the variances that were estimated at zero, or says that none was."""
    if result.fit is None:
        return ""
    table = result.fit.variance_table()
    zero = list(table.loc[table["zero"], "component"])
    if not zero:
        return "All variances are away from zero."
    which = "it" if len(zero) == 1 else "them"
    return f"Estimated at zero: {join(zero)}. Intervals that rest on {which} may be too narrow."


def scope_notes(result: Result) -> list[str]:
    """What a result cannot speak of for want of languages."""
    if result.outcome.by_language and result.outcome.frame["language"].nunique() == 1:
        return ["one language: runs are compared, and nothing is said about other languages"]
    return []


def bound_sentence(result: Result) -> str:
    """How the search for the variances ended."""
    if result.fit is None:
        return ""
    table = zip((*result.fit.names, "residual"), result.fit.bound, strict=True)
    high = [name for name, at_bound in table if at_bound]
    text = "The optimiser converged." if result.fit.converged else (
        "The optimiser did not converge: read the intervals with care."
    )  # fmt: skip
    return text + (f" At the upper bound of the search: {join(high)}." if high else "")


def confirmation_sentence(found: Confirmation, label: str) -> str:
    if not found.ran:
        return f"{label}: statsmodels was not asked about the reported model: {found.reason}."
    word = "confirms" if found.agrees else "does NOT confirm"
    return (
        f"{label}: statsmodels MixedLM {word} the reported model, {found.model}. At our optimum its fixed effects "
        f"differ by at most {found.estimate:.1e} standard errors, standard errors by {found.se:.1e} (relative), the "
        f"log-likelihood by {found.criterion:.1e}, and it finds "
        f"{'no better variances beside it' if found.optimum else 'better variances beside it'}."
    )


def influence_sentence(found: Influence | None, result: Result) -> str:
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
        where = f"seed {row['left_out']}" if what == "seed" else row["left_out"]
        turned = sorted({str(m) for m, e in zip(table["method"], table["estimate"], strict=True)
                         if np.sign(e) != np.sign(estimates[m])})  # fmt: skip
        text = (
            f"without any one {what} no difference moves by more than {moved.max():.2f} points "
            f"({method_name(str(row['method']))} without {where})"
        )
        if turned:
            text += f", and the sign of {join([method_name(m) for m in turned])} depends on it"
        parts.append(text)
    if not parts:
        return ""
    text = "; ".join(parts) + "."
    return f"Leave one out: {text}"
