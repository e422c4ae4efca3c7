"""Deviations of a ramp from its curve, freed of what read noise and write noise correlate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg.lapack import dgtsv, dpttrf

FLOOR = 1e-9  # of the range: read noise that is always assumed, far below what any file resolves


@dataclass(frozen=True)
class Noise:
    """Deviations from the smooth curve, levels and times as in `BranchData`.

    read: standard deviation of a reading. write: standard deviation of the state after a unit of
    time without forgetting. Both are numbers, or arrays of several noises, [noises]. forgetting:
    rate at which a deviation of the state decays, per unit of time (the curve's own nonlinearity,
    unless the data show another memory).
    """

    read: Any
    write: Any
    forgetting: float


class Whitener:
    """Turns deviations at given times into independent ones of unit variance.

    time: [n]; noise: one, or several of the same forgetting. What it returns is in order of time:
    entry k depends on readings up to k alone. log_determinant: of the covariances, [] or [noises].
    """

    def __init__(self, time: np.ndarray, noise: Noise):
        step = np.diff(time)
        kept = np.exp(-noise.forgetting * step)  # φ
        read = np.square(noise.read)[..., None] + FLOOR**2
        write = np.square(noise.write)[..., None]
        # The covariance of what `increments` returns is tridiagonal: L D Lᵀ, L with one diagonal
        # below. Those of several noises stand one after the other in one matrix.
        diagonal = np.concatenate([read, write * step + read * (1 + kept**2)], axis=-1)
        beside = np.concatenate([-kept * read, 0 * read], axis=-1)
        variance, self.below, failed = dpttrf(diagonal.ravel(), beside.ravel()[:-1])
        if failed:
            raise ArithmeticError("the covariance of the increments is not positive")
        self.kept, self.size = kept, np.sqrt(variance).reshape(diagonal.shape)
        self.above, self.ones = np.zeros_like(self.below), np.ones_like(variance)
        self.log_determinant = np.log(variance).reshape(diagonal.shape).sum(-1)

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """columns: [n, at least one]; returns the same shape, or [noises, n, ...]."""
        if columns.shape[1] == 0:
            raise ValueError("nothing to whiten")  # LAPACK would write where it must not
        rows = columns.T.copy()
        rows[:, 1:] -= self.kept * columns.T[:, :-1]
        shape = len(rows), *self.size.shape
        between = [1] * (self.size.ndim - 1)
        repeated = np.broadcast_to(rows.reshape(len(rows), *between, -1), shape)
        # Column by column, as LAPACK has it.
        rows = repeated.reshape(len(rows), -1).T
        white = dgtsv(self.below, self.ones, self.above, rows, overwrite_b=True)[3]
        return np.moveaxis(white.T.reshape(shape) / self.size, 0, -1)
