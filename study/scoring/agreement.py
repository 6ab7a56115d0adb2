"""Agreement of languages on options, and accuracies of languages freed of sampling noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from study.scoring.answers import ABSENT

Floats = NDArray[np.float64]


def alpha(chosen: NDArray[np.int8]) -> float:
    """Krippendorff's alpha, nominal, with languages as coders and questions as units.

    ``1 - D_o / D_e``: the disagreement of languages within questions over that of all answers paired
    at random (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"). Questions asked in
    one language only do not count. 1 for full agreement, 0 for agreement as by chance, negative
    below; NaN when all answers are the same option, as nothing could have disagreed.

    Args:
        chosen: [L, N] options, ABSENT where not asked.
    """
    counts = np.stack([(chosen == option).sum(axis=0) for option in range(int(chosen.max()) + 1)]).astype(np.float64)
    coders = counts.sum(axis=0)
    counts, coders = counts[:, coders > 1], coders[coders > 1]
    totals = counts.sum(axis=1)
    answers = totals.sum()
    expected = answers**2 - (totals**2).sum()
    if expected == 0:
        return float("nan")
    observed = ((coders**2 - (counts**2).sum(axis=0)) / (coders - 1)).sum()
    return float(1.0 - (answers - 1) * observed / expected)


def pair_agreement(chosen: NDArray[np.int8]) -> tuple[Floats, NDArray[np.int64]]:
    """Share of common questions on which two languages choose the same option.

    Args:
        chosen: [L, N] options, ABSENT where not asked.

    Returns:
        [L, L] shares in [0, 1], and [L, L] numbers of common questions; both 0 on the diagonal.
    """
    asked = (chosen != ABSENT).astype(np.float64)
    shared = asked @ asked.T
    same = np.zeros_like(shared)
    for option in range(int(chosen.max()) + 1):
        picks = (chosen == option).astype(np.float64)
        same += picks @ picks.T
    np.fill_diagonal(shared, 0.0)
    np.fill_diagonal(same, 0.0)
    return np.divide(same, shared, out=np.zeros_like(same), where=shared > 0), shared.astype(np.int64)


def true_variance(accuracy: Floats, n: NDArray[np.int64]) -> float:
    """Variance of accuracy over languages that binomial noise does not explain, at least 0.

    The unbiased sample variance less the mean of a(1 - a) / (n - 1), the unbiased estimate of
    p(1 - p) / n. The noise of each language counts as independent. Languages that share their
    questions also share part of that noise, so that too much is removed: with 400 questions whose
    difficulty has an SD of 0.35, a true SD of 0.03 over languages reads 0.024.

    Args:
        accuracy: [L] shares of right answers, L >= 2; n: [L] questions behind them.
    """
    noise = accuracy * (1.0 - accuracy) / np.maximum(n - 1, 1)
    return max(0.0, float(accuracy.var(ddof=1) - noise.mean()))


def shrink(accuracy: Floats, n: NDArray[np.int64]) -> Floats:
    """Empirical-Bayes accuracies: ``m + t / (t + v_l) (a_l - m)``.

    m is the mean over languages, t = `true_variance`, v_l = m(1 - m) / n_l; the noise is taken at m,
    since taken at a_l it would vanish for a language that is always right or wrong.

    Args:
        accuracy: [L], L >= 2; n: [L] questions behind them.

    Returns:
        [L] shrunken accuracies; all m when noise explains the differences. As posterior means do, they
        vary less than the truth: a gap between them is cautious.
    """
    mean = float(accuracy.mean())
    variance = true_variance(accuracy, n)
    if variance == 0.0:
        return np.full(len(accuracy), mean)
    return mean + variance / (variance + mean * (1.0 - mean) / n) * (accuracy - mean)
