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


class Whitener:
    """Turns deviations at given times into independent ones of unit variance.

    time: [n]. What it returns is in order of time: entry k depends on readings up to k alone.
    log_determinant: of the covariance.
    """

    def __init__(self, time: np.ndarray, noise: Noise):
        step = np.diff(time)
        self.kept = np.exp(-noise.forgetting * step)  # φ
        read, write = noise.read**2 + FLOOR**2, noise.write**2
        # The covariance of increments, less what is forgotten, is tridiagonal.
        diagonal = np.append(read, write * step + read * (1 + self.kept**2))
        below = np.append(-self.kept * read, 0.0)
        self.lower, failed = dpbtrf(np.stack([diagonal, below]), lower=True)
        if failed:
            raise ArithmeticError("the covariance of the increments is not positive")
        self.log_determinant = 2 * float(np.log(self.lower[0]).sum())

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """columns: [..., n, at least one], real or complex; returns the same shape."""
        if columns.shape[-1] == 0:
            raise ValueError("nothing to whiten")  # LAPACK would write where it must not
        if np.iscomplexobj(columns):
            return self(np.real(columns)) + 1j * self(np.imag(columns))
        steps = columns.swapaxes(-1, -2).copy()  # column by column, as LAPACK has it
        steps[..., 1:] -= self.kept * steps[..., :-1]
        rows = steps.reshape(-1, steps.shape[-1])
        white, _ = dtbtrs(self.lower, rows.T, uplo="L", overwrite_b=True)
        return white.T.reshape(steps.shape).swapaxes(-1, -2)
