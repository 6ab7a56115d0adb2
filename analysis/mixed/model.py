"""Linear mixed models with crossed and nested random intercepts: REML and Satterthwaite degrees of freedom.

The fit itself is in `reml`; here are the terms that go in, and the estimates, variances and tests that come
out. References: Bates et al. 2015 (J. Stat. Softw. 67:1, the profiled criterion), Searle, Casella and
McCulloch 1992 ch. 6 (derivatives through P), Fai and Cornelius 1996 and Kuznetsova et al. 2017 (degrees of
freedom).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, stats

from analysis.mixed import newton, reml
from analysis.mixed.reml import Array, ModelError

__all__ = ["MixedFit", "ModelError", "Term", "fit"]


@dataclass(frozen=True)
class Term:
    """One random intercept: `codes` gives each row's level, -1 where the term does not apply."""

    name: str
    codes: NDArray[np.int64]
    levels: tuple[str, ...]

    @classmethod
    def of(cls, name: str, values: ArrayLike, where: NDArray[np.bool_] | None = None) -> Term:
        """The term whose levels are the distinct `values` [n], restricted to the rows `where` [n]."""
        text = np.asarray(values).astype(str)
        keep = np.ones(len(text), dtype=bool) if where is None else where
        levels, found = np.unique(text[keep], return_inverse=True)
        codes = np.full(len(text), -1, dtype=np.int64)
        codes[keep] = found
        return cls(name, codes, tuple(str(level) for level in levels))


@dataclass(frozen=True)
class MixedFit:
    """A REML fit. Variances are in squared units of y; `zero` marks variances estimated at 0."""

    names: tuple[str, ...]
    beta: Array  # [p]
    cov: Array  # [p, p]
    variances: Array  # [k + 1], the residual last
    variance_cov: Array  # [k + 1, k + 1], rows of variances at 0 are 0
    zero: NDArray[np.bool_]  # [k + 1]
    bound: NDArray[np.bool_]  # [k + 1], at the upper bound of the search
    effects: Array  # [q], predicted random effects
    criterion: float
    converged: bool
    rows: int
    fitted: Array  # [n], fixed and random effects
    terms: tuple[Term, ...]
    _state: reml.State
    _weights: Array  # [q, p], Z' V^-1 X C
    _owner: NDArray[np.int64]  # [q], the term of each column

    @property
    def theta(self) -> Array:
        """SD ratios of the terms relative to the residual, [k]."""
        return np.sqrt(self.variances[:-1] / self.variances[-1])

    def variance_gradient(self, vector: Array) -> tuple[float, Array]:
        """Var(l'b) and its derivatives with respect to the variances, [k + 1]."""
        value = float(vector @ self.cov @ vector)
        squares = (self._weights @ vector) ** 2
        terms = np.bincount(self._owner, weights=squares, minlength=len(self.variances) - 1)
        # C is homogeneous of degree one in the variances, which gives the residual's derivative.
        residual = (value - float(self.variances[:-1] @ terms)) / self.variances[-1]
        return value, np.append(terms, residual)

    def contrast(self, matrix: ArrayLike) -> pd.DataFrame:
        """Estimates of l'b for every row l of `matrix` [m, p].

        Returns:
            A frame of m rows: estimate, se (units of y), df (Satterthwaite).
        """
        rows = []
        for vector in np.atleast_2d(np.asarray(matrix, dtype=float)):
            value, slope = self.variance_gradient(vector)
            spread = float(slope @ self.variance_cov @ slope)
            df = 2.0 * value**2 / spread if spread > 0 else np.nan
            rows.append({"estimate": float(vector @ self.beta), "se": float(np.sqrt(value)), "df": df})
        return pd.DataFrame(rows, columns=["estimate", "se", "df"])

    def predict(self, fixed: ArrayLike, random: ArrayLike) -> pd.DataFrame:
        """Fixed and predicted random effects together: l'b + a'u for every row of `fixed` [m, p], `random` [m, q].

        Returns:
            Columns estimate and se: the standard deviation of the prediction's error with the variances
            taken as known (Henderson 1975, Biometrics 31:423).
        """
        left, right = np.atleast_2d(np.asarray(fixed, float)), np.atleast_2d(np.asarray(random, float))
        spread = self.variances[:-1][self._owner]
        scaled = right * spread
        own = (right * scaled).sum(axis=1)
        known = (scaled * (self._state.times(scaled.T) / self.variances[-1]).T).sum(axis=1)
        both = ((left @ self._weights.T) * scaled).sum(axis=1)
        variance = np.einsum("ij,jk,ik->i", left, self.cov, left) + own - known - 2 * both
        return pd.DataFrame({
            "estimate": left @ self.beta + right @ self.effects, "se": np.sqrt(np.maximum(variance, 0.0))
        })  # fmt: skip

    def column(self, term: str, level: str) -> int | None:
        """Position of a level among all random effects [q]; None when the model has no such effect."""
        start = 0
        for known in self.terms:
            if known.name == term:
                return start + known.levels.index(level) if level in known.levels else None
            start += len(known.levels)
        return None

    def f_test(self, matrix: ArrayLike) -> tuple[float, int, float, float]:
        """F test of `matrix` @ b = 0: (F, numerator df, Satterthwaite denominator df, p)."""
        rows = np.atleast_2d(np.asarray(matrix, dtype=float))
        values, vectors = linalg.eigh(rows @ self.cov @ rows.T)
        keep = values > values.max() * 1e-10
        single = self.contrast(vectors[:, keep].T @ rows)
        rank = int(keep.sum())
        f = float(((single["estimate"] / single["se"]) ** 2).mean())
        df = single["df"].to_numpy()
        if rank == 1:
            denominator = float(df[0])
        else:
            # Matches the mean of an F(rank, d) with that of the average of independent t^2 (Fai, Cornelius).
            excess = float((df[df > 2] / (df[df > 2] - 2)).sum())
            denominator = 2 * excess / (excess - rank) if excess > rank else 2.0
        return f, rank, denominator, float(stats.f.sf(f, rank, denominator))

    def variance_table(self, level: float = 0.95) -> pd.DataFrame:
        """SD of every component with a Satterthwaite chi-square interval; columns component, sd, low, high, zero."""
        rows = []
        tail = (1 - level) / 2
        for name, value, spread, zero in zip(
            (*self.names, "residual"), self.variances, np.diag(self.variance_cov), self.zero, strict=True
        ):
            low = high = np.nan
            if not zero and spread > 0:
                df = 2 * value**2 / spread
                # With next to no degrees of freedom an end is off any scale: leave it open.
                upper = stats.chi2.isf(tail, df)
                low = np.sqrt(df * value / upper) if upper > 0 else 0.0
                high = np.sqrt(df * value / stats.chi2.ppf(tail, df)) if df > 0.5 else np.inf
            rows.append({"component": name, "sd": float(np.sqrt(value)), "low": low, "high": high, "zero": bool(zero)})
        return pd.DataFrame(rows)


def fit(y: ArrayLike, x: ArrayLike, terms: Sequence[Term], start: ArrayLike | None = None) -> MixedFit:
    """Fit by REML.

    Args:
        y: responses, [n].
        x: fixed effects, [n, p], of full column rank.
        terms: random intercepts; they may be crossed or nested.
        start: SD ratios to start from, [k]; without it the search starts from `newton.STARTS`, and the
            lowest minimum is taken.

    Raises:
        ModelError: too few rows, dependent columns, or nothing left to explain.
    """
    columns = np.asarray(x, dtype=float)
    problem = reml.Problem(np.asarray(y, dtype=float), columns, [term.codes for term in terms])
    starts = (
        [np.full(problem.k, ratio) for ratio in newton.STARTS] if start is None else [np.asarray(start, dtype=float)]
    )
    state, converged = newton.minimise(problem, starts)
    return _estimates(problem, state, converged, columns, tuple(terms))


def coefficients(y: ArrayLike, x: ArrayLike, terms: Sequence[Term], theta: ArrayLike) -> Array:
    """Fixed effects [p] with the SD ratios `theta` [k] taken as known: one evaluation, no search."""
    problem = reml.Problem(np.asarray(y, dtype=float), np.asarray(x, dtype=float), [term.codes for term in terms])
    state = problem.at(np.asarray(theta, dtype=float))
    return np.asarray(linalg.solve_triangular(problem.r, _coordinates(problem, state)))


def _coordinates(problem: reml.Problem, state: reml.State) -> Array:
    """Fixed effects in the orthonormal basis Q of x: F (y - Z2 u2) with F = (Q'H^-1 Q)^-1 Q'H^-1."""
    inner = linalg.solve_triangular(state.lower, state.half_y, lower=True, trans="T")
    u2 = state.scale**2 * (state.zy - state.gram @ (state.scale * inner))
    right = state.half_qy - state.half_2q @ u2
    return np.asarray(problem.gamma_ols + linalg.solve_triangular(state.root_q, right, lower=True, trans="T"))


def _estimates(
    problem: reml.Problem, state: reml.State, converged: bool, x: Array, terms: tuple[Term, ...]
) -> MixedFit:
    """What follows from the minimum, in the units of y and the columns of x."""
    t0_matrix = state.matrix()
    found = state.curvature(t0_matrix)
    squared = (state.theta**2)[problem.owner]
    effects, others = squared * state.t, ~problem.first
    back = linalg.solve_triangular(problem.r, np.eye(problem.p))
    root = linalg.solve_triangular(state.root_q, np.eye(problem.p), lower=True)
    f2, f1 = root.T @ state.half_2q, root.T @ state.half_1q
    inner = linalg.solve_triangular(state.lower, state.scale[:, None] * f2.T, lower=True)
    cov = state.s2 * back @ (root.T @ root + inner.T @ inner) @ back.T
    every = np.empty((len(problem.owner), problem.p))
    every[problem.first], every[others] = f1.T, f2.T
    weights = every - t0_matrix[:, others] @ (squared[others][:, None] * f2.T)
    beta = back @ _coordinates(problem, state)
    fitted, start = x @ beta, 0
    for term in terms:
        # Rows to which a term does not apply (-1) read the zero at its end.
        own = np.append(effects[start : start + len(term.levels)], 0.0)
        fitted, start = fitted + own[term.codes], start + len(term.levels)
    zero = np.append(state.theta == 0, False)
    free = np.flatnonzero(~zero)
    variance_cov = np.zeros((problem.k + 1, problem.k + 1))
    variance_cov[np.ix_(free, free)] = 2 * _positive_inverse(found.hessian[np.ix_(free, free)], found.variances[free])
    return MixedFit(
        names=tuple(term.name for term in terms),
        beta=beta,
        cov=(cov + cov.T) / 2,
        variances=found.variances,
        variance_cov=variance_cov,
        zero=zero,
        bound=np.append(state.theta >= newton.MAX_RATIO, False),
        effects=effects,
        criterion=state.criterion,
        converged=converged,
        rows=problem.n,
        fitted=fitted,
        terms=terms,
        _state=state,
        _weights=weights @ back.T,
        _owner=problem.owner,
    )


def _positive_inverse(hessian: Array, scale: Array) -> Array:
    """Inverse of the Hessian over its directions of positive curvature, in coordinates scaled by the variances."""
    values, vectors = linalg.eigh(scale[:, None] * hessian * scale)
    keep = values > 1e-9 * max(values.max(), 1e-300)
    inverse = (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
    return np.asarray(scale[:, None] * inverse * scale)
