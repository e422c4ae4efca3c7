"""The exponential curve in units of its own range, and NeuroSim's label of it.

h(t) = (1 - e^(-ν t)) / (1 - e^(-ν)) runs from 0 at t = 0 to 1 at t = 1, where t is the number of
pulses as a fraction of those of the range; h(t) = t at ν = 0. Each pulse does less than the one
before where ν > 0, and more where ν < 0.
"""

from __future__ import annotations

import numpy as np

STRAIGHT = 1e-7  # |ν| below which h is a line to rounding
STEEPEST = -100.0  # of a curve that an optimiser may try, so that no number overflows


def curve(time: np.ndarray, nonlinearity: float) -> np.ndarray:
    """h at these times; the shape of `time`."""
    if abs(nonlinearity) < STRAIGHT:
        return time + nonlinearity * time * (1 - time) / 2
    return np.expm1(-nonlinearity * time) / np.expm1(-nonlinearity)


def by_nonlinearity(time: np.ndarray, nonlinearity: float) -> np.ndarray:
    """dh/dν; the shape of `time`."""
    nu = nonlinearity
    if abs(nu) < 1e-3:  # where the difference below would cancel
        return time * (1 - time) * (0.5 + nu * (1 - 2 * time) / 6)
    whole = np.expm1(-nu)
    return (np.exp(-nu) * np.expm1(-nu * time) - time * np.exp(-nu * time) * whole) / whole**2


def saturating(x: np.ndarray) -> np.ndarray:
    """(1 - e^-x) / x, which is 1 at 0."""
    safe = np.where(x == 0, 1.0, np.maximum(x, STEEPEST))
    return np.where(x == 0, 1.0, -np.expm1(-safe) / safe)


def by_saturation(x: np.ndarray) -> np.ndarray:
    """The derivative of `saturating`."""
    small = np.abs(x) < 1e-3
    safe = np.where(small, 1.0, np.maximum(x, STEEPEST))
    exact = (np.exp(-safe) * (1 + safe) - 1) / safe**2
    return np.where(small, -1 / 2 + x / 3 - x**2 / 8, exact)


def neurosim_label(nonlinearity: float, falling: bool = False) -> float:
    """NL = max |y - x| / (0.07 sqrt 2), x and y both scaled to 0 ... 1 over the range, signed.

    As NeuroSim has it, curves that saturate are positive on potentiation, negative on depression.
    The distance is largest at x = ln(ν / (1 - e^-ν)) / ν.
    """
    nu = abs(nonlinearity)
    if nu < 1e-6:
        label = nu / 8 / (0.07 * np.sqrt(2))
    else:
        x = np.log(nu / -np.expm1(-nu)) / nu
        label = (float(curve(np.array(x), nu)) - x) / (0.07 * np.sqrt(2))
    return float(np.sign(nonlinearity) * label * (-1 if falling else 1)) + 0.0
