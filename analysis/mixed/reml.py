"""The REML criterion of crossed random intercepts and its derivatives.

Model: y = X b + sum_k Z_k u_k + e, with u_k ~ N(0, s2 theta_k^2 I) and e ~ N(0, s2 I), each Z_k an
indicator matrix. The term with the most levels (Z_1 below) is absorbed: H = I + theta_1^2 Z_1 Z_1' has a
closed-form inverse, and every cross product A'H^-1 B is A'B - A'Z_1 D Z_1'B with D diagonal. What remains
is dense algebra in the levels of all other terms together, whatever the number of rows. With Z those
other terms, S = H^-1 - H^-1 X (X'H^-1 X)^-1 X'H^-1, G = Z'SZ and L = diag(theta):

    log|V0| + log|X'V0^-1 X| = log|H| + log|X'H^-1 X| + log|I + L G L|
    P0 = S - S Z L (I + L G L)^-1 L Z'S          (V0 = V / s2, P0 = s2 P)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


class ModelError(ValueError):
    """The data cannot carry the model."""


def _solve(lower: Array, right: Array) -> Array:
    return np.asarray(linalg.solve_triangular(lower, right, lower=True, check_finite=False))


def _cholesky(matrix: Array) -> Array:
    return np.asarray(linalg.cholesky(matrix, lower=True, overwrite_a=True, check_finite=False))


class Problem:
    """Cross products of one data set: all that the criterion needs of n rows.

    Args:
        y: responses [n].
        x: fixed effects [n, p].
        codes: for each term its levels' numbers [n], -1 where it does not apply.

    Raises:
        ModelError: too few rows, dependent columns, or nothing left to explain.
    """

    def __init__(self, y: Array, x: Array, codes: Sequence[Codes]) -> None:
        n, p = x.shape
        if n <= p:
            raise ModelError(f"{n} rows cannot carry {p} fixed effects")
        basis, self.r = linalg.qr(x, mode="economic")
        diagonal = np.abs(np.diag(self.r))
        if diagonal.min() <= 1e-9 * diagonal.max():
            raise ModelError("fixed effects are linearly dependent")
        self.gamma_ols = basis.T @ y
        residual = y - basis @ self.gamma_ols
        self.yy = float(residual @ residual)
        if self.yy <= 1e-18 * max(float(y @ y), 1e-300):
            raise ModelError("the scores have no variation left for an error term")
        self.n, self.p, self.k = n, p, len(codes)
        self.free = n - p
        self.log_xx = 2 * float(np.log(diagonal).sum())
        sizes = [int(c.max(initial=-1)) + 1 for c in codes]
        self.owner = np.repeat(np.arange(self.k), sizes)
        self.absorbed = int(np.argmax(sizes)) if codes else -1
        self.first = self.owner == self.absorbed  # columns of the absorbed term
        matrices = [_indicator(c, size) for c, size in zip(codes, sizes, strict=True)]
        z1 = matrices[self.absorbed] if codes else sparse.csr_array((n, 0))
        others = [m for i, m in enumerate(matrices) if i != self.absorbed]
        z2 = sparse.csr_array(sparse.hstack(others, format="csr")) if others else sparse.csr_array((n, 0))
        self.owner2 = self.owner[~self.first]
        self.n1 = np.asarray(z1.sum(axis=0), dtype=float).ravel()
        self.c12 = sparse.csr_array(z1.T @ z2)  # [q1, q2]
        self.z22 = (z2.T @ z2).toarray()
        self.z1q, self.z2q = np.asarray(z1.T @ basis), np.asarray(z2.T @ basis)
        self.z1y, self.z2y = np.asarray(z1.T @ residual), np.asarray(z2.T @ residual)

    def at(self, theta: Array) -> State:
        """Everything at the SD ratios `theta` [k]."""
        return State(self, theta)


def _indicator(codes: Codes, size: int) -> sparse.csr_array:
    rows = np.flatnonzero(codes >= 0)
    return sparse.csr_array((np.ones(len(rows)), (rows, codes[rows])), shape=(len(codes), size))


@dataclass(frozen=True)
class Curvature:
    """At theta and its profiled s2, over the variances [k + 1], the residual last."""

    variances: Array
    gradient: Array
    hessian: Array


class State:
    """The criterion at one theta; derivatives are worked out when they are asked for."""

    def __init__(self, problem: Problem, theta: Array) -> None:
        self.problem, self.theta = problem, theta
        ratio = float(theta[problem.absorbed]) ** 2 if problem.k else 0.0
        self.shrink = 1.0 / (1.0 + ratio * problem.n1)  # Z1'H^-1 = diag(shrink) Z1'
        weight = ratio * self.shrink
        self.scale = theta[problem.owner2]
        c, z1q = problem.c12, problem.z1q
        weighted = c.T @ (weight[:, None] * np.column_stack([z1q, problem.z1y]))
        w22 = problem.z22 - (c.T @ (c * weight[:, None])).toarray()
        w2q = problem.z2q - weighted[:, :-1]
        self.root_q = _cholesky(np.eye(problem.p) - z1q.T @ (weight[:, None] * z1q))
        self.half_2q = _solve(self.root_q, w2q.T)  # [p, q2]
        self.half_qy = _solve(self.root_q, -z1q.T @ (weight * problem.z1y))
        self.gram = w22 - self.half_2q.T @ self.half_2q
        self.zy = problem.z2y - weighted[:, -1] - self.half_2q.T @ self.half_qy
        inner = self.scale[:, None] * self.gram * self.scale
        inner[np.diag_indices_from(inner)] += 1.0
        self.lower = _cholesky(inner)
        self.half_y = _solve(self.lower, self.scale * self.zy)
        yy = problem.yy - float(weight @ problem.z1y**2) - float(self.half_qy @ self.half_qy)
        rss = yy - float(self.half_y @ self.half_y)
        self.s2 = max(rss, 1e-300) / problem.free
        self.criterion = (
            -float(np.log(self.shrink).sum())
            + 2 * float(np.log(np.diag(self.root_q)).sum() + np.log(np.diag(self.lower)).sum())
            + problem.log_xx
            + problem.free * (1 + np.log(2 * np.pi * self.s2))
        )

    @cached_property
    def half_gram(self) -> Array:
        return _solve(self.lower, self.scale[:, None] * self.gram)

    @cached_property
    def half_1q(self) -> Array:
        """[p, q1]: the absorbed term's part of the fixed effects."""
        return _solve(self.root_q, (self.shrink[:, None] * self.problem.z1q).T)

    @cached_property
    def cross(self) -> Array:
        """Z1'S Z2 [q1, q2]."""
        return np.asarray((self.problem.c12 * self.shrink[:, None]).toarray() - self.half_1q.T @ self.half_2q)

    @cached_property
    def half_cross(self) -> Array:
        return _solve(self.lower, self.scale[:, None] * self.cross.T)

    @cached_property
    def t(self) -> Array:
        """Z'P0 y of all terms [q]."""
        first = self.shrink * self.problem.z1y - self.half_1q.T @ self.half_qy - self.half_cross.T @ self.half_y
        return self._join(first, self.zy - self.half_gram.T @ self.half_y)

    @cached_property
    def diagonal(self) -> Array:
        """Diagonal of Z'P0 Z [q]."""
        first = self.problem.n1 * self.shrink - (self.half_1q**2).sum(axis=0) - (self.half_cross**2).sum(axis=0)
        return self._join(first, np.diag(self.gram) - (self.half_gram**2).sum(axis=0))

    def _join(self, first: Array, second: Array) -> Array:
        """Rows of the absorbed term and of the others, in the order of the terms."""
        out = np.empty((len(self.problem.owner), *first.shape[1:]))
        out[self.problem.first], out[~self.problem.first] = first, second
        return out

    def times(self, vectors: Array) -> Array:
        """Z'P0 Z @ vectors [q, m]."""
        one, two = vectors[self.problem.first], vectors[~self.problem.first]
        inner = self.half_cross @ one + self.half_gram @ two
        first = (self.problem.n1 * self.shrink)[:, None] * one - self.half_1q.T @ (self.half_1q @ one)
        return self._join(
            first + self.cross @ two - self.half_cross.T @ inner,
            self.cross.T @ one + self.gram @ two - self.half_gram.T @ inner,
        )

    def matrix(self) -> Array:
        """Z'P0 Z [q, q]."""
        first = self.problem.first
        out = np.empty((len(first), len(first)))
        corner = np.diag(self.problem.n1 * self.shrink) - self.half_1q.T @ self.half_1q
        side = self.cross - self.half_cross.T @ self.half_gram
        out[np.ix_(first, first)] = corner - self.half_cross.T @ self.half_cross
        out[np.ix_(first, ~first)], out[np.ix_(~first, first)] = side, side.T
        out[np.ix_(~first, ~first)] = self.gram - self.half_gram.T @ self.half_gram
        return out

    def _sum(self, values: Array) -> Array:
        """Sums over the columns of each term [k]."""
        return np.bincount(self.problem.owner, weights=values, minlength=self.problem.k).astype(np.float64)

    @cached_property
    def variances(self) -> Array:
        return np.append(self.s2 * self.theta**2, self.s2)

    @cached_property
    def trace(self) -> Array:
        """tr(P V_k) [k + 1]; P V P = P gives the residual's."""
        terms = self._sum(self.diagonal) / self.s2
        return np.append(terms, (self.problem.free - float(self.variances[:-1] @ terms)) / self.s2)

    @cached_property
    def quadratic(self) -> Array:
        """y'P V_k P y [k + 1]."""
        terms = self._sum(self.t**2) / self.s2**2
        return np.append(terms, (self.problem.free - float(self.variances[:-1] @ terms)) / self.s2)

    @property
    def gradient(self) -> Array:
        """Slope of the criterion over the variances [k + 1]; the residual's is 0, as s2 is profiled."""
        return self.trace - self.quadratic

    def information(self) -> Array:
        """Average information y'P V_k P V_l P y [k + 1, k + 1]: the criterion's Hessian, nearly, and positive."""
        k, tau = self.problem.k, self.variances[:-1]
        parts = np.zeros((len(self.problem.owner), k))
        parts[np.arange(len(parts)), self.problem.owner] = self.t
        terms = parts.T @ self.times(parts) / self.s2**3
        edge = (self.quadratic[:-1] - terms @ tau) / self.s2
        corner = (self.quadratic[-1] - float(tau @ edge)) / self.s2
        return np.block([[terms, edge[:, None]], [edge[None, :], np.array([[corner]])]])

    def curvature(self, t0_matrix: Array) -> Curvature:
        """Gradient and exact Hessian; `t0_matrix` is `matrix()`."""
        k, s2, tau = self.problem.k, self.s2, self.variances[:-1]
        big, t, column = t0_matrix / s2, self.t / s2, tau[self.problem.owner]
        squares = big**2
        second = (np.diag(big) - squares @ column) / s2  # diagonal of Z'PPZ
        t_second = (t - big @ (column * t)) / s2  # Z'PPy
        ypppy = (float(self.quadratic[-1]) - float(column @ (t * t_second))) / s2
        trace_second = (float(self.trace[-1]) - float(tau @ self._sum(second))) / s2
        indicator = np.zeros((len(t), k))
        indicator[np.arange(len(t)), self.problem.owner] = 1.0
        spread = indicator * t[:, None]
        hessian = np.empty((k + 1, k + 1))
        hessian[:-1, :-1] = 2 * spread.T @ (big @ spread) - indicator.T @ (squares @ indicator)
        hessian[-1, :-1] = hessian[:-1, -1] = self._sum(2 * t * t_second - second)
        hessian[-1, -1] = 2 * ypppy - trace_second
        return Curvature(self.variances, self.gradient, hessian)
