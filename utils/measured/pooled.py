"""One family fitted to all ramps together: the mean device, and how far each device is from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import helmert

from utils.measured.families import STEEPEST, TRIED, Whitened, by_nonlinearity, by_time, curve

STEPS = 100


@dataclass(frozen=True, eq=False)
class Pooled:
    """The mean device of a family and the slope factors of all devices.

    range, nonlinearity: of the mean device; slopes: v_i, float64 [devices], of mean 1; covariance:
    of (range, nonlinearity, v_1, v_2, ...), what a family does not fit being without error; start:
    [ramps]; start_by: derivative of the mean start by the same parameters; start_error: of the mean
    start with these parameters known; squares: sum of whitened squares; spare: readings less
    parameters; aicc; residual: levels less the fit, an array [n, ramps] for each group.
    """

    range: float
    nonlinearity: float
    slopes: np.ndarray
    covariance: np.ndarray
    start: np.ndarray
    start_by: np.ndarray
    start_error: float
    squares: float
    spare: int
    aicc: float
    residual: tuple[np.ndarray, ...]

    @property
    def scatter(self) -> float:
        """Factor by which the ramps scatter more about the pooled fit than their noise tells."""
        return max(1.0, float(np.sqrt(self.squares / self.spare))) if self.spare > 0 else 1.0


@dataclass(frozen=True)
class Shape:
    """A family as the pooled fit sees it: value(s, range, ν) and its derivatives.

    by_range and by_nonlinearity are None where the family does not fit them.
    """

    value: Callable
    by_time: Callable
    by_range: Callable | None = None
    by_nonlinearity: Callable | None = None
    knots: int = 0  # parameters that were fitted beforehand


LINEAR = Shape(
    value=lambda s, size, nu: size * s,
    by_time=lambda s, size, nu: np.full_like(s, size),
    by_range=lambda s, size, nu: s,
)
EXPONENTIAL = Shape(
    value=lambda s, size, nu: size * curve(s, nu),
    by_time=lambda s, size, nu: size * by_time(s, nu),
    by_range=lambda s, size, nu: curve(s, nu),
    by_nonlinearity=lambda s, size, nu: size * by_nonlinearity(s, nu),
)


class Problem:
    """Least squares over all ramps; parameters (range, ν, v_1, v_2, ...), [2 + devices]."""

    def __init__(self, groups: Sequence[Whitened], shape: Shape, n_devices: int):
        self.groups, self.shape, self.n_devices = groups, shape, n_devices
        # The directions in which parameters may go: slope factors keep their mean.
        free = np.zeros((2 + n_devices, 2 + n_devices - 1))
        free[:2, :2] = np.eye(2)
        if n_devices > 1:
            free[2:, 2:] = helmert(n_devices).T
        kept = [shape.by_range is not None, shape.by_nonlinearity is not None]
        self.free = free[:, kept + [True] * (n_devices - 1)]

    def values(self, theta: np.ndarray) -> list[np.ndarray]:
        return [
            self.shape.value(each.group.time[:, None] * theta[2 + each.group.device], *theta[:2])
            for each in self.groups
        ]

    def residuals(self, theta: np.ndarray) -> list[np.ndarray]:
        values = self.values(theta)
        return [g.level - g(value) for g, value in zip(self.groups, values, strict=True)]

    def derivatives(self, theta: np.ndarray, each: Whitened) -> tuple[np.ndarray, ...]:
        """By range, ν and the ramp's own slope factor, each [n, ramps], not whitened."""
        time = each.group.time[:, None]
        s = time * theta[2 + each.group.device]
        none = np.zeros_like(s)
        return (
            self.shape.by_range(s, *theta[:2]) if self.shape.by_range else none,
            self.shape.by_nonlinearity(s, *theta[:2]) if self.shape.by_nonlinearity else none,
            time * self.shape.by_time(s, *theta[:2]),
        )

    def normal(self, theta, residuals) -> tuple[np.ndarray, np.ndarray]:
        """JᵀJ and Jᵀr over all parameters."""
        matrix, slope = np.zeros((len(theta), len(theta))), np.zeros(len(theta))
        for each, left in zip(self.groups, residuals, strict=True):
            j = np.stack([each(column) for column in self.derivatives(theta, each)])
            products = np.einsum("anr,bnr->rab", j, j)
            slopes = np.einsum("anr,nr->ra", j, left)
            own = 2 + each.group.device
            matrix[:2, :2] += products[:, :2, :2].sum(0)
            slope[:2] += slopes[:, :2].sum(0)
            for row in (0, 1):
                np.add.at(matrix[row], own, products[:, row, 2])
            np.add.at(matrix, (own, own), products[:, 2, 2])
            np.add.at(slope, own, slopes[:, 2])
        matrix[2:, :2] = matrix[:2, 2:].T
        return matrix, slope

    def solve(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Levenberg and Marquardt's method from there; sum of squares and parameters."""
        residuals = self.residuals(theta)
        squares, damping = total(residuals), 1e-3
        if self.free.shape[1] == 0:
            return squares, theta
        matrix, slope = self.normal(theta, residuals)
        for _ in range(STEPS):
            inner = self.free.T @ matrix @ self.free
            damped = inner + damping * np.diag(np.diag(inner) + 1e-300)
            step = self.free @ np.linalg.solve(damped, self.free.T @ slope)
            new = theta + step
            new[1] = np.clip(new[1], -STEEPEST, STEEPEST)
            new_residuals = self.residuals(new)
            new_squares = total(new_residuals)
            if new_squares <= squares:
                done = squares - new_squares <= 1e-9 * squares
                theta, residuals, squares = new, new_residuals, new_squares
                if done:
                    break
                damping /= 10
                matrix, slope = self.normal(theta, residuals)
            elif damping > 1e9:
                break
            else:
                damping *= 10
        return squares, theta


def total(residuals: Sequence[np.ndarray]) -> float:
    return sum(float((left**2).sum()) for left in residuals)


def fit_all(
    groups: Sequence[Whitened], shape: Shape, n_devices: int, slopes: np.ndarray | None = None
) -> Pooled:
    """Fit the mean device and every slope factor; slopes: about what they are, if that is known."""
    problem = Problem(groups, shape, n_devices)
    squares, theta = problem.solve(starting_point(problem, slopes))
    matrix, _ = problem.normal(theta, problem.residuals(theta))
    free = problem.free
    covariance = free @ np.linalg.pinv(free.T @ matrix @ free, hermitian=True) @ free.T
    n_ramps = sum(len(each.group.ramps) for each in groups)
    n = sum(each.group.level.size for each in groups)
    parameters = free.shape[1] + n_ramps + shape.knots
    determinants = sum(len(each.group.ramps) * each.whiten.log_determinant for each in groups)
    start, by, variance, residual = np.zeros(n_ramps), np.zeros(len(theta)), 0.0, []
    for each, value in zip(groups, problem.values(theta), strict=True):
        own = each.group
        start[own.ramps] = each.starts(own.level - value)
        residual.append(own.level - start[own.ramps] - value)
        variance += len(own.ramps) / each.size**2 / n_ramps**2
        columns = [each.starts(column) / n_ramps for column in problem.derivatives(theta, each)]
        by[:2] -= columns[0].sum(), columns[1].sum()
        np.subtract.at(by, 2 + own.device, columns[2])
    return Pooled(
        range=float(theta[0]), nonlinearity=float(theta[1]), slopes=theta[2:].copy(),
        covariance=covariance, start=start, start_by=by, start_error=float(np.sqrt(variance)),
        squares=squares, spare=n - parameters, aicc=aicc(squares + determinants, n, parameters),
        residual=tuple(residual),
    )  # fmt: skip


def aicc(deviance: float, n: int, parameters: int) -> float:
    """Akaike's criterion with its correction for few data; deviance: -2 log-likelihood."""
    spare = n - parameters - 1
    if spare <= 0:
        return np.inf
    return deviance + 2 * parameters + 2 * parameters * (parameters + 1) / spare


def starting_point(problem: Problem, slopes: np.ndarray | None) -> np.ndarray:
    """The best of some nonlinearities, of equal devices, or of those that differ as lines do."""
    tried = [np.ones(problem.n_devices)] if slopes is None else [slopes]
    if slopes is None and problem.n_devices > 1:
        tried.append(slopes_of_lines(problem))
    nonlinearities = TRIED if problem.shape.by_nonlinearity else np.zeros(1)
    points = [np.concatenate([[1.0, nu], each]) for each in tried for nu in nonlinearities]
    if problem.shape.by_range is not None:
        for theta in points:
            theta[0] = best_size(problem, theta)
    return min(points, key=lambda theta: total(problem.residuals(theta)))


def slopes_of_lines(problem: Problem) -> np.ndarray:
    """Slope factors of the devices as straight lines give them."""
    rates, counts = np.zeros(problem.n_devices), np.zeros(problem.n_devices)
    for each in problem.groups:
        line = each(each.group.time[:, None])
        np.add.at(rates, each.group.device, (line.T @ each.level)[0] / float((line**2).sum()))
        np.add.at(counts, each.group.device, 1)
    rates /= counts
    slopes = np.clip(rates / rates.mean(), 0.2, 5.0)
    return slopes / slopes.mean()


def best_size(problem: Problem, theta: np.ndarray) -> float:
    """The range that fits best with the other parameters as they are."""
    product = square = 0.0
    for each, value in zip(problem.groups, problem.values(theta), strict=True):
        white = each(value)
        product += float((white * each.level).sum())
        square += float((white**2).sum())
    return theta[0] * product / square
