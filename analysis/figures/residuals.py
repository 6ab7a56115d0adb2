"""Residuals of the crossed models."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from analysis.data.load import Outcome
from analysis.figures.style import AXIS, STYLE, new
from analysis.mixed.model import MixedFit
from analysis.wording import capital

MARK = "#0072b2"


def residuals(fits: dict[str, tuple[Outcome, MixedFit]]) -> Figure | None:
    """Residuals of the crossed models: against the fitted values, and against a normal distribution."""
    if not fits:
        return None
    figure, axes = new(2, len(fits), 4.6)
    with mpl.rc_context(STYLE):
        for column, (outcome, fit) in enumerate(fits.values()):
            residual = (outcome.frame["score"].to_numpy() - fit.fitted) / np.sqrt(fit.variances[-1])
            upper, lower = axes[0, column], axes[1, column]
            upper.scatter(fit.fitted, residual, s=3, color=MARK, alpha=0.25, linewidths=0, rasterized=True)
            upper.axhline(0, color=AXIS, lw=1)
            upper.set_title(capital(outcome.label), loc="left", fontweight="bold")
            upper.set_xlabel("fitted (points)")
            theory = stats.norm.ppf((np.arange(len(residual)) + 0.5) / len(residual))
            lower.plot(theory, theory, color=AXIS, lw=1)
            lower.scatter(theory, np.sort(residual), s=3, color=MARK, linewidths=0, rasterized=True)
            lower.set_xlabel("normal quantile")
        axes[0, 0].set_ylabel("standardised residual")
        axes[1, 0].set_ylabel("standardised residual")
    return figure
