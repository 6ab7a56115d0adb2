"""Scores of language pairs into scores of languages that do not depend on one another.

A symmetric score of two languages, averaged over the partners of a language, takes a part of every other language
into that language's row: rows that share their pairs are no independent languages, and standard errors that treat
them so are about half of what they should be. Where a pair is what its two languages bring, P[l, m] = a_l + a_m, the
rows analysed here are 2 a_l: what a pair of two languages like l would score. Their mean over the languages is the
mean over the pairs, and a pair's noise is all that two of them share.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def language_scores(pairs: pd.DataFrame) -> pd.DataFrame:
    """2 a_l of every run by least squares of its pairs on their two languages.

    A run may lack languages and pairs. Languages of which the pairs cannot tell (two languages have one pair; a
    circle of even length can be shared out in many ways) have no row.

    Args:
        pairs: columns cell, language, partner, score; one row per unordered pair of languages.

    Returns:
        Columns cell, language, score in the units of `pairs`; empty where no run has three languages.
    """
    languages = sorted({*pairs["language"].unique(), *pairs["partner"].unique()})
    wide = pairs.pivot_table(index="cell", columns=["language", "partner"], values="score", sort=True)
    design = np.zeros((wide.shape[1], len(languages)))
    for row, pair in enumerate(wide.columns):
        for language in pair:
            design[row, languages.index(language)] += 1.0
    values = wide.to_numpy(dtype=float)
    patterns, which = np.unique(~np.isnan(values), axis=0, return_inverse=True)
    out = np.full((len(values), len(languages)), np.nan)
    for number, present in enumerate(patterns):
        # Runs with the same pairs share one solution.
        here = which.ravel() == number
        part = design[present]
        inverse = np.linalg.pinv(part)
        told = np.isclose(np.diag(inverse @ part), 1.0, atol=1e-8)
        found = 2.0 * values[np.ix_(here, present)] @ inverse.T
        out[here] = np.where(told, found, np.nan)
    table = pd.DataFrame(out, index=wide.index, columns=pd.Index(languages, name="language"))
    return _long(table)


def from_partner_means(scores: pd.DataFrame) -> pd.DataFrame:
    """The same from each language's mean over partners, where a run has every pair of its languages.

    With L languages and means y, 2 a_l = mean(y) + 2 (L - 1) / (L - 2) (y_l - mean(y)): what least squares of all
    pairs gives.

    Args:
        scores: columns cell, language, score and partners, the number of languages averaged over.

    Returns:
        Columns cell, language, score; runs of fewer than three languages, or in which some pair was not scored,
        have no row.
    """
    by_run = scores.groupby("cell")
    count, mean = by_run["language"].transform("size"), by_run["score"].transform("mean")
    partners = by_run["partners"].transform("min")
    whole = (count >= 3) & (partners == count - 1)
    kept, n = scores[whole], count[whole]
    stretched = mean[whole] + 2 * (n - 1) / (n - 2) * (kept["score"] - mean[whole])
    return kept[["cell", "language"]].assign(score=stretched).reset_index(drop=True)


def run_scores(pairs: pd.DataFrame) -> pd.DataFrame:
    """One score per run, the mean over its pairs: all that two languages allow. Columns cell, score."""
    return pairs.groupby("cell")["score"].mean().reset_index()


def _long(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of a wide table (index cell, columns language) that hold a number."""
    out = table.reset_index().melt(id_vars="cell", var_name="language", value_name="score")
    return out.dropna(subset=["score"]).reset_index(drop=True)
