"""Linear and exponential curves fitted to the ramps of a branch by generalised least squares.

A ramp is modelled as

    y(t) = start + range * h(t; ν)

on the scale of `BranchData`, h being the curve of `curves`. For a given ν this is linear in start
and range, so only the best ν has to be searched: on a grid over all ν, then refined (variable
projection: Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413, doi:10.1137/0710036). Ramps and
their noises go in; nonlinearities, ranges and starts come out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from utils.measured.branch import BranchData, Group
from utils.measured.curves import COMPLEX_STEP, curve
from utils.measured.whitening import Noise, Whitener

STEEP = np.array([14, 17, 21, 27, 35, 45, 60.0])  # beyond, one or two pulses cross the range
GRID = np.concatenate([-STEEP[::-1], np.linspace(-12, 12, 49), STEEP])
TOLERANCE = 1e-10  # of ν
MAX_ROUNDS = 60


class Whitened(Group):
    """A group of ramps whose readings are whitened, and of which the start no longer matters.

    The whitened constant is projected out of every column, so that a start is fitted to each ramp
    without being a parameter. constant: the whitened constant, of norm 1, [n, 1]. size: its norm
    before. white: the levels, whitened and projected, [n, ramps].
    """

    def __init__(self, group: Group, noise: Noise):
        super().__init__(**vars(group))
        self.whiten = Whitener(self.time, noise)
        ones = self.whiten(np.ones((len(self.time), 1)))
        self.size = float(np.linalg.norm(ones))
        self.constant = ones / self.size
        self.white = self(self.level)

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """Whiten columns [n, any], real or complex, and project the constant out of them."""
        white = self.whiten(columns)
        return white - self.constant @ (self.constant.T @ white)

    def starts(self, columns: np.ndarray) -> np.ndarray:
        """The constant that fits each column best; [n, any] -> [any]."""
        return (self.constant.T @ self.whiten(columns))[0] / self.size

    @cached_property
    def grid(self) -> np.ndarray:
        """The curves of all nonlinearities of `GRID`, [n, len(GRID)]."""
        return self(curve(self.time[:, None], GRID))


def whitened(data: BranchData, noise: Noise) -> list[Whitened]:
    return [Whitened(group, noise) for group in data.groups]


def fit_shapes(
    groups: Sequence[Whitened], unit: np.ndarray, shape: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best nonlinearities, [shapes], and the ranges that belong to them, [units].

    unit, shape: int [ramps of the branch]. Ramps of equal `unit` share a range, and ramps of equal
    `shape` share a nonlinearity.
    """
    product, square = np.zeros((2, unit.max() + 1, len(GRID)))
    for group in groups:
        np.add.at(product, unit[group.ramps], group.white.T @ group.grid)
        np.add.at(square, unit[group.ramps], (group.grid**2).sum(0))
    best = explained(product, square, unit, shape).argmax(1)
    low, high = GRID[np.maximum(best - 1, 0)], GRID[np.minimum(best + 1, len(GRID) - 1)]
    nonlinearity = zero_between(low, high, lambda nu: fit_ranges(groups, unit, shape, nu)[1])
    return nonlinearity, fit_ranges(groups, unit, shape, nonlinearity)[0]


def fit_ranges(
    groups: Sequence[Whitened], unit: np.ndarray, shape: np.ndarray, nonlinearity: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best ranges, [units], for given nonlinearities, [shapes].

    Returns also half the derivative of the sum of squares with respect to each nonlinearity,
    [shapes], by a complex step as in `curves.derivative`. unit, shape: as in `fit_shapes`.
    """
    product, square = np.zeros((2, unit.max() + 1), complex)
    for group in groups:
        present, column = np.unique(shape[group.ramps], return_inverse=True)
        tried = nonlinearity[present] + COMPLEX_STEP * 1j
        curves = group(curve(group.time[:, None], tried))[:, column]
        np.add.at(product, unit[group.ramps], (curves * group.white).sum(0))
        np.add.at(square, unit[group.ramps], (curves**2).sum(0))
    slope = -np.imag(explained(product, square, unit, shape)) / (2 * COMPLEX_STEP)
    return np.real(product / square), slope


def explained(
    product: np.ndarray, square: np.ndarray, unit: np.ndarray, shape: np.ndarray
) -> np.ndarray:
    """By how much the best ranges lower the sum of squares; [units, ...] -> [shapes, ...].

    product: of curves and levels; square: of curves with themselves.
    """
    shape_of_unit = np.zeros(len(product), int)
    shape_of_unit[unit] = shape
    total = np.zeros((shape.max() + 1, *product.shape[1:]), product.dtype)
    np.add.at(total, shape_of_unit, product**2 / square)
    return total


@np.errstate(all="ignore")
def zero_between(
    low: np.ndarray, high: np.ndarray, function: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """The zeros of several functions at once, each between its limits low and high, [functions].

    The method is false position, in which the value at a limit that stays is reduced: Anderson and
    Björck, BIT 13 (1973) 253, doi:10.1007/BF01951936. A function that is positive throughout gives
    its low limit, and one that is negative throughout gives its high limit. (SciPy's vectorised
    `find_root` gives no result for functions without a change of sign.)
    """
    tiny = 1e-200
    a, of_a = low, np.minimum(function(low), -tiny)
    b, of_b = high, np.maximum(function(high), tiny)
    for _ in range(MAX_ROUNDS):
        x = b - of_b * (b - a) / (of_b - of_a)
        of_x = function(x)
        passed, ratio = (of_x > 0) != (of_b > 0), of_x / of_b
        less = of_a * np.where(ratio < 1, 1 - ratio, 0.5)
        a, of_a = np.where(passed, b, a), np.where(passed, of_b, less)
        b, of_b = x, of_x
        if ((np.abs(b - a) < TOLERANCE) | (of_b == 0)).all():
            break
    return b


@dataclass(frozen=True, eq=False)
class RampFits:
    """Fits in which no two ramps share a parameter; all [ramps]."""

    start: np.ndarray
    range: np.ndarray
    nonlinearity: np.ndarray

    def level(self, group: Group) -> np.ndarray:
        """The fits of the ramps of a group, [n, ramps]."""
        shapes = curve(group.time[:, None], self.nonlinearity[group.ramps])
        return self.start[group.ramps] + self.range[group.ramps] * shapes


def fit_each_ramp(data: BranchData, groups: Sequence[Whitened], straight: bool) -> RampFits:
    """A straight line or an exponential for every ramp."""
    places, start = np.arange(data.n_ramps), np.zeros(data.n_ramps)
    if straight:
        nonlinearity = np.zeros(data.n_ramps)
        size, _ = fit_ranges(groups, places, 0 * places, nonlinearity[:1])
    else:
        nonlinearity, size = fit_shapes(groups, places, places)
    fits = RampFits(start, size, nonlinearity)
    for group in groups:
        start[group.ramps] = group.starts(group.level - fits.level(group))
    return fits
