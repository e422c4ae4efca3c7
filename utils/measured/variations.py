"""How devices differ from each other, fitted to all ramps together by least squares.

They differ in their slope factors v_i, which stretch the pulses of the mean device, or in their
ranges, or in both.
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
    """How ramps are made from parameters θ.

    varies: what differs from device to device, "slopes", "ranges" or "both".
    level: (time [n, 1], parameters [ramps], real or complex) -> levels above the start, [n, ramps].
    mean: parameters of `level` [devices] -> range and ν of the mean device, and slope factors and
    range factors of all devices, both of mean 1, [devices].
    places: where in θ each parameter of `level` stands, [ramps of the branch] each.
    device: [ramps of the branch].
    """

    varies: str
    level: Callable[..., np.ndarray]
    mean: Callable[..., tuple]
    places: tuple[np.ndarray, ...]
    device: np.ndarray

    def summary(self, theta: np.ndarray) -> np.ndarray:
        """What `mean` says of the means over the ramps of each device, [2 + 2 devices]."""
        return np.hstack(self.mean(*(means(theta[place], self.device) for place in self.places)))

    def values(self, theta: np.ndarray, group: Group) -> np.ndarray:
        """Levels above the start, [n, ramps]."""
        return self.level(
            group.time[:, None], *(theta[places[group.ramps]] for places in self.places)
        )

    def derivatives(self, theta: np.ndarray, group: Group) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each parameter of `level`: places in θ, [ramps], and derivatives, [n, ramps]."""
        places = [place[group.ramps] for place in self.places]
        parameters = [theta[place] for place in places]

        def level_by(k: int) -> Callable:
            return lambda x: self.level(
                group.time[:, None], *parameters[:k], x, *parameters[k + 1 :]
            )

        return [(place, derivative(level_by(k), parameters[k])) for k, place in enumerate(places)]


def different_lines(data: BranchData, unit: np.ndarray) -> Variation:
    """A line for each unit; θ = slopes. unit: [ramps], a device or a ramp."""

    def level(time: np.ndarray, slope: np.ndarray) -> np.ndarray:
        return time * slope

    def mean(slope: np.ndarray) -> tuple:
        return slope.mean(), 0.0, slope / slope.mean(), np.ones_like(slope)

    return Variation("slopes", level, mean, (unit,), data.device)


def different_slopes(data: BranchData, unit: np.ndarray) -> Variation:
    """One curve, run through at the pace m of each unit; θ = (β, paces).

    level = z (1 - e^(-βz)) / (βz) with z = m t.
    """

    def level(time: np.ndarray, beta: np.ndarray, pace: np.ndarray) -> np.ndarray:
        z = time * pace
        x = beta * z
        return z * saturating(np.where(np.real(x) < STEEPEST, STEEPEST, x))

    def mean(beta: np.ndarray, pace: np.ndarray) -> tuple:
        whole = pace.mean()
        nu = beta[0] * whole
        return whole * saturating(nu), nu, pace / whole, np.ones_like(pace)

    return Variation("slopes", level, mean, (0 * unit, 1 + unit), data.device)


def different_ranges(data: BranchData, unit: np.ndarray) -> Variation:
    """One ν, and a range for each unit; θ = (ν, ranges)."""

    def mean(nu: np.ndarray, size: np.ndarray) -> tuple:
        return size.mean(), nu[0], np.ones_like(size), size / size.mean()

    return Variation("ranges", stretched, mean, (0 * unit, 1 + unit), data.device)


def different_shapes(data: BranchData) -> Variation:
    """A ν and a range for each device, so slope factors and range factors; θ = (ν_i, ranges)."""

    def mean(nu: np.ndarray, size: np.ndarray) -> tuple:
        whole = size / -np.expm1(-nu)  # what the curve would reach in the end
        size = -np.expm1(-nu.mean()) * whole.mean()
        return size, nu.mean(), nu / nu.mean(), whole / whole.mean()

    places = data.device, len(data.devices) + data.device
    return Variation("both", stretched, mean, places, data.device)


def stretched(time: np.ndarray, nonlinearity: np.ndarray, size: np.ndarray) -> np.ndarray:
    return size * curve(time, nonlinearity)


def means(value: np.ndarray, device: np.ndarray) -> np.ndarray:
    """The mean of each device, from [ramps] to [devices]."""
    members = device == np.arange(device.max() + 1)[:, None]
    return members @ value / members.sum(1)


def residuals(groups: Sequence[Whitened], model: Variation, theta: np.ndarray) -> np.ndarray:
    """Whitened, of all readings, [readings]."""
    return np.concatenate([(g(model.values(theta, g)) - g.white).ravel() for g in groups])


def design_matrix(
    groups: Sequence[Whitened], model: Variation, theta: np.ndarray
) -> np.ndarray | csr_matrix:
    """The derivatives of `residuals`, [readings, parameters]; sparse where there are many."""
    rows, columns, entries, end = [], [], [], 0
    for g in groups:
        readings = end + np.arange(g.level.size).reshape(g.level.shape)
        end += g.level.size
        for place, by in model.derivatives(theta, g):
            rows.append(readings.ravel())
            columns.append(np.broadcast_to(place, readings.shape).ravel())
            entries.append(g(by).ravel())
    at, values = (np.concatenate(rows), np.concatenate(columns)), np.concatenate(entries)
    if len(theta) > MAX_DENSE:
        return csr_matrix((values, at), shape=(end, len(theta)))
    matrix = np.zeros((end, len(theta)))
    matrix[at] = values
    return matrix


def normal_equations(
    groups: Sequence[Whitened], model: Variation, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of least squares: matrix [parameters, parameters] and gradient [parameters]."""
    left, matrix = residuals(groups, model, theta), csr_matrix(design_matrix(groups, model, theta))
    return (matrix.T @ matrix).toarray(), -(matrix.T @ left)


def solve(groups: Sequence[Whitened], model: Variation, theta: np.ndarray) -> OptimizeResult:
    """Least squares from these parameters on: `x` are the best ones, `cost` is half the misfit."""
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
