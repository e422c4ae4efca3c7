"""Test of a family: whether the residuals of its fit can be noise.

Every ramp has a start, a range and a nonlinearity of its own here, so that drift over cycles and
differences between devices do not count against a family. Nor do slow deviations that write noise
can make, since the noises are estimated under the assumption that the family is true. If it is,
the whitened residuals u are independent numbers of one variance. Two statistics test this:

- lag-1 autocorrelation Σ u_k u_k+1 / Σ u_k² of n residuals, which is normal with variance 1 / n;
- an F test of slow deviations, that is of the components of u along polynomials of low degree.

Ramps and the fit of a family go in; `LackOfFit`, which says whether the family passes, comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from utils.measured.branch import BranchData
from utils.measured.curves import curve, derivative
from utils.measured.families import RampFits
from utils.measured.noise import Part
from utils.measured.whitening import Noise, Whitener

MIN_PROBABILITY = 0.005  # p value below which residuals are not noise
MIN_LAG_1 = 0.05  # a smaller autocorrelation does not count against a curve, whatever its p value
MIN_RAMPS = 5  # ramps, from which on their slow deviations are compared with each other


@dataclass(frozen=True)
class LackOfFit:
    """The tests of the whitened residuals of a family.

    lag_1: autocorrelation of neighbouring residuals, less its expectation for pure noise.
    neighbours: the p value of lag_1. slow: the p value of the slow deviations, None where too few
    readings can tell. Slow deviations of several ramps are compared with each other, since a wrong
    curve has the same deviation in all ramps; those of few ramps are compared with fast deviations.
    """

    lag_1: float
    neighbours: float
    slow: float | None

    @property
    def passed(self) -> bool:
        return (self.neighbours > MIN_PROBABILITY or self.lag_1 < MIN_LAG_1) and (
            self.slow is None or self.slow > MIN_PROBABILITY
        )


def parts_of(data: BranchData, alone: RampFits, straight: bool) -> list[Part]:
    """The residuals of every ramp, with a basis of what a change of the fit would add to them.

    alone: fits in which no two ramps share a parameter. straight: whether they are straight lines.
    The basis holds derivatives by start, by range and, of exponentials, by ν.
    """
    parts = []
    for group in data.groups:
        time, nus = group.time, alone.nonlinearity[group.ramps][:, None]
        if straight:
            columns = [np.ones((1, len(time))), time[None]]
        else:
            by_nu = derivative(lambda nu, time=time: curve(time, nu), nus)
            columns = [np.ones_like(by_nu), curve(time, nus), by_nu]
        basis = np.stack(columns, axis=2)  # [1 or ramps, n, columns]
        parts.append(Part(time, group.level - alone.level(group), basis))
    return parts


def lack_of_fit(parts: Sequence[Part], noise: Noise) -> LackOfFit:
    """Test residuals. parts: from `parts_of`; noise: estimated from the same parts."""
    product, expected, total, spare, n = 0.0, 0.0, 0.0, 0, 0
    slow = []  # deviations of each ramp in the directions of polynomials, [directions, ramps]
    length = int(np.median(np.concatenate([[len(p.time)] * p.level.shape[1] for p in parts])))
    degree = min(max(length // 10, 3), 10) if length >= 10 else 2
    for part in parts:
        whiten = Whitener(part.time, noise)
        level, basis = map(whiten, part.columns)
        q, _ = np.linalg.qr(basis)
        white = level - q @ (q.swapaxes(1, 2) @ level)  # [sets, n, ramps of the set]
        product += float((white[:, 1:] * white[:, :-1]).sum())
        expected -= float((q[:, 1:] * q[:, :-1]).sum()) * white.shape[2]
        total += float((white**2).sum())
        spare += part.spare
        n += white.size
        if len(part.time) > degree + 1 > q.shape[2]:
            slow.append(slow_part(part.time, whiten, q, white, degree))
    lag_1 = (product - total / spare * expected) / total if total and spare > 0 else 0.0
    deviations = np.concatenate(slow, axis=1) if slow else np.zeros((0, 0))
    neighbours = float(special.ndtr(-lag_1 * np.sqrt(n)))
    return LackOfFit(lag_1, neighbours, probability(deviations, total, spare))


def slow_part(
    time: np.ndarray, whiten: Whitener, q: np.ndarray, residual: np.ndarray, degree: int
) -> np.ndarray:
    """Components of residuals along polynomials outside the basis, [polynomials, ramps].

    q: the whitened basis, orthonormal, [sets, n, columns]; residual: [sets, n, ramps of the set].
    """
    columns = q.shape[2]
    polynomials = np.polynomial.legendre.legvander(2 * time / time[-1] - 1, degree)[:, columns:]
    white = whiten(polynomials)
    white = white - q @ (q.transpose(0, 2, 1) @ white)  # [sets, n, directions]
    # Gram-Schmidt orthonormalisation, which keeps the order and the signs the same for all ramps.
    lower = np.linalg.cholesky(white.transpose(0, 2, 1) @ white)
    components = np.linalg.solve(lower, white.transpose(0, 2, 1) @ residual)
    return components.transpose(1, 0, 2).reshape(len(lower[0]), -1)


def probability(deviations: np.ndarray, total: float, spare: int) -> float | None:
    """The p value of an F test of slow deviations; None where too few readings can tell.

    deviations: [directions, ramps]. total: the sum of the squares of all residuals. spare: their
    degrees of freedom.
    """
    directions, ramps = deviations.shape
    if ramps >= MIN_RAMPS:  # their mean over ramps against their scatter
        mean = deviations.mean(axis=1, keepdims=True)
        square, noise_square = ramps * (mean**2).sum(), ((deviations - mean) ** 2).sum()
        degrees = directions, directions * (ramps - 1)
    else:  # all of them against the fast ones
        square = (deviations**2).sum()
        noise_square, degrees = total - square, (deviations.size, spare - deviations.size)
    if min(degrees) < 1 or noise_square <= 0:
        return None
    return float(special.fdtrc(*degrees, square / degrees[0] / (noise_square / degrees[1])))
