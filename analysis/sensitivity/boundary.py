"""Variances that REML puts at 0: do the findings hang on it?

With two or three seeds a variance is often estimated at 0 though it is not, and then no error is reckoned for what it
stands for. Two checks beside the main interval do not lean on REML. The first is an analysis of variance of the paired
differences by block and language, of one method at a time: with A the variance of the language means over their
number, B that of the block means within places likewise, and C the part of single scores that both hold, the average's
variance is A + B - C, taken as at least the larger of A and B, so that nothing is set to 0 (Searle, Casella and
McCulloch 1992, ch. 4; Welch-Satterthwaite degrees of freedom). The second puts what is at 0 to its upper 95 % limit,
from the chi-square of the same mean squares: far to the other side, and a finding that stands there owes nothing to
the 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.contrasts.estimate import LIKE_THESE, Result, rows
from analysis.mixed.design import Layout
from analysis.names import label
from analysis.wording import join

COLUMNS = [
    "outcome", "measure", "method", "zero", "estimate", "se", "estimate_anova", "se_anova", "df_anova", "se_limit",
    "found", "found_anova", "found_limit",
]  # fmt: skip
"""One row per outcome with random languages and method, points.

zero: the variances in the difference that are estimated at 0, by commas, "" where none is; estimate, se: of the
averaged contrast in tables/contrasts.csv; estimate_anova, se_anova, df_anova: of the analysis of variance, over
languages that all its blocks have; se_limit: with what is at 0 at its upper limit (se where nothing is); found,
found_anova, found_limit: whether 0 is left out at the main, simultaneous level.
"""

LIMIT = 0.05
"""1 minus the level of the upper limits."""


@dataclass(frozen=True)
class MeanSquares:
    """Two-way analysis of variance of paired differences: the parts of the average's variance, squared points.

    languages, blocks, noise: A, B and C above, each with its degrees of freedom.
    """

    estimate: float
    languages: float
    blocks: float
    noise: float
    df_languages: int
    df_blocks: int
    df_noise: int

    @property
    def variance(self) -> float:
        return max(self.languages + self.blocks - self.noise, self.languages, self.blocks)

    @property
    def df(self) -> float:
        """Welch and Satterthwaite's; of the larger part alone where the other is no more than noise."""
        total = self.languages + self.blocks - self.noise
        if total <= max(self.languages, self.blocks):
            return float(self.df_languages if self.languages > self.blocks else self.df_blocks)
        spread = self.languages**2 / self.df_languages + self.blocks**2 / self.df_blocks + self.noise**2 / self.df_noise
        return total**2 / spread

    def limits(self, level: float = LIMIT) -> tuple[float, float]:
        """Upper limits of what blocks and languages add to the variance of the average beyond the noise."""
        upper = [
            df * value / float(stats.chi2.ppf(level, df))
            for value, df in ((self.blocks, self.df_blocks), (self.languages, self.df_languages))
        ]
        return max(upper[0] - self.noise, 0.0), max(upper[1] - self.noise, 0.0)


def mean_squares(places: Sequence[np.ndarray]) -> MeanSquares | None:
    """The analysis of variance of differences [blocks, languages] in each place.

    Returns:
        None where no place has two blocks, or where there is one language.
    """
    k, n = len(places), places[0].shape[1] if places else 0
    df_blocks = sum(len(d) - 1 for d in places)
    if df_blocks < 1 or n < 2:
        return None
    by_language = np.mean([d.mean(axis=0) for d in places], axis=0)
    centred = [d - d.mean(axis=0) for d in places]  # each language's mean in the place taken out
    by_block = sum(float((c.mean(axis=1) ** 2).sum()) for c in centred) / df_blocks
    rest = sum(float(((c - c.mean(axis=1, keepdims=True)) ** 2).sum()) for c in centred) / (df_blocks * (n - 1))
    share = sum(1 / len(d) for d in places) / k**2
    return MeanSquares(
        float(by_language.mean()), float(by_language.var(ddof=1)) / n, by_block * share, rest * share / n,
        n - 1, df_blocks, df_blocks * (n - 1),
    )  # fmt: skip


def analyse(results: Mapping[str, Result], alpha: float) -> pd.DataFrame:
    """Both checks of every averaged contrast whose languages are random: COLUMNS."""
    found = []
    for name, result in results.items():
        if result.fit is None or result.design is None or result.population != LIKE_THESE:
            continue
        wide = result.outcome.frame.pivot_table(
            index=["arch", "size", "seed", "language"], columns="method", values="score"
        )
        for row in rows(result.marginal()):
            squares = mean_squares(differences(wide, result.design, row["method"]))
            if squares is None or not np.isfinite(row["ci_high"]):
                continue
            found.append({"outcome": name, "measure": result.outcome.measure, "method": row["method"],
                          **_checked(row, result, squares, alpha)})  # fmt: skip
    return pd.DataFrame(found, columns=COLUMNS)


def differences(wide: pd.DataFrame, layout: Layout, method: str) -> list[np.ndarray]:
    """A method minus the control, [blocks, languages] in each place that has both.

    Args:
        wide: scores indexed by (arch, size, seed, language), a column for each method.
        layout: which methods ran where.
        method: the method.

    Returns:
        Only languages that all those blocks have; empty where there are none.
    """
    gap = (wide[method] - wide[layout.control]).unstack("language")
    gap = gap.dropna(how="all").dropna(axis=1, how="any")
    if gap.empty:
        return []
    return [part.to_numpy() for _, part in gap.groupby(level=["arch", "size"])]


def _checked(row: Mapping[str, float], result: Result, squares: MeanSquares, alpha: float) -> dict[str, object]:
    fit, layout = result.fit, result.design
    assert fit is not None
    assert layout is not None
    method, places = str(row["method"]), len(layout.shared(str(row["method"])))
    runs = (f"run {layout.control}", f"run {method}")
    by_language = [n for n in fit.names if n.startswith("language:") and n.endswith(":method")]
    zero = [n for n, at in zip(fit.names, fit.zero, strict=False) if at and n in (*runs, *by_language)]
    variances = dict(zip(fit.names, fit.variances, strict=False))
    upper_runs, upper_languages = squares.limits()
    added = 0.0
    if set(zero) & set(runs):
        share = _share(result, method)
        added += max(upper_runs - share * sum(float(variances.get(n, 0.0)) for n in runs), 0.0)
    if set(zero) & set(by_language):
        held = sum(float(variances[n]) * (2.0 if n == "language:method" else 2.0 / places) for n in by_language)
        added += max(upper_languages - held / (squares.df_languages + 1), 0.0)
    main = row["ci_high"] - row["estimate"]
    multiplier, t_main = main / row["se"], float(stats.t.isf(alpha / 2, row["df"]))
    se_anova, se_limit = float(np.sqrt(squares.variance)), float(np.sqrt(row["se"] ** 2 + added))
    # The family's multiplier, for the check's own degrees of freedom.
    reach = multiplier * float(stats.t.isf(alpha / 2, squares.df)) / t_main * se_anova
    return {
        "zero": ", ".join(zero), "estimate": row["estimate"], "se": row["se"], "estimate_anova": squares.estimate,
        "se_anova": se_anova, "df_anova": squares.df, "se_limit": se_limit, "found": abs(row["estimate"]) > main,
        "found_anova": abs(squares.estimate) > reach, "found_limit": abs(row["estimate"]) > multiplier * se_limit,
    }  # fmt: skip


def _share(result: Result, method: str) -> float:
    """What one run variance adds to the variance of the average: the mean of 1 / blocks over places, over places."""
    assert result.design is not None
    frame, shared = result.outcome.frame, result.design.shared(method)
    counts = frame[frame["method"] == method].groupby(["arch", "size"])["seed"].nunique()
    return float(sum(1 / counts[place] for place in shared)) / len(shared) ** 2


def sentences(table: pd.DataFrame) -> list[str]:
    """For each outcome with a variance at 0: what the checks find that do not set it to 0."""
    out = []
    for outcome, part in table.groupby("outcome", sort=False):
        here = part[part["zero"] != ""]
        if here.empty:
            continue
        zero = list(dict.fromkeys(name for text in here["zero"] for name in text.split(", ")))
        ratio = here["se_anova"] / here["se"]
        lost = [label(m) for m in here.loc[here["found"] & ~here["found_anova"], "method"]]
        far = [label(m) for m in here.loc[here["found"] & ~here["found_limit"], "method"]]
        said = [f"{outcome}: REML puts {'the variance' if len(zero) == 1 else 'variances'} of {join(zero)} at 0."]
        said.append(
            "An analysis of variance of the paired differences, which sets none to 0, has standard errors "
            f"{ratio.min():.2f} to {ratio.max():.2f} times as large"
            + (f" and does not find {join(lost)}." if lost else " and finds what the main one finds.")
        )
        if not here["found"].any():
            said[-1] = said[-1].replace(" and finds what the main one finds.", ".")
        elif far:
            said.append(f"At their upper 95 % limits {join(far)} would not be found.")
        else:
            said.append("At their upper 95 % limits every finding stands.")
        out.append(" ".join(said))
    return out
