"""Agreement of languages on options, and accuracies of languages freed of sampling noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from study.eval.answers import ABSENT

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


def pair_parts(chosen: NDArray[np.int8], answer: NDArray[np.int8], options: int) -> dict[str, Floats]:
    """What two languages' agreement is made of, over their common questions.

    `both_right` and `same_wrong` sum to the agreement. With K options, answers that have nothing to do with the
    question are wrong K - 1 times as often as right, and if two languages share them they raise both parts alike:
    the correction for guessing (Frary 1988, Educ. Meas. Issues Pract. 7:33) takes same_wrong / (K - 1) off both_right.
    `shared_right` is what then stands above two languages that answer independently of one another, with their
    accuracies a and their wrong answers w = (1 - a) / (K - 1) for each wrong option:

        shared_right = both_right - same_wrong / (K - 1) - (a_l a_m - w_l w_m)

    Questions answered blindly, alike in all languages, add nothing to it.

    `agreement_excess` is the agreement less the one expected of two languages that choose independently of one
    another, each with its own accuracy and its own shares of wrong options for every right option:

        expected = sum_k pi_k sum_o P_l(o | k) P_m(o | k)

    with k the right option, pi_k its share of the common questions and P_l(o | k) how often language l chooses o
    there: Cohen's chance agreement (1960, Educ. Psychol. Meas. 20:37) within each right option. Blind answers that
    are alike on the same questions raise it.

    Args:
        chosen: [L, N] options, ABSENT where not asked.
        answer: [L, N] options that are right, ABSENT where not asked.
        options: K, at least 2.

    Returns:
        Names of `measures.PAIR_MEASURES` but agreement -> [L, L]; 0 on the diagonal and where nothing is common.
    """
    asked = (chosen != ABSENT).astype(np.float64)
    shared = asked @ asked.T
    right = ((chosen == answer) & (chosen != ABSENT)).astype(np.float64)
    both_right, same, expected = right @ right.T, np.zeros_like(shared), np.zeros_like(shared)
    for right_option in range(options):
        # Of a language's questions those with this right option; languages may have another order of options.
        of_option = ((answer == right_option) & (chosen != ABSENT)).astype(np.float64)
        common = of_option @ of_option.T
        for option in range(options):
            picks = ((chosen == option) & (answer == right_option)).astype(np.float64)
            same += picks @ picks.T
            among = picks @ of_option.T  # how often l chooses it on the questions that it shares with m
            expected += np.divide(among * among.T, common, out=np.zeros_like(common), where=common > 0)
    share = {
        name: np.divide(count, shared, out=np.zeros_like(shared), where=shared > 0)
        for name, count in (("right", right @ asked.T), ("both", both_right), ("same", same), ("expected", expected))
    }
    accuracy = share["right"]  # [l, m]: of l, on the questions that it shares with m
    wrong = (1 - accuracy) / (options - 1)
    same_wrong = share["same"] - share["both"]
    parts = {
        "shared_right": share["both"] - same_wrong / (options - 1) - (accuracy * accuracy.T - wrong * wrong.T),
        "agreement_excess": share["same"] - share["expected"],
        "both_right": share["both"],
        "same_wrong": same_wrong,
    }
    apart = (shared > 0) & ~np.eye(len(shared), dtype=bool)
    return {name: np.where(apart, values, 0.0) for name, values in parts.items()}


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
