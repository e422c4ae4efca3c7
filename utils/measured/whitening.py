"""Deviations of a ramp from its curve, freed of what read noise and write noise correlate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dgtsv, dpttrf

FLOOR = 1e-9  # of the range: read noise that is always assumed, far below what any file resolves


@dataclass(frozen=True)
class Noise:
    """Deviations from the smooth curve, levels and times as in `BranchData`.

    read: standard deviation of a reading. write: standard deviation of the state after a unit of
    time without forgetting. forgetting: rate at which a deviation of the state decays, per unit of
    time (the curve's own nonlinearity, unless the data show another memory).
    """

    read: float
    write: float
    forgetting: float


class Whitener:
    """Turns deviations at given times into independent ones of unit variance.

    time: [n]. What it returns is in order of time: entry k depends on readings up to k alone.
    log_determinant: of the covariance.
    """

    def __init__(self, time: np.ndarray, noise: Noise):
        step = np.diff(time)
        kept = np.exp(-noise.forgetting * step)  # φ
        read, write = noise.read**2 + FLOOR**2, noise.write**2
        # The covariance of increments, less what is forgotten, is tridiagonal: L D Lᵀ, L with one
        # diagonal below.
        diagonal = np.append(read, write * step + read * (1 + kept**2))
        variance, self.below, failed = dpttrf(diagonal, -kept * read)
        if failed:
            raise ArithmeticError("the covariance of the increments is not positive")
        self.kept, self.size = kept, np.sqrt(variance)
        self.above, self.ones = np.zeros_like(self.below), np.ones_like(variance)
        self.log_determinant = float(np.log(variance).sum())

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """columns: [n, at least one]; returns the same shape."""
        if columns.shape[1] == 0:
            raise ValueError("nothing to whiten")  # LAPACK would write where it must not
        rows = columns.T.copy()  # column by column, as LAPACK has it
        rows[:, 1:] -= self.kept * columns.T[:, :-1]
        white = dgtsv(self.below, self.ones, self.above, rows.T, overwrite_b=True)[3]
        return white / self.size[:, None]
