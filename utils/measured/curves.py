"""The exponential curve in units of its own range, its derivatives, and NeuroSim's label of it.

h(t) = (1 - e^(-ν t)) / (1 - e^(-ν)) runs from 0 at t = 0 to 1 at t = 1, where t is the number of
pulses as a fraction of those of the range; h(t) = t at ν = 0. Each pulse does less than the one
before where ν > 0, and more where ν < 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

STRAIGHT = 1e-7  # below which (1 - e^-x) / x is a line to rounding
COMPLEX_STEP = 1e-30


def saturating(x: float | np.ndarray) -> np.ndarray:
    """(1 - e^-x) / x, which is 1 at 0; x is real, or has an imaginary part near 0."""
    line = np.asarray(1 - x / 2)
    return np.divide(-np.expm1(-x), x, out=line, where=np.abs(np.real(x)) >= STRAIGHT)


def curve(time: np.ndarray, nonlinearity: float | np.ndarray) -> np.ndarray:
    """h at these times and nonlinearities, which are broadcast against each other."""
    return time * saturating(nonlinearity * time) / saturating(nonlinearity)


def nearest(
    time: np.ndarray, values: np.ndarray, grid: np.ndarray, some: np.ndarray | slice = slice(None)
) -> tuple[float, float, float]:
    """Start, size and ν of start + size h(time; ν), ν of this grid, nearest to some values.

    time, values: [n].
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
    """Of an elementwise function, by a complex step: exact to rounding, as nothing is subtracted.

    Source: Squire and Trapp, SIAM Review 40 (1998) 110, doi:10.1137/S003614459631241X.
    """
    return function(x + COMPLEX_STEP * 1j).imag / COMPLEX_STEP


def jacobian(function: Callable, x: np.ndarray) -> np.ndarray:
    """Derivatives of a function of several numbers, [values, numbers]."""
    directions = np.eye(len(x))
    return np.stack([derivative(lambda s, e=e: function(x + s * e), 0.0) for e in directions], 1)


def neurosim_label(nonlinearity: float, falling: bool = False) -> float:
    """NL = max |y - x| / (0.07 sqrt 2), x and y both scaled to 0 ... 1 over the range, signed.

    As NeuroSim has it, curves that saturate are positive on potentiation, negative on depression.
    The distance is largest at x = ln(ν / (1 - e^-ν)) / ν.
    """
    nu = abs(nonlinearity)
    if nu < 1e-6:
        label = nu / 8 / (0.07 * np.sqrt(2))
    else:
        x = -np.log(saturating(nu)) / nu
        label = (float(curve(x, nu)) - x) / (0.07 * np.sqrt(2))
    return float(np.sign(nonlinearity) * label * (-1 if falling else 1)) + 0.0
