"""The second opinion: statsmodels' MixedLM asked about the reported model at the optimum of our own REML.

MixedLM writes crossed effects as variance components of one group; a run variance for each method is a component
whose columns are 0 in the rows of other methods. To search for the optimum so takes minutes at the size of a study,
and its standard errors alone take 20 s. To ask it for its criterion takes a second, and that is enough: the same
criterion and fixed effects at the optimum, the curvature that the standard errors say, and no better value beside it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams, VCSpec

from analysis.mixed import model as mixed

MAX_NUMBERS = 1e8
"""Rows x columns of the random effects above which statsmodels, which holds them dense, is not asked."""

STEP = 0.2
"""How far the variances are moved, up and down, to see that the optimum is one; relative."""


@dataclass(frozen=True)
class Confirmation:
    """What statsmodels says of one model. `model` is the model that it was asked about, as a formula in words.

    `estimate`: largest difference of fixed effects, in standard errors; `se`: relative difference of the standard
    error in a direction that all fixed effects take part in; `criterion`: difference of the REML log-likelihoods;
    `optimum`: whether statsmodels' own log-likelihood is lower where the variances are larger or smaller.
    """

    ran: bool
    reason: str
    model: str
    seconds: float = 0.0
    estimate: float = np.nan
    se: float = np.nan
    criterion: float = np.nan
    optimum: bool = False

    @property
    def agrees(self) -> bool:
        return self.ran and self.estimate < 1e-3 and self.se < 1e-3 and self.criterion < 1e-3 and self.optimum


def confirm(y: np.ndarray, x: np.ndarray, fit: mixed.MixedFit, model: str) -> Confirmation:
    """Ask statsmodels about the model of `fit`; `model` names it in the answer.

    Args:
        y: scores [n].
        x: fixed effects [n, p].
        fit: our fit of y on x and `fit.terms`.
        model: formula in words.
    """
    # A variance at zero has no part in the model, and no inverse in statsmodels.
    present = [(term, ratio) for term, ratio in zip(fit.terms, fit.theta, strict=True) if ratio > 0]
    columns = sum(len(term.levels) for term, _ in present)
    if not present:
        return Confirmation(False, "every variance is at zero", model)
    if len(y) * columns > MAX_NUMBERS:
        return Confirmation(False, f"{len(y):,} rows by {columns:,} random effects are too many for it", model)
    began = time.perf_counter()
    program, size = _model(y, x, [term for term, _ in present]), len(y) - x.shape[1]
    ratios = np.array([ratio**2 for _, ratio in present])

    def value(beta: np.ndarray, variances: np.ndarray) -> float:
        asked = MixedLMParams.from_components(fe_params=beta, cov_re=np.empty((0, 0)), vcomp=variances)
        return float(program.loglike(asked, profile_fe=False))

    try:
        beta, _ = program.get_fe_params(np.empty((0, 0)), ratios)
        here = value(fit.beta, ratios)
        # One standard error along C v raises the quadratic form by s2 where C is the covariance of the estimates.
        direction = fit.cov @ np.random.default_rng(0).standard_normal(len(fit.beta))
        step = 10.0 * direction / np.sqrt(direction @ np.linalg.solve(fit.cov, direction))
        rise = size * np.expm1(2 * (here - value(fit.beta + step, ratios)) / size) / 100.0
        beside = [value(fit.beta, ratios * factor) for factor in (1 + STEP, 1 / (1 + STEP))]
    except (np.linalg.LinAlgError, ValueError) as error:
        return Confirmation(False, f"statsmodels could not evaluate it: {error}", model)
    return Confirmation(
        True, "", model, time.perf_counter() - began,
        float(np.max(np.abs(beta - fit.beta) / np.sqrt(np.diag(fit.cov)))),
        float(abs(1 / np.sqrt(max(rise, 1e-12)) - 1)), abs(here + fit.criterion / 2), max(beside) < here,
    )  # fmt: skip


def _model(y: np.ndarray, x: np.ndarray, terms: list[mixed.Term]) -> MixedLM:
    matrices = []
    for term in terms:
        matrix = np.zeros((len(y), len(term.levels)))
        rows = np.flatnonzero(term.codes >= 0)
        matrix[rows, term.codes[rows]] = 1.0
        matrices.append([matrix])
    components = VCSpec([t.name for t in terms], [[list(t.levels)] for t in terms], matrices)
    program = MixedLM(y, x, np.ones(len(y)), exog_vc=components)
    # What `fit` would set before it asks for the log-likelihood.
    program.reml, program.cov_pen, program.fe_pen = True, None, None
    return program
