"""How devices differ from each other, fitted to all ramps together by least squares.

They differ in their slope factors v_i, which stretch the pulses of the mean device, or in their
ranges, or in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.sparse import csr_matrix

from utils.measured.branch import Group
from utils.measured.curves import STEEPEST, by_nonlinearity, by_saturation, curve, saturating
from utils.measured.families import Whitened

MAX_DENSE = 40  # parameters of a fit up to which its matrix is not worth being sparse


@dataclass(frozen=True, eq=False)
class Variation:
    """How ramps are made from parameters θ. unit: [ramps], the unit of each, a device or a ramp.

    device: [units], the device of each unit.
    """

    unit: np.ndarray
    device: np.ndarray

    @property
    def n_units(self) -> int:
        return len(self.device)

    def mean_of_devices(self, value: np.ndarray) -> np.ndarray:
        """From [units] to [devices]."""
        return np.bincount(self.device, value) / np.bincount(self.device)

    def values(self, theta: np.ndarray, group: Group) -> np.ndarray:
        """Levels above the start, [n, ramps]."""
        raise NotImplementedError

    def derivatives(self, theta: np.ndarray, group: Group) -> list[tuple[np.ndarray, np.ndarray]]:
        """Which parameters, [ramps], and derivatives by them, [n, ramps]."""
        raise NotImplementedError

    def summary(self, theta: np.ndarray) -> np.ndarray:
        """Range and ν of the mean device, slope factors and range factors of all, [2 + 2 devices].

        The factors have the mean 1.
        """
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Ranges(Variation):
    """One ν, and a range for each unit; θ = (ν, ranges)."""

    def values(self, theta, group):
        return curve(group.time, theta[0])[:, None] * theta[1 + self.unit[group.ramps]]

    def derivatives(self, theta, group):
        own = 1 + self.unit[group.ramps]
        ones = np.ones(len(own))
        return [
            (0 * own, by_nonlinearity(group.time, theta[0])[:, None] * theta[own]),
            (own, curve(group.time, theta[0])[:, None] * ones),
        ]

    def summary(self, theta):
        ranges = self.mean_of_devices(theta[1:])
        mean = ranges.mean()
        return np.concatenate([[mean, theta[0]], np.ones_like(ranges), ranges / mean])


@dataclass(frozen=True, eq=False)
class Shapes(Variation):
    """A ν and a range for each device, so slope factors and range factors; θ = (ν_i, ranges)."""

    def values(self, theta, group):
        nus, sizes = np.split(theta, 2)
        of = self.unit[group.ramps]
        return np.stack([sizes[u] * curve(group.time, float(nus[u])) for u in of], axis=1)

    def derivatives(self, theta, group):
        nus, sizes = np.split(theta, 2)
        of = self.unit[group.ramps]
        by_nu = [sizes[u] * by_nonlinearity(group.time, float(nus[u])) for u in of]
        by_size = [curve(group.time, float(nus[u])) for u in of]
        return [(of, np.stack(by_nu, axis=1)), (self.n_units + of, np.stack(by_size, axis=1))]

    def summary(self, theta):
        nus, sizes = np.split(theta, 2)
        whole = sizes / -np.expm1(-nus)  # what the curve would reach in the end
        mean = nus.mean()
        size = -np.expm1(-mean) * whole.mean()
        return np.concatenate([[size, mean], nus / mean, whole / whole.mean()])


@dataclass(frozen=True, eq=False)
class Slopes(Variation):
    """One curve of level against pulses, run through at the pace m of each unit.

    level = z (1 - e^(-βz)) / (βz) with z = m t, so that β = 0 is the line; θ = (β, paces), or the
    paces alone where straight.
    """

    straight: bool

    def split(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        return (0.0, theta) if self.straight else (theta[0], theta[1:])

    def values(self, theta, group):
        beta, pace = self.split(theta)
        z = group.time[:, None] * pace[self.unit[group.ramps]]
        return z * saturating(beta * z)

    def derivatives(self, theta, group):
        beta, pace = self.split(theta)
        own = self.unit[group.ramps]
        z = group.time[:, None] * pace[own]
        by_pace = group.time[:, None] * np.exp(np.minimum(-beta * z, -STEEPEST))
        if self.straight:
            return [(own, by_pace)]
        return [(0 * own, z**2 * by_saturation(beta * z)), (1 + own, by_pace)]

    def summary(self, theta):
        beta, pace = self.split(theta)
        paces = self.mean_of_devices(pace)
        mean = paces.mean()
        nu = beta * mean
        size = float(mean * saturating(np.array(nu)))
        return np.concatenate([[size, nu], paces / mean, np.ones_like(paces)])


def solve(groups: Sequence[Whitened], model: Variation, theta: np.ndarray) -> np.ndarray:
    """The parameters of least squares, from there on."""
    columns = [np.arange(g.level.size).reshape(g.level.shape) for g in groups]
    ends = np.cumsum([0, *(g.level.size for g in groups)])

    def residuals(theta: np.ndarray) -> np.ndarray:
        return np.concatenate([(g(model.values(theta, g.group)) - g.level).ravel() for g in groups])

    def jacobian(theta: np.ndarray):
        rows, places, values = [], [], []
        for g, column, end in zip(groups, columns, ends, strict=False):
            for index, by in model.derivatives(theta, g.group):
                rows.append((column + end).ravel())
                places.append(np.broadcast_to(index, column.shape).ravel())
                values.append(g(by).ravel())
        at, entries = (np.concatenate(rows), np.concatenate(places)), np.concatenate(values)
        if len(theta) > MAX_DENSE:
            return csr_matrix((entries, at), shape=(ends[-1], len(theta)))
        matrix = np.zeros((ends[-1], len(theta)))
        matrix[at] = entries
        return matrix

    found = least_squares(
        residuals, theta, jacobian, x_scale="jac", ftol=1e-13, xtol=1e-12, gtol=1e-14, max_nfev=60
    )
    return found.x
