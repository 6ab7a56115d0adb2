"""What a method gave one language, with estimates drawn together as far as the data say they are alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis.data.load import Outcome
from analysis.mixed.design import Layout
from analysis.mixed.model import MixedFit

COLUMNS = ["language", "method", "estimate", "low", "high", "observed"]


def language_differences(fit: MixedFit, outcome: Outcome, layout: Layout, alpha: float) -> pd.DataFrame:
    """Differences from the control in every language, averaged over architectures and sizes.

    The best linear unbiased prediction: the contrast of the fixed effects plus that of the random effects of
    language x method (x architecture x size). Empty where languages are fixed.

    Returns:
        `COLUMNS`: prediction and its interval (normal, variances taken as known), and the plain mean of the
        paired differences.
    """
    if not any(term.name == "language:method" for term in fit.terms):
        return pd.DataFrame(columns=COLUMNS)
    frame = outcome.frame
    fine = next((t.name for t in fit.terms if t.name.startswith("language:") and t.name.endswith(":method")
                 and t.name != "language:method"), None)  # fmt: skip
    factors = fine.split(":")[1:-1] if fine else []
    plain = frame.pivot_table(index=["language", "arch", "size", "seed"], columns="method", values="score")
    records, fixed, random = [], [], []
    for language in sorted(set(frame["language"])):
        for method in layout.methods:
            shared = layout.shared(method)
            if not shared or method not in plain.columns or language not in plain.index:
                continue
            vector = np.zeros(len(fit.effects))
            for sign, which in ((1.0, method), (-1.0, layout.control)):
                _add(vector, fit, "language:method", f"{language}|{which}", sign)
                for arch, size in shared if fine else ():
                    place = "|".join({"arch": arch, "size": size}[factor] for factor in factors)
                    _add(vector, fit, fine or "", f"{language}|{place}|{which}", sign / len(shared))
            gap = (plain.loc[language, method] - plain.loc[language, layout.control]).dropna()
            observed = gap.groupby(["arch", "size"]).mean().mean() if len(gap) else np.nan
            records.append({"language": language, "method": method, "observed": float(observed)})
            fixed.append(layout.average(method, len(fit.beta)))
            random.append(vector)
    found = fit.predict(np.array(fixed), np.array(random))
    half = stats.norm.isf(alpha / 2) * found["se"]
    table = pd.DataFrame(records).assign(
        estimate=found["estimate"], low=found["estimate"] - half, high=found["estimate"] + half
    )
    return table[COLUMNS]


def _add(vector: np.ndarray, fit: MixedFit, term: str, level: str, weight: float) -> None:
    column = fit.column(term, level)
    if column is not None:
        vector[column] += weight
