"""The exponential curve of nonlinearity ν, derivatives of it, and its NeuroSim label.

    h(t) = (1 - e^(-ν t)) / (1 - e^(-ν)),    h(t) = t at ν = 0,

runs from 0 at t = 0 to 1 at t = 1, where t is the number of pulses as a fraction of those of the
range. Where ν > 0, each pulse changes the device by less than the pulse before it; where ν < 0, by
more. Source: the exponential device of `devices/responses.py`, in units of its range. Times and
nonlinearities go in; heights of the curve come out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

STRAIGHT = 1e-7  # |x| below which (1 - e^-x) / x is 1 - x / 2 to rounding
COMPLEX_STEP = 1e-30


def saturating(x: float | np.ndarray) -> np.ndarray:
    """(1 - e^-x) / x, which is 1 at 0; x is real, or has an imaginary part near 0."""
    line = np.asarray(1 - x / 2)
    return np.divide(-np.expm1(-x), x, out=line, where=np.abs(np.real(x)) >= STRAIGHT)


def curve(time: np.ndarray, nonlinearity: float | np.ndarray) -> np.ndarray:
    """h(t; ν) at times and nonlinearities, which are broadcast against each other."""
    return time * saturating(nonlinearity * time) / saturating(nonlinearity)


def nearest(
    time: np.ndarray, values: np.ndarray, grid: np.ndarray, some: np.ndarray | slice = slice(None)
) -> tuple[float, float, float]:
    """Start, size and ν of the curve start + size h(t; ν) that is nearest to values.

    time, values: [n]. grid: the nonlinearities that are tried. some: the places of the values that
    count, all by default.
    """
    shapes = grid_of_curves(time.tobytes(), grid.tobytes())[some]
    means, mean = shapes.mean(axis=0), values[some].mean()
    product, square = (values[some] - mean) @ (shapes - means), ((shapes - means) ** 2).sum(axis=0)
    best = int((product**2 / square).argmax())
    size = product[best] / square[best]
    return float(mean - size * means[best]), float(size), float(grid[best])


@lru_cache(maxsize=2)  # the ramps of a file are mostly read at the same times
def grid_of_curves(time: bytes, grid: bytes) -> np.ndarray:
    """h at float64 times and nonlinearities, [n, tried]."""
    return curve(np.frombuffer(time)[:, None], np.frombuffer(grid))


def derivative(function: Callable, x: float | np.ndarray) -> np.ndarray:
    """The derivative of an elementwise function at x, by a complex step.

    It is exact to rounding, since no two numbers are subtracted.

    Source: Squire and Trapp, SIAM Review 40 (1998) 110, doi:10.1137/S003614459631241X.
    """
    return function(x + COMPLEX_STEP * 1j).imag / COMPLEX_STEP


def jacobian(function: Callable, x: np.ndarray) -> np.ndarray:
    """The derivatives of a function of the vector x, [values, len(x)]."""
    directions = np.eye(len(x))
    return np.stack([derivative(lambda s, e=e: function(x + s * e), 0.0) for e in directions], 1)


def neurosim_label(nonlinearity: float, falling: bool = False) -> float:
    """The label NL = max |y - x| / (0.07 √2) of NeuroSim, x and y scaled to 0 ... 1 over the range.

    The distance is largest at x = ln(ν / (1 - e^-ν)) / ν. As in NeuroSim, a curve that saturates
    has a positive label on potentiation and a negative one on depression.
    """
    nu = abs(nonlinearity)
    if nu < 1e-6:
        label = nu / 8 / (0.07 * np.sqrt(2))
    else:
        x = -np.log(saturating(nu)) / nu
        label = (float(curve(x, nu)) - x) / (0.07 * np.sqrt(2))
    return float(np.sign(nonlinearity) * label * (-1 if falling else 1)) + 0.0
