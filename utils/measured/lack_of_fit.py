"""Whether what a family leaves of the ramps can be noise.

Every ramp may have a start, range and nonlinearity of its own, so that drift from cycle to cycle
and differences between devices do not count against a family. The noises are estimated once more
with the family taken for true: slow deviations that write noise may have made do not count, either.
What is left, whitened, must be independent numbers of one variance.
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

MIN_PROBABILITY = 0.005  # probability below which residuals are no noise
MIN_LAG_1 = 0.05  # lag-1: below, however many readings show it, the curve is not what it comes from
MIN_RAMPS = 5  # ramps, whose slow deviations are compared with each other


@dataclass(frozen=True)
class LackOfFit:
    """Tests of the whitened residuals of a family; None for what too few readings cannot tell.

    lag_1: autocorrelation at the next reading, less what the fit makes of pure noise; neighbours:
    probability of one as large in noise; slow: that of slow deviations as large. They are compared
    with each other where there are several ramps, since a wrong curve is wrong in all of them
    alike; else with the fast deviations of the ramp.
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
    """The ramps less a family's fit, each with what another fit would take, to first order."""
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
    """parts: ramps less the fit of a family; noise: with the family taken for true."""
    product, expected, total, spare, n = 0.0, 0.0, 0.0, 0, 0
    slow = []  # deviations of each ramp in the directions of polynomials, [directions, ramps]
    length = int(np.median(np.concatenate([[len(p.time)] * p.level.shape[1] for p in parts])))
    degree = min(max(length // 10, 3), 10) if length >= 10 else 2
    for part in parts:
        whiten = Whitener(part.time, noise)
        level, basis = map(whiten, part.columns)
        q, _ = np.linalg.qr(basis)
        left = level - q @ (q.swapaxes(1, 2) @ level)  # [sets, n, ramps of the set]
        product += float((left[:, 1:] * left[:, :-1]).sum())
        expected -= float((q[:, 1:] * q[:, :-1]).sum()) * left.shape[2]
        total += float((left**2).sum())
        spare += part.spare
        n += left.size
        if len(part.time) > degree + 1 > q.shape[2]:
            slow.append(slow_part(part.time, whiten, q, left, degree))
    lag_1 = (product - total / spare * expected) / total if total and spare > 0 else 0.0
    deviations = np.concatenate(slow, axis=1) if slow else np.zeros((0, 0))
    neighbours = float(special.ndtr(-lag_1 * np.sqrt(n)))
    return LackOfFit(lag_1, neighbours, probability(deviations, total, spare))


def slow_part(
    time: np.ndarray, whiten: Whitener, q: np.ndarray, left: np.ndarray, degree: int
) -> np.ndarray:
    """Deviations in the directions of polynomials that the family does not have, [.., ramps].

    q: what the family has, [sets, n, columns]; left: [sets, n, ramps of the set].
    """
    taken = q.shape[2]
    polynomials = np.polynomial.legendre.legvander(2 * time / time[-1] - 1, degree)[:, taken:]
    white = whiten(polynomials)
    white = white - q @ (q.transpose(0, 2, 1) @ white)  # [sets, n, directions]
    # Orthonormal by Gram and Schmidt, in the same order and sense for all ramps; fast for many.
    lower = np.linalg.cholesky(white.transpose(0, 2, 1) @ white)
    found = np.linalg.solve(lower, white.transpose(0, 2, 1) @ left)
    return found.transpose(1, 0, 2).reshape(len(lower[0]), -1)


def probability(deviations: np.ndarray, total: float, spare: int) -> float | None:
    """F test of slow deviations, [directions, ramps]; None where too few readings can tell.

    total: squares of all deviations, of which `spare` are independent.
    """
    directions, ramps = deviations.shape
    if ramps >= MIN_RAMPS:  # their mean over ramps against their scatter
        mean = deviations.mean(axis=1, keepdims=True)
        square, rest = ramps * (mean**2).sum(), ((deviations - mean) ** 2).sum()
        degrees = directions, directions * (ramps - 1)
    else:  # all of them against the fast ones
        square = (deviations**2).sum()
        rest, degrees = total - square, (deviations.size, spare - deviations.size)
    if min(degrees) < 1 or rest <= 0:
        return None
    return float(special.fdtrc(*degrees, square / degrees[0] / (rest / degrees[1])))
