"""Linear and exponential curves fitted to the ramps of a branch by generalised least squares.

A ramp is start + range * h(t; ν) on the scale of `BranchData`. For a given ν it is linear in start
and range, so the best ν is the minimum of a function of one variable (variable projection): the
best of a grid, refined.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import minimize_scalar

from utils.measured.branch import BranchData, Group
from utils.measured.curves import curve
from utils.measured.whitening import Noise, Whitener

STEEP = np.array([14, 17, 21, 27, 35, 45, 60.0])  # beyond, all happens within a pulse or two
GRID = np.concatenate([-STEEP[::-1], np.linspace(-12, 12, 49), STEEP])


class Whitened:
    """A group of ramps freed of what their noises correlate and of the start of each ramp."""

    def __init__(self, group: Group, noise: Noise):
        self.group = group
        self.whiten = Whitener(group.time, noise)
        ones = self.whiten(np.ones((len(group.time), 1)))
        self.size = float(np.linalg.norm(ones))
        self.one = ones / self.size  # [n, 1]
        self.level = self(group.level)  # [n, ramps]

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """columns: [n, any]."""
        white = self.whiten(columns)
        return white - self.one @ (self.one.T @ white)

    def starts(self, columns: np.ndarray) -> np.ndarray:
        """The best start of each of some columns; [n, any] -> [any]."""
        return (self.one.T @ self.whiten(columns))[0] / self.size

    @cached_property
    def grid(self) -> np.ndarray:
        """The curves of all nonlinearities of the grid, [n, tried]."""
        return self(curve(self.group.time[:, None], GRID))

    def shape(self, nonlinearity: float) -> np.ndarray:  # [n, 1]
        return self(curve(self.group.time[:, None], nonlinearity))

    def only(self, chosen: np.ndarray | list[int]) -> Whitened:
        """The chosen ones of its ramps; chosen: their places in the group, or a mask of these."""
        part, group = copy(self), self.group
        ramps, device = group.ramps[chosen], group.device[chosen]
        part.group = Group(group.time, group.level[:, chosen], ramps, device)
        part.level = self.level[:, chosen]
        return part


def whitened(data: BranchData, noise: Noise) -> list[Whitened]:
    return [Whitened(group, noise) for group in data.groups]


def common_shape(
    groups: Sequence[Whitened], unit: np.ndarray, straight: bool = False
) -> tuple[float, np.ndarray]:
    """The best ν of all ramps of the groups together, and the range of each unit.

    unit: [ramps of the branch], which ramps share a range.
    """
    own = [unit[g.group.ramps] for g in groups]

    def project(shapes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Products with the levels and squares, [units, shapes]."""
        product, square = np.zeros((2, unit.max() + 1, shapes[0].shape[1]))
        for group, units, shape in zip(groups, own, shapes, strict=True):
            np.add.at(product, units, group.level.T @ shape)
            np.add.at(square, units, (shape**2).sum(0))
        return product, square

    def sizes(nu: float) -> tuple[np.ndarray, list[np.ndarray]]:
        shapes = [group.shape(nu) for group in groups]
        product, square = project(shapes)
        return (product / square)[:, 0], shapes

    def misfit(nu: float) -> float:
        size, shapes = sizes(nu)
        parts = zip(groups, own, shapes, strict=True)
        return sum(float(((g.level - shape * size[u]) ** 2).sum()) for g, u, shape in parts)

    if straight:
        return 0.0, sizes(0.0)[0]
    product, square = project([group.grid for group in groups])
    best = int((product**2 / square).sum(0).argmax())
    limits = GRID[max(best - 1, 0)], GRID[min(best + 1, len(GRID) - 1)]
    found = minimize_scalar(
        misfit, bounds=limits, method="bounded", options={"xatol": 1e-10, "maxiter": 60}
    )
    return float(found.x), sizes(float(found.x))[0]


@dataclass(frozen=True, eq=False)
class RampFits:
    """Every ramp fitted on its own; all [ramps]."""

    start: np.ndarray
    range: np.ndarray
    nonlinearity: np.ndarray

    def level(self, group: Group) -> np.ndarray:
        """The fits of the ramps of a group, [n, ramps]."""
        shapes = curve(group.time[:, None], self.nonlinearity[group.ramps])
        return self.start[group.ramps] + self.range[group.ramps] * shapes


def fit_each_ramp(data: BranchData, groups: Sequence[Whitened], straight: bool) -> RampFits:
    start, size, nonlinearity = np.zeros((3, data.n_ramps))
    one_unit = np.zeros(data.n_ramps, int)
    for group in groups:
        for column, ramp in enumerate(group.group.ramps):
            alone = group.only([column])
            nonlinearity[ramp], (size[ramp],) = common_shape([alone], one_unit, straight)
            fitted = size[ramp] * curve(group.group.time[:, None], nonlinearity[ramp])
            start[ramp] = group.starts(alone.group.level - fitted)[0]
    return RampFits(start, size, nonlinearity)
