"""How devices differ from each other: models with parameters θ, and their least squares.

The mean device has the curve f(t) above its start. Device i has f(v_i t), with a slope factor v_i
that stretches the pulses, or r_i f(t), with a range factor r_i, or both; the factors have mean 1.
Whitened ramps of a branch and a model go in; residuals, their derivatives and the best θ come out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, least_squares
from scipy.sparse import csr_matrix

from utils.measured.branch import BranchData, Group
from utils.measured.curves import curve, derivative, saturating
from utils.measured.families import Whitened

MAX_DENSE = 40  # parameters of a fit up to which its matrix is not worth being sparse
STEEPEST = -100.0  # of a curve that an optimiser may try, so that no number overflows


@dataclass(frozen=True, eq=False)
class Variation:
    """A model of all ramps of a branch, with a vector θ of parameters.

    varies: what differs from device to device, "slopes", "ranges" or "both". level: a function from
    times [n, 1] and parameters [ramps], real or complex, to levels above the start, [n, ramps].
    mean: a function from the same parameters, averaged for each device, [devices], to the range and
    the ν of the mean device, the slope factors and the range factors, [devices]. places: for each
    parameter of `level` its indices in θ, int [ramps of the branch]. device: int [ramps of the
    branch].
    """

    varies: str
    level: Callable[..., np.ndarray]
    mean: Callable[..., tuple]
    places: tuple[np.ndarray, ...]
    device: np.ndarray

    def summary(self, theta: np.ndarray) -> np.ndarray:
        """Range, ν, slope factors and range factors, [2 + 2 devices]."""
        return np.hstack(self.mean(*(means(theta[place], self.device) for place in self.places)))

    def values(self, theta: np.ndarray, group: Group) -> np.ndarray:
        """Levels above the start, [n, ramps]."""
        return self.level(
            group.time[:, None], *(theta[places[group.ramps]] for places in self.places)
        )

    def derivatives(self, theta: np.ndarray, group: Group) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each parameter of `level` its indices in θ, [ramps], and derivatives, [n, ramps]."""
        places = [place[group.ramps] for place in self.places]
        parameters = [theta[place] for place in places]

        def level_by(k: int) -> Callable:
            return lambda x: self.level(
                group.time[:, None], *parameters[:k], x, *parameters[k + 1 :]
            )

        return [(place, derivative(level_by(k), parameters[k])) for k, place in enumerate(places)]


def different_lines(data: BranchData, unit: np.ndarray) -> Variation:
    """Every unit has a straight line; θ = slopes.

    unit: int [ramps]. Ramps of equal unit share a parameter: the ramps of a device, or each alone.
    """

    def level(time: np.ndarray, slope: np.ndarray) -> np.ndarray:
        return time * slope

    def mean(slope: np.ndarray) -> tuple:
        return slope.mean(), 0.0, slope / slope.mean(), np.ones_like(slope)

    return Variation("slopes", level, mean, (unit,), data.device)


def different_slopes(data: BranchData, unit: np.ndarray) -> Variation:
    """All units follow one exponential curve, each at a pace m of its own; θ = (β, paces).

    The level is (1 - e^(-β z)) / β with z = m t. unit: as in `different_lines`.
    """

    def level(time: np.ndarray, beta: np.ndarray, pace: np.ndarray) -> np.ndarray:
        z = time * pace
        x = beta * z
        return z * saturating(np.where(np.real(x) < STEEPEST, STEEPEST, x))

    def mean(beta: np.ndarray, pace: np.ndarray) -> tuple:
        mean_pace = pace.mean()
        nu = beta[0] * mean_pace
        return mean_pace * saturating(nu), nu, pace / mean_pace, np.ones_like(pace)

    return Variation("slopes", level, mean, (0 * unit, 1 + unit), data.device)


def different_ranges(data: BranchData, unit: np.ndarray) -> Variation:
    """All units share ν, and each has a range of its own; θ = (ν, ranges).

    unit: as in `different_lines`.
    """

    def mean(nu: np.ndarray, size: np.ndarray) -> tuple:
        return size.mean(), nu[0], np.ones_like(size), size / size.mean()

    return Variation("ranges", stretched, mean, (0 * unit, 1 + unit), data.device)


def different_shapes(data: BranchData) -> Variation:
    """Every device has a ν and a range, so both factors differ; θ = (ν of devices, ranges)."""

    def mean(nu: np.ndarray, size: np.ndarray) -> tuple:
        asymptote = size / -np.expm1(-nu)  # of the curve after endless pulses
        mean_size = -np.expm1(-nu.mean()) * asymptote.mean()
        return mean_size, nu.mean(), nu / nu.mean(), asymptote / asymptote.mean()

    places = data.device, len(data.devices) + data.device
    return Variation("both", stretched, mean, places, data.device)


def stretched(time: np.ndarray, nonlinearity: np.ndarray, size: np.ndarray) -> np.ndarray:
    return size * curve(time, nonlinearity)


def means(value: np.ndarray, device: np.ndarray) -> np.ndarray:
    """The mean of a quantity of ramps for each device; [ramps] -> [devices]."""
    members = device == np.arange(device.max() + 1)[:, None]
    return members @ value / members.sum(1)


def residuals(groups: Sequence[Whitened], model: Variation, theta: np.ndarray) -> np.ndarray:
    """The model less the readings, both whitened, [readings of all groups]."""
    return np.concatenate([(g(model.values(theta, g)) - g.white).ravel() for g in groups])


def design_matrix(
    groups: Sequence[Whitened], model: Variation, theta: np.ndarray
) -> np.ndarray | csr_matrix:
    """The derivatives of `residuals`, [readings, parameters]; sparse for many parameters."""
    rows, columns, entries, end = [], [], [], 0
    for g in groups:
        readings = end + np.arange(g.level.size).reshape(g.level.shape)
        end += g.level.size
        for place, by in model.derivatives(theta, g):
            rows.append(readings.ravel())
            columns.append(np.broadcast_to(place, readings.shape).ravel())
            entries.append(g(by).ravel())
    positions, values = (np.concatenate(rows), np.concatenate(columns)), np.concatenate(entries)
    if len(theta) > MAX_DENSE:
        return csr_matrix((values, positions), shape=(end, len(theta)))
    matrix = np.zeros((end, len(theta)))
    matrix[positions] = values
    return matrix


def normal_equations(
    groups: Sequence[Whitened], model: Variation, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Matrix JᵀJ, [parameters, parameters], and right side -Jᵀ residuals, [parameters].

    J is the design matrix.
    """
    matrix = csr_matrix(design_matrix(groups, model, theta))
    return (matrix.T @ matrix).toarray(), -(matrix.T @ residuals(groups, model, theta))


def solve(groups: Sequence[Whitened], model: Variation, theta: np.ndarray) -> OptimizeResult:
    """Least squares, begun at θ. In the result `x` is the best θ, and `cost` half the squares."""
    return least_squares(
        lambda theta: residuals(groups, model, theta),
        theta,
        lambda theta: design_matrix(groups, model, theta),
        x_scale="jac",
        ftol=1e-13,
        xtol=1e-12,
        gtol=1e-14,
        max_nfev=60,
    )
