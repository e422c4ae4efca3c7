"""The families fitted to ramps by generalised least squares, each ramp alone and all together.

A ramp of device i is, on the scale of `scaled`,

    level(t) = start + range * h(v_i t),    h(s) = (1 - e^(-ν s)) / (1 - e^(-ν)),

h(s) = s at ν = 0, which is the linear family. `start` is the ramp's own, `range` and the
nonlinearity ν are the mean device's, and the slope factors v_i have the mean 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utils.measured.scaled import Group, Scaled
from utils.measured.whitening import Noise, Whitener

STEEPEST = 60.0  # |ν|: beyond, everything happens within a pulse or two
TRIED = np.concatenate([-np.geomspace(8, 0.1, 12), [0.0], np.geomspace(0.1, 30, 16)])
STEPS = 60  # of the search for a minimum, which needs about ten


def curve(time: np.ndarray, nonlinearity: np.ndarray | float) -> np.ndarray:
    """h at these times; both are broadcast against each other."""
    if np.ndim(nonlinearity) == 0 and abs(nonlinearity) >= 1e-7:  # often, and quickly
        return np.expm1(-nonlinearity * time) / np.expm1(-nonlinearity)
    time, nu = np.broadcast_arrays(np.asarray(time, float), np.asarray(nonlinearity, float))
    straight = np.abs(nu) < 1e-7
    safe = np.where(straight, 1.0, nu)
    return np.where(
        straight, time + nu * time * (1 - time) / 2, np.expm1(-safe * time) / np.expm1(-safe)
    )


def by_time(time: np.ndarray, nonlinearity: np.ndarray | float) -> np.ndarray:
    """dh/ds."""
    time, nu = np.broadcast_arrays(np.asarray(time, float), np.asarray(nonlinearity, float))
    straight = np.abs(nu) < 1e-7
    safe = np.where(straight, 1.0, nu)
    return np.where(straight, 1 + nu * (0.5 - time), -safe * np.exp(-safe * time) / np.expm1(-safe))


def by_nonlinearity(time: np.ndarray, nonlinearity: np.ndarray | float) -> np.ndarray:
    """dh/dν."""
    time, nu = np.broadcast_arrays(np.asarray(time, float), np.asarray(nonlinearity, float))
    small = np.abs(nu) < 1e-3  # where the difference below would cancel
    safe = np.where(small, 1.0, nu)
    whole = np.expm1(-safe)
    exact = (
        np.exp(-safe) * np.expm1(-safe * time) - time * np.exp(-safe * time) * whole
    ) / whole**2
    near = time * (1 - time) * (0.5 + nu * (1 - 2 * time) / 6)
    return np.where(small, near, exact)


class Whitened:
    """A group of ramps freed of what their noises correlate and of each ramp's own start."""

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
        """The start that fits each column best, [any]."""
        return (self.one.T @ self.whiten(columns))[0] / self.size


def whitened(scaled: Scaled, noise: Noise) -> list[Whitened]:
    return [Whitened(group, noise) for group in scaled.groups]


@dataclass(frozen=True, eq=False)
class Alone:
    """A family fitted to each ramp by itself: start, range, nonlinearity, each [ramps]."""

    start: np.ndarray
    range: np.ndarray
    nonlinearity: np.ndarray

    def level(self, group: Group) -> np.ndarray:
        """What it says of a group of ramps, [n, ramps]."""
        shape = curve(group.time[:, None], self.nonlinearity[group.ramps])
        return self.start[group.ramps] + self.range[group.ramps] * shape


def fit_each(groups: Sequence[Whitened], straight: bool) -> Alone:
    """Fit start, range and, unless straight, nonlinearity of every ramp."""
    n_ramps = sum(len(each.group.ramps) for each in groups)
    start, extent, nonlinearity = (np.zeros(n_ramps) for _ in range(3))
    for white in groups:
        ramps = white.group.ramps
        nu, size = search(white, np.array([0.0]) if straight else TRIED)
        if not straight:
            nu, size = refine(white, nu, size)
        extent[ramps], nonlinearity[ramps] = size, nu
        start[ramps] = white.starts(white.group.level - size * curve(white.group.time[:, None], nu))
    return Alone(start, extent, nonlinearity)


def search(white: Whitened, tried: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best of some nonlinearities for each ramp, and the range that goes with it."""
    shapes = white(curve(white.group.time[:, None], tried))  # [n, tried]
    product, square = shapes.T @ white.level, (shapes**2).sum(0)[:, None]  # [tried, ramps]
    best = (product**2 / square).argmax(0)
    return tried[best], np.take_along_axis(product / square, best[None], 0)[0]


def refine(white: Whitened, nu: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levenberg and Marquardt's method for all ramps of a group at once."""
    time = white.group.time[:, None]

    def residuals(nu, size):
        return white.level - size * white(curve(time, nu))

    left = residuals(nu, size)
    squares, damping = (left**2).sum(0), np.full_like(nu, 1e-3)
    for _ in range(STEPS):
        j = np.stack([white(curve(time, nu)), size * white(by_nonlinearity(time, nu))])
        normal = np.einsum("anr,bnr->rab", j, j)
        slope = np.einsum("anr,nr->ra", j, left)
        scale = np.einsum("raa->ra", normal)
        damped = normal + np.einsum("r,ra,ab->rab", damping, scale + 1e-300, np.eye(2))
        step = np.linalg.solve(damped, slope[..., None])[..., 0]
        new_size, new_nu = size + step[:, 0], np.clip(nu + step[:, 1], -STEEPEST, STEEPEST)
        new_left = residuals(new_nu, new_size)
        new_squares = (new_left**2).sum(0)
        better = new_squares <= squares
        moved = better & (np.abs(new_nu - nu) + np.abs(new_size - size) > 1e-12)
        nu, size = np.where(better, new_nu, nu), np.where(better, new_size, size)
        left, squares = np.where(better, new_left, left), np.where(better, new_squares, squares)
        damping = np.where(better, damping / 10, damping * 10)
        if not moved.any() and (better | (damping > 1e6)).all():
            break
    return nu, size
