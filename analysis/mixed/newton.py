"""The search for the minimum of the REML criterion.

A projected Newton method over the variances with the average information matrix (Gilmour,
Thompson and Cullis 1995), and the monotone step of Zhou et al. (2019, J. Comput. Graph. Stat. 28:350)
where Newton's does not descend. Over variances, and not standard deviations, the slope at 0 tells a
minimum from a trap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.mixed.reml import Array, Problem, State

MAX_RATIO = 1e3
"""Upper bound of a random effect's SD over the residual SD: keeps the search finite when residuals vanish."""

STARTS = (0.7, 0.1, 3.0)
"""SD ratios from which every search begins: the criterion may have several minima."""

_MAX_STEPS = 200
_SLOPE = 1e-7
"""A minimum is settled when no slope, times its variance, is larger than this."""
_PROMISE = 1e-7
"""A search has arrived when a step promises no more descent than this; exact Newton steps do the rest."""


def _theta(variances: Array) -> Array:
    """SD ratios of variances [k + 1], within their bounds."""
    return np.minimum(np.sqrt(np.maximum(variances[:-1], 0.0) / variances[-1]), MAX_RATIO)


def _held(state: State) -> tuple[NDArray[np.bool_], float]:
    """Variances that a bound keeps from descending [k + 1], and the steepest slope of the others."""
    tau, gradient = state.variances, state.gradient
    at_zero, at_bound = np.append(state.theta == 0, False), np.append(state.theta >= MAX_RATIO, False)
    held = (at_zero & (gradient >= 0)) | (at_bound & (gradient <= 0))
    # A variance near 0 has no scale of its own: its slope is judged at a part of the residual's.
    slope = np.abs(gradient * np.maximum(tau, 1e-3 * tau[-1]))[~held]
    return held, float(slope.max(initial=0.0))


def _descend(problem: Problem, theta: Array) -> State:
    """From `theta` to a minimum, nearly."""
    state = problem.at(theta)
    for _ in range(_MAX_STEPS):
        held, slope = _held(state)
        if slope < _SLOPE:
            break
        step, promise = _newton_step(state, held)
        trapped = ((state.theta == 0) & ~held[:-1]).any()
        if promise < _PROMISE and not trapped:
            break
        following = _line(problem, state, step) or _monotone(problem, state)
        if following is None:
            break
        state = following
    return state


def _settle(problem: Problem, state: State) -> tuple[State, bool]:
    """Exact Newton steps from near a minimum; returns it and whether no slope is left."""
    for _ in range(6):
        held, slope = _held(state)
        if slope < _SLOPE:
            return state, True
        free = np.flatnonzero(~held)
        scale = np.maximum(state.variances[free], 1e-3 * state.variances[-1])
        hessian = state.curvature(state.matrix()).hessian[np.ix_(free, free)] * np.outer(scale, scale)
        step = np.zeros_like(state.variances)
        step[free] = -scale * np.linalg.lstsq(hessian, state.gradient[free] * scale, rcond=None)[0]
        moved = state.variances + step
        if moved[-1] <= 0.5 * state.variances[-1]:
            break
        candidate = problem.at(_theta(moved))
        if _held(candidate)[1] >= slope or candidate.criterion > state.criterion + 1e-7:
            break
        state = candidate
    return state, _held(state)[1] < 1e-3


def _newton_step(state: State, held: NDArray[np.bool_]) -> tuple[Array, float]:
    """The step with the average information over what is not `held`, and the descent that it promises.

    A variance that the step would take below 0 goes to 0, and the others' step is worked out again for that.
    """
    tau, free = state.variances, np.flatnonzero(~held)
    # Scaled by the variances, so that the solve does not see units.
    scale = np.maximum(tau[free], 1e-3 * tau[-1])
    matrix = state.information()[np.ix_(free, free)] * np.outer(scale, scale)
    matrix += 1e-10 * max(float(np.trace(matrix)) / len(free), 1e-12) * np.eye(len(free))
    slope, least = state.gradient[free] * scale, -tau[free] / scale
    step, moving = np.zeros(len(free)), np.ones(len(free), dtype=bool)
    while moving.any():
        fixed = step * ~moving
        step = fixed.copy()
        step[moving] = -np.linalg.solve(matrix[np.ix_(moving, moving)], (slope + matrix @ fixed)[moving])
        below = moving & (step < least)
        if not below.any():
            break
        step[below], moving = least[below], moving & ~below
    out = np.zeros_like(tau)
    out[free] = step * scale
    return out, -float(slope @ step + step @ matrix @ step / 2)


def _line(problem: Problem, state: State, step: Array) -> State | None:
    """The projected step, halved until it descends; None when no length of it does."""
    tau, length = state.variances, 1.0
    for _ in range(12):
        moved = tau + length * step
        if moved[-1] > 0.05 * tau[-1]:
            candidate = problem.at(_theta(moved))
            if candidate.criterion < state.criterion - 1e-12 * abs(state.criterion):
                return candidate
        length /= 2
    return None


def _monotone(problem: Problem, state: State) -> State | None:
    """Zhou's step, tau sqrt(quadratic / trace), which cannot ascend; None when it no longer descends."""
    ratio = np.sqrt(state.quadratic / np.maximum(state.trace, 1e-300))
    tau = state.variances
    woken = np.where((tau == 0) & (state.gradient < 0), 1e-4 * tau[-1], tau)
    candidate = problem.at(_theta(woken * np.where(tau == 0, 1.0, ratio)))
    return candidate if candidate.criterion < state.criterion - 1e-10 else None


def minimise(problem: Problem, starts: Sequence[Array]) -> tuple[State, bool]:
    """The lowest of the minima reached from `starts` (SD ratios [k] each), and whether its slopes vanish."""
    found = [_descend(problem, start) for start in starts]
    return _settle(problem, min(found, key=lambda state: state.criterion))
