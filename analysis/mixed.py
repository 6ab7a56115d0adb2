"""Linear mixed models with crossed random effects: dense REML and Satterthwaite degrees of freedom.

Model: y = X b + sum_k Z_k u_k + e, with u_k ~ N(0, s2 theta_k^2 I) and e ~ N(0, s2 I). Each Z_k is an
indicator matrix, so a study of 120 runs in 36 languages has q of about 400 columns and dense q x q
algebra is enough (Woodbury; no matrix of n x n is ever formed).

With S = I - X (X'X)^-1 X', G = Z'SZ and L = diag(theta), the REML criterion needs one q x q matrix only:

    log|V0| + log|X' V0^-1 X| = log|X'X| + log|I + L G L|
    P0 = S - S Z L (I + L G L)^-1 L Z' S          (V0 = V / s2, P0 = s2 P)

References: Bates et al. 2015 (J. Stat. Softw. 67:1, the profiled criterion), Searle, Casella and McCulloch
1992 ch. 6 (derivatives through P), Fai and Cornelius 1996 and Kuznetsova et al. 2017 (degrees of freedom).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, optimize, stats

Array = NDArray[np.float64]

MAX_RATIO = 1e3
"""Upper bound of a random effect's SD over the residual SD: keeps the search finite when residuals vanish."""

_ZERO = 1e-4
"""Below this ratio an SD is tried at exactly 0 (its square is 1e-8 of the residual variance)."""


class ModelError(ValueError):
    """The data cannot carry the model."""


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
    effects: Array  # [q], predicted random effects
    criterion: float
    converged: bool
    rows: int
    _weights: Array  # [q, p], Z' V^-1 X C
    _owner: NDArray[np.int64]  # [q], the term of each column

    @property
    def theta(self) -> Array:
        """SD ratios of the terms relative to the residual, [k]."""
        return np.sqrt(self.variances[:-1] / self.variances[-1])

    def _variance_gradient(self, vector: Array) -> tuple[float, Array]:
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
            value, slope = self._variance_gradient(vector)
            spread = float(slope @ self.variance_cov @ slope)
            df = 2.0 * value**2 / spread if spread > 0 else np.nan
            rows.append({"estimate": float(vector @ self.beta), "se": float(np.sqrt(value)), "df": df})
        return pd.DataFrame(rows, columns=["estimate", "se", "df"])

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


class _Problem:
    """Cross products of one data set, and the REML criterion over theta."""

    def __init__(self, y: Array, x: Array, terms: Sequence[Term]) -> None:
        n, p = x.shape
        if n <= p:
            raise ModelError(f"{n} rows cannot carry {p} fixed effects")
        q_basis, r_basis = linalg.qr(x, mode="economic")
        diagonal = np.abs(np.diag(r_basis))
        if diagonal.min() <= 1e-9 * diagonal.max():
            raise ModelError("fixed effects are linearly dependent")
        blocks, owner = [], []
        for k, term in enumerate(terms):
            block = np.zeros((n, len(term.levels)))
            used = term.codes >= 0
            block[np.flatnonzero(used), term.codes[used]] = 1.0
            blocks.append(block)
            owner.append(np.full(len(term.levels), k))
        z = np.hstack(blocks) if blocks else np.zeros((n, 0))
        self.owner = np.concatenate(owner) if owner else np.zeros(0, dtype=np.int64)
        self.n, self.p, self.k = n, p, len(terms)
        coordinates = q_basis.T @ z
        self.gram = z.T @ z - coordinates.T @ coordinates
        residual = y - q_basis @ (q_basis.T @ y)
        self.zy = z.T @ residual
        self.yy = float(residual @ residual)
        if self.yy <= 1e-18 * max(float(y @ y), 1e-300):
            raise ModelError("the scores have no variation left for an error term")
        inverse = linalg.solve_triangular(r_basis, np.eye(p))
        self.xx_inverse = inverse @ inverse.T
        self.projection = inverse @ coordinates  # (X'X)^-1 X'Z, [p, q]
        self.beta_ols = inverse @ (q_basis.T @ y)
        self.log_xx = 2 * float(np.log(diagonal).sum())

    def factor(self, theta: Array) -> tuple[Array, Array, Array]:
        """Square roots of the pieces: cholesky factor, its solve of L G [q, q], and of L Z'Sy [q]."""
        scale = theta[self.owner]
        inner = scale[:, None] * self.gram * scale
        inner[np.diag_indices_from(inner)] += 1.0
        lower = linalg.cholesky(inner, lower=True, overwrite_a=True, check_finite=False)
        half_gram = linalg.solve_triangular(lower, scale[:, None] * self.gram, lower=True, check_finite=False)
        half_y = linalg.solve_triangular(lower, scale * self.zy, lower=True, check_finite=False)
        return lower, half_gram, half_y

    def slopes(self, theta: Array) -> tuple[float, Array]:
        """Profiled criterion and its derivatives with respect to theta^2 (not theta, whose slope at 0 is 0)."""
        lower, half_gram, half_y = self.factor(theta)
        free = self.n - self.p
        rss = self.yy - float(half_y @ half_y)
        criterion = 2 * float(np.log(np.diag(lower)).sum()) + self.log_xx + free * (1 + np.log(2 * np.pi * rss / free))
        trace = np.diag(self.gram) - (half_gram**2).sum(axis=0)
        t = self.zy - half_gram.T @ half_y
        slope = np.bincount(self.owner, weights=trace - t**2 * free / rss, minlength=self.k)
        return criterion, slope.astype(np.float64)

    def objective(self, theta: Array) -> tuple[float, Array]:
        criterion, slope = self.slopes(theta)
        return criterion, 2 * theta * slope

    def curvature(self, theta: Array) -> tuple[Array, Array, Array, Array, Array]:
        """At theta and its profiled s2: variances [k + 1], gradient and Hessian of the criterion, T0, Z'P0y."""
        _, half_gram, half_y = self.factor(theta)
        free = self.n - self.p
        s2 = (self.yy - float(half_y @ half_y)) / free
        t0_matrix = self.gram - half_gram.T @ half_gram
        t0 = self.zy - half_gram.T @ half_y
        big, t = t0_matrix / s2, t0 / s2
        tau = s2 * theta**2
        column = tau[self.owner]
        # PVP = P gives every product with the residual's identity matrix from q x q pieces.
        second = (big - big @ (column[:, None] * big)) / s2  # Z'PPZ
        t_second = (t - big @ (column * t)) / s2  # Z'PPy
        ypy = free
        yppy = (ypy - float(column @ t**2)) / s2
        ypppy = (yppy - float(column @ (t * t_second))) / s2
        trace_terms = np.bincount(self.owner, weights=np.diag(big), minlength=self.k)
        second_terms = np.bincount(self.owner, weights=np.diag(second), minlength=self.k)
        trace = (free - float(tau @ trace_terms)) / s2
        trace_second = (trace - float(tau @ second_terms)) / s2
        quadratic = np.bincount(self.owner, weights=t**2, minlength=self.k)
        gradient = np.append(trace_terms - quadratic, trace - yppy)
        indicator = np.zeros((len(self.owner), self.k))
        indicator[np.arange(len(self.owner)), self.owner] = 1.0
        hessian = np.empty((self.k + 1, self.k + 1))
        hessian[:-1, :-1] = indicator.T @ (2 * big * np.outer(t, t) - big**2) @ indicator
        edge = indicator.T @ (2 * t * t_second - np.diag(second))
        hessian[-1, :-1] = hessian[:-1, -1] = edge
        hessian[-1, -1] = 2 * ypppy - trace_second
        return np.append(tau, s2), gradient, hessian, t0_matrix, t0


def _search(problem: _Problem, start: Array) -> Array:
    """The minimising theta: bounded quasi-Newton over theta, then over theta^2.

    theta is the better scale far from 0, but theta = 0 is stationary whatever the data say, and a line
    search can land there. Over theta^2 the slope at 0 tells a minimum from a trap, and leads out of it.
    """
    options = {"ftol": 1e-13, "gtol": 1e-6, "maxiter": 500}
    bounds = [(0.0, MAX_RATIO)] * problem.k
    theta = optimize.minimize(problem.objective, start, jac=True, bounds=bounds, method="L-BFGS-B", options=options).x
    for _ in range(5):
        squares = optimize.minimize(
            lambda squared: problem.slopes(np.sqrt(squared)),
            theta**2,
            jac=True,
            bounds=[(0.0, MAX_RATIO**2)] * problem.k,
            method="L-BFGS-B",
            options=options,
        ).x
        theta = np.sqrt(squares)
        small = theta < _ZERO
        settled = np.where(small, 0.0, theta)
        _, slope = problem.slopes(settled)
        trapped = small & (slope < -1e-6)
        if not trapped.any():
            return settled
        # A long step to the bound can end the search there: start again from just inside.
        theta = np.where(trapped, np.sqrt(_ZERO), theta)
    return np.where(small & ~trapped, 0.0, theta)


def _polish(problem: _Problem, theta: Array) -> tuple[Array, bool]:
    """Newton steps on the variances that are not 0; returns theta and whether the gradient vanished."""
    settled = False
    best = problem.slopes(theta)[0]
    for _ in range(8):
        tau, gradient, hessian, _, _ = problem.curvature(theta)
        free = np.append((theta > 0) & (theta < MAX_RATIO), True)
        scaled = np.abs(gradient * tau)[free]
        settled = bool((scaled < 1e-7).all())
        if settled:
            break
        step = np.zeros_like(tau)
        step[free] = np.linalg.lstsq(hessian[np.ix_(free, free)], gradient[free], rcond=None)[0]
        moved = tau - step
        if (moved[free] <= 0).any():
            break
        candidate = np.sqrt(np.maximum(moved[:-1], 0) / moved[-1])
        value = problem.slopes(candidate)[0]
        if value > best + 1e-9:
            break
        theta, best = candidate, value
    return theta, settled or bool((scaled < 1e-3).all())


def fit(y: ArrayLike, x: ArrayLike, terms: Sequence[Term], start: ArrayLike | None = None) -> MixedFit:
    """Fit by REML.

    Args:
        y: responses, [n].
        x: fixed effects, [n, p], of full column rank.
        terms: random intercepts; they may be crossed or nested.
        start: SD ratios to start from, [k]; 0.7 each when absent.

    Raises:
        ModelError: too few rows, dependent columns, or nothing left to explain.
    """
    problem = _Problem(np.asarray(y, dtype=float), np.asarray(x, dtype=float), terms)
    first = np.full(problem.k, 0.7) if start is None else np.maximum(np.asarray(start, dtype=float), 0.05)
    theta, converged = _polish(problem, _search(problem, first)) if problem.k else (np.zeros(0), True)
    tau, _, hessian, t0_matrix, t0 = problem.curvature(theta)
    s2 = float(tau[-1])
    squared = (theta**2)[problem.owner]
    effects = squared * t0
    weights = problem.projection.T - t0_matrix @ (squared[:, None] * problem.projection.T)
    # C = s2 (X'X)^-1 + F Cov(u | theta, Sy) F', and L (I + LGL)^-1 L = L^2 - L^2 T0 L^2.
    inner = np.diag(squared) - squared[:, None] * t0_matrix * squared
    cov = s2 * (problem.xx_inverse + problem.projection @ inner @ problem.projection.T)
    zero = np.append(theta == 0, False)
    free = np.flatnonzero(~zero)
    variance_cov = np.zeros((problem.k + 1, problem.k + 1))
    variance_cov[np.ix_(free, free)] = 2 * _positive_inverse(hessian[np.ix_(free, free)], tau[free])
    return MixedFit(
        names=tuple(term.name for term in terms),
        beta=problem.beta_ols - problem.projection @ effects,
        cov=(cov + cov.T) / 2,
        variances=tau,
        variance_cov=variance_cov,
        zero=zero,
        effects=effects,
        criterion=problem.slopes(theta)[0],
        converged=converged,
        rows=problem.n,
        _weights=weights,
        _owner=problem.owner,
    )


def _positive_inverse(hessian: Array, scale: Array) -> Array:
    """Inverse of the Hessian over its directions of positive curvature, in coordinates scaled by the variances."""
    values, vectors = linalg.eigh(scale[:, None] * hessian * scale)
    keep = values > 1e-9 * max(values.max(), 1e-300)
    inverse = (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
    return np.asarray(scale[:, None] * inverse * scale)
