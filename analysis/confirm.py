"""The second opinion: statsmodels' MixedLM, started at the optimum of our own REML.

MixedLM writes crossed effects as variance components of one group. From a cold start that takes minutes at the
size of the study; from the optimum it takes seconds, and it must stay there. It has one run variance, so the
pooled model is what both can express.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import numpy as np
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from analysis import mixed

MAX_WORK = 4e9
"""Rows x columns^2 of the random effects above which one fit would take more than about 20 s."""


@dataclass(frozen=True)
class Confirmation:
    """Largest differences between the two fits, relative to the standard errors and to the variances."""

    ran: bool
    reason: str
    without: tuple[str, ...] = ()  # terms left out, so that it can be done in time
    seconds: float = 0.0
    estimate: float = np.nan  # in standard errors
    se: float = np.nan  # relative
    variance: float = np.nan  # relative to the residual variance

    @property
    def agrees(self) -> bool:
        return self.ran and self.estimate < 1e-3 and self.se < 1e-3 and self.variance < 1e-2


def affordable(rows: int, terms: list[mixed.Term]) -> tuple[list[mixed.Term], tuple[str, ...]]:
    """The terms that statsmodels can fit in about 20 s, and the names of those left out, the largest first."""
    kept, without = list(terms), []
    while rows * sum(len(term.levels) for term in kept) ** 2 > MAX_WORK:
        largest = max(kept, key=lambda term: len(term.levels))
        kept.remove(largest)
        without.append(largest.name)
    return kept, tuple(without)


def confirm(
    y: np.ndarray, x: np.ndarray, terms: list[mixed.Term], fit: mixed.MixedFit, without: tuple[str, ...] = ()
) -> Confirmation:
    """Fit the model of `fit` again with statsmodels, starting from its SD ratios; `without` is reported."""
    matrices = []
    for term in terms:
        matrix = np.zeros((len(y), len(term.levels)))
        matrix[np.arange(len(y)), term.codes] = 1.0
        matrices.append([matrix])
    components = VCSpec([t.name for t in terms], [[list(t.levels)] for t in terms], matrices)
    began = time.perf_counter()
    model = MixedLM(y, x, np.ones(len(y)), exog_vc=components)
    with warnings.catch_warnings():
        # Both are judged below by agreement: statsmodels' boundary warning is absolute, not relative to the scale.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            # MixedLM's start values are SD ratios; 0 has no slope and would hold a component there.
            result = model.fit(start_params=np.maximum(fit.theta, 1e-3), reml=True, method="bfgs", maxiter=30)
            estimate, se, scale = np.asarray(result.fe_params), np.asarray(result.bse_fe), float(result.scale)
            vcomp = np.asarray(result.vcomp)
        except (np.linalg.LinAlgError, ValueError) as error:
            return Confirmation(False, f"statsmodels could not fit it: {error}", without)
    ours = np.sqrt(np.diag(fit.cov))
    return Confirmation(
        True,
        "",
        without,
        time.perf_counter() - began,
        float(np.max(np.abs(estimate - fit.beta) / ours)),
        float(np.max(np.abs(se / ours - 1))),
        float(np.max(np.abs(vcomp - fit.variances[:-1]), initial=abs(scale - fit.variances[-1])) / fit.variances[-1]),
    )
