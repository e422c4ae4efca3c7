"""Deviations of a ramp from its curve, freed of what read noise and write noise correlate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpbtrf, dtbtrs

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


class Increments:
    """Increments of readings at given times, each less what is forgotten of the reading before.

    time: [n]; forgetting: see `Noise`.
    """

    def __init__(self, time: np.ndarray, forgetting: float):
        step = np.diff(time)
        self.phi = np.exp(-forgetting * step)  # the share of a deviation that is left
        # What unit variances of reading and of writing add to diagonal and subdiagonal, [2, n].
        self.of_read = np.array([np.append(1, 1 + self.phi**2), np.append(-self.phi, 0)])
        self.of_write = np.array([np.append(0, step), np.zeros(len(time))])

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """From [..., n, any] to [..., any, n]: column by column, as LAPACK has it."""
        steps = columns.swapaxes(-1, -2).copy()
        steps[..., 1:] -= self.phi * steps[..., :-1]
        return steps

    def factor(self, read: float, write: float) -> np.ndarray:
        """The banded Cholesky factor of their covariance, which is tridiagonal; see `Noise`."""
        covariance = (read**2 + FLOOR**2) * self.of_read + write**2 * self.of_write
        lower, failed = dpbtrf(covariance, lower=True)
        if failed:
            raise ArithmeticError("the covariance of the increments is not positive")
        return lower


def independent(lower: np.ndarray, increments: np.ndarray) -> np.ndarray:
    """Increments [..., n] as independent numbers of unit variance; lower: of their covariance."""
    rows = increments.reshape(-1, increments.shape[-1])
    white, _ = dtbtrs(lower, rows.T, uplo="L")
    return white.T.reshape(increments.shape)


class Whitener:
    """Turns deviations at given times into independent ones of unit variance.

    time: [n]. What it returns is in order of time: entry k depends on readings up to k alone.
    log_determinant: of the covariance.
    """

    def __init__(self, time: np.ndarray, noise: Noise):
        self.increments = Increments(time, noise.forgetting)
        self.lower = self.increments.factor(noise.read, noise.write)
        self.log_determinant = 2 * float(np.log(self.lower[0]).sum())

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """columns: [..., n, at least one], real or complex; returns the same shape."""
        if columns.shape[-1] == 0:
            raise ValueError("nothing to whiten")  # LAPACK would write where it must not
        if np.iscomplexobj(columns):
            return self(np.real(columns)) + 1j * self(np.imag(columns))
        return independent(self.lower, self.increments(columns)).swapaxes(-1, -2)
