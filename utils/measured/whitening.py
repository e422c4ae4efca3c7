"""Whitening: the readings of a ramp become independent numbers of unit variance.

A reading k at time t_k is the curve plus a deviation s_k of the state plus read noise of variance
σ_r². The state forgets and is written: s_k = φ_k s_k-1 + w_k, where φ_k = exp(-λ (t_k - t_k-1)),
var(w_k) = σ_w² (t_k - t_k-1) and λ is the forgetting. So the increments d_k = y_k - φ_k y_k-1 have
a tridiagonal covariance,

    var(d_k) = σ_w² (t_k - t_k-1) + (1 + φ_k²) σ_r²,    cov(d_k-1, d_k) = -φ_k σ_r²,

and d_0 = y_0 has the variance σ_r². Whitening multiplies the increments by the inverse of the
Cholesky factor of that covariance, at a cost that grows in proportion to the number of readings.
Times and noises go in; a function comes out that whitens readings, curves and bases alike.
"""

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
    """The increments of readings at given times, and their covariance for given noises.

    time: [n]; forgetting: see `Noise`.
    """

    def __init__(self, time: np.ndarray, forgetting: float):
        step = np.diff(time)
        self.phi = np.exp(-forgetting * step)  # the share of a deviation that is not forgotten
        # Diagonal and subdiagonal of the covariance for unit variances of read and write noise.
        self.read_bands = np.array([np.append(1, 1 + self.phi**2), np.append(-self.phi, 0)])
        self.write_bands = np.array([np.append(0, step), np.zeros(len(time))])  # both [2, n]

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """The increments of columns [..., n, any], transposed for LAPACK: [..., any, n]."""
        steps = columns.swapaxes(-1, -2).copy()
        steps[..., 1:] -= self.phi * steps[..., :-1]
        return steps

    def factor(self, read: float, write: float) -> np.ndarray:
        """The Cholesky factor of the covariance, [2, n]: its diagonal and its subdiagonal.

        read, write: standard deviations as in `Noise`. Raises ArithmeticError where the covariance
        is not positive.
        """
        covariance = (read**2 + FLOOR**2) * self.read_bands + write**2 * self.write_bands
        lower, failed = dpbtrf(covariance, lower=True)
        if failed:
            raise ArithmeticError("the covariance of the increments is not positive")
        return lower


def independent(lower: np.ndarray, increments: np.ndarray) -> np.ndarray:
    """Increments [..., n] as independent numbers of unit variance, [..., n].

    lower: the Cholesky factor of their covariance, [2, n].
    """
    rows = increments.reshape(-1, increments.shape[-1])
    white, _ = dtbtrs(lower, rows.T, uplo="L")
    return white.T.reshape(increments.shape)


class Whitener:
    """A function that whitens readings taken at given times, for known noises.

    time: [n]. The whitened number k depends on the readings up to k alone. log_determinant is the
    logarithm of the determinant of the covariance of the readings.
    """

    def __init__(self, time: np.ndarray, noise: Noise):
        self.increments = Increments(time, noise.forgetting)
        self.lower = self.increments.factor(noise.read, noise.write)
        self.log_determinant = 2 * float(np.log(self.lower[0]).sum())

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """Whiten columns [..., n, any], real or complex, of which there is at least one.

        Returns the same shape. Raises ValueError where there is no column.
        """
        if columns.shape[-1] == 0:
            raise ValueError("nothing to whiten")  # LAPACK would write where it must not
        if np.iscomplexobj(columns):
            return self(np.real(columns)) + 1j * self(np.imag(columns))
        return independent(self.lower, self.increments(columns)).swapaxes(-1, -2)
