"""Read noise and write noise of ramps, by restricted likelihood of their increments.

A reading is the state of the device plus read noise; every pulse adds write noise to the state,
which the following pulses keep (linear devices) or carry towards the end of the range (f(f^-1(w) +
x)), as the simulation has it. So an increment Δ_k that is freed of the smooth curve and of what the
state forgets has

    var(Δ_k) = σ_w² + (1 + φ²) σ_r²,    cov(Δ_k, Δ_k+1) = -φ σ_r²,    all others 0,

φ being the part of a deviation that is left after one pulse. Both variances are at least 0.
Restricted likelihood needs no correction for the parameters of the smooth curve and, with large
read noise, a fraction of the data that the two moments need. No library has this covariance with a
basis for each ramp: statsmodels' local level model fits one series at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import minimize_scalar

from utils.measured.branch import BranchData
from utils.measured.whitening import FLOOR, Increments, Noise, independent

MEMORIES = np.geomspace(0.3, 0.003, 7)  # of the range of pulses, that write noise may have
MIN_GAIN = 9.0  # of twice the log-likelihood, that another memory must bring
TOLERANCE = 0.03  # of the logarithm of the odds of the best noises
MIN_STANDARD_ERRORS = 0.05  # a smaller noise is none
MIN_SPARE = 8  # readings to spare without which the two noises cannot be told apart
FASTEST_GROWTH = -2.0  # forgetting: deviations that grow faster would drown the end of the curve


def smooth(time: np.ndarray, nonlinearity: float, max_degree: int = 10) -> np.ndarray:
    """A basis for smooth ramps, [n, columns], orthonormal: polynomials, and exponentials.

    It holds every linear ramp, and every exponential one near the given nonlinearity to first
    order, so that what it leaves over is noise for them, too; the degree of its polynomials grows
    with the number of readings, up to `max_degree`.
    """
    n = len(time)
    place = 2 * time / time[-1] - 1
    degree = 2 if n < 10 else min(max(n // 10, 3), max_degree)
    columns = np.polynomial.legendre.legvander(place, degree)
    if n >= 10 and abs(nonlinearity) > 0.5:  # below, polynomials hold it
        exponential = np.exp(-nonlinearity * time - max(0.0, -nonlinearity))
        columns = np.column_stack([columns, exponential, time * exponential])
    basis, size, _ = np.linalg.svd(columns / np.linalg.norm(columns, axis=0), full_matrices=False)
    return basis[:, size > 1e-6]


@dataclass(frozen=True, eq=False)
class Part:
    """Ramps read at the same times, and what of them is no noise.

    time: [n]; level: [n, ramps]; basis: [1, n, columns], or [ramps, n, columns] where each ramp has
    one of its own: what a ramp may hold beside noise, each with its own coefficients.
    """

    time: np.ndarray
    level: np.ndarray
    basis: np.ndarray

    @property
    def spare(self) -> int:
        return self.level.size - self.basis.shape[2] * self.level.shape[1]

    @cached_property
    def columns(self) -> tuple[np.ndarray, np.ndarray]:
        """Levels less what of them lies in the bases, [sets, n, ramps of the set], and the bases
        made orthonormal."""
        sets, n, _ = self.basis.shape
        basis = np.linalg.qr(self.basis)[0]
        level = self.level.T.reshape(sets, -1, n).swapaxes(1, 2)
        return level - basis @ (basis.swapaxes(1, 2) @ level), basis


class Likelihood:
    """The restricted likelihood of the noises of one part, whose increments are taken once."""

    def __init__(self, part: Part, forgetting: float):
        level, basis = part.columns
        self.increments = Increments(part.time, forgetting)
        self.columns = self.increments(np.concatenate([level, basis], axis=2))
        self.sets, _, self.ramps = level.shape

    def __call__(self, read: float, write: float) -> np.ndarray:
        """Squares of all ramps beside their bases, and log determinant, [2]."""
        lower = self.increments.factor(read, write)
        white = independent(lower, self.columns)  # [sets, ramps of the set + columns, n]
        level, basis = white[:, : self.ramps].swapaxes(1, 2), white[:, self.ramps :]
        root = np.linalg.cholesky(basis @ basis.swapaxes(1, 2))
        inside = np.linalg.solve(root, basis @ level)
        squares = (level**2).sum() - (inside**2).sum()
        of_bases = np.log(np.diagonal(root, axis1=1, axis2=2)).sum()
        of_increments = self.sets * np.log(lower[0]).sum()
        return np.array([squares, 2 * self.ramps * (of_increments + of_bases)])


def smooth_parts(data: BranchData, nonlinearity: float, max_degree: int = 10) -> list[Part]:
    """The ramps, each with any smooth curve of its own."""
    return [
        Part(g.time, g.level, smooth(g.time, nonlinearity, max_degree)[None]) for g in data.groups
    ]


@dataclass(frozen=True)
class NoiseEstimate:
    """The noises of a measurement, and standard errors; None for what it cannot tell.

    weights: the noises to fit with, their variances averaged over what the data leave possible: the
    best estimate from few readings is often that one of the noises is 0, with which fits would seem
    far too certain. The price: of the fits of simulated single ramps of 15 to 60 readings without
    write noise, 9 in 10 lie within one standard error; where it is as large per pulse as the read
    noise, 2 in 3, and where it is far larger, 6 in 10. A single ramp can hardly tell which it is.
    """

    noise: Noise
    weights: Noise
    read_error: float | None
    write_error: float | None


def estimate_noise(parts: Sequence[Part], forgetting: float) -> NoiseEstimate:
    """The noises of all ramps; where too few readings tell them apart, all is read noise."""
    profile = Profile(parts, forgetting)
    if profile.spare < MIN_SPARE:
        squares, _ = profile.likelihood(1.0, 0.0)
        noise = profile.noise(max(squares, 0.0) / max(profile.spare, 1), 0.0)
        return NoiseEstimate(noise, noise, None, None)
    noise = profile.noise(*profile.best[1:])
    read, write = standard_errors(parts, noise)
    noise = replace(
        noise,
        read=0.0 if noise.read < MIN_STANDARD_ERRORS * read else noise.read,
        write=0.0 if noise.write < MIN_STANDARD_ERRORS * write else noise.write,
    )
    return NoiseEstimate(noise, profile.averaged(), read, write)


def find_forgetting(data: BranchData, nonlinearity: float) -> float:
    """How fast write noise fades: as the curve itself makes it, unless data clearly show otherwise.

    Then it may not fade at all, or sooner. Slow deviations tell it, so fewer of them count as
    the smooth curve than for the noises themselves. Of a curve that steepens much, deviations do
    not grow as fast as the curve: its beginning is too flat to tell how many pulses it received.
    """
    by_curve = max(nonlinearity, FASTEST_GROWTH)
    parts = smooth_parts(data, nonlinearity, 3)
    if sum(part.spare for part in parts) < 20 * MIN_SPARE:
        return by_curve if nonlinearity > FASTEST_GROWTH else 0.0
    of_curve = Profile(parts, by_curve)
    memories = MEMORIES[of_curve.interval < MEMORIES]  # write noise that fades sooner is read noise
    others = [0.0, *(by_curve + 1 / memories)]
    least, rate = min((Profile(parts, rate).best[0], rate) for rate in others)
    return (
        rate if of_curve.best[0] - least > MIN_GAIN * (nonlinearity > FASTEST_GROWTH) else by_curve
    )


def standard_errors(parts: Sequence[Part], noise: Noise) -> tuple[float, float]:
    """Standard errors of read and write, from the expected information of their spectrum.

    Increments of one distribution have sines as principal axes (exactly so at even pulses); a
    smooth basis takes those of lowest frequency.
    """
    information = np.zeros((2, 2))
    for part in parts:
        n = len(part.time)
        step = (part.time[-1] - part.time[0]) / (n - 1)
        left = np.exp(-noise.forgetting * step)
        angle = np.pi * np.arange(part.basis.shape[2], n) / n  # [n - columns]
        of_read = 1 + left**2 - 2 * left * np.cos(angle)
        of_write = np.full_like(of_read, step)
        variance = (noise.read**2 + FLOOR**2) * of_read + noise.write**2 * of_write
        share = np.stack([of_read, of_write]) / variance
        information += part.level.shape[1] / 2 * share @ share.T
    read, write = np.sqrt(np.diag(np.linalg.pinv(information)))
    return root_error(noise.read, read), root_error(noise.write, write)


def root_error(root: float, error: float) -> float:
    """Standard error of a root from that of its square; its largest plausible value near zero."""
    return float(min(error / (2 * root), np.sqrt(error)) if root else np.sqrt(error))


class Profile:
    """The restricted likelihood of the noises over the logarithm of their odds, at its best size.

    The odds are those of write variance against read variance, of a typical increment.
    """

    def __init__(self, parts: Sequence[Part], forgetting: float):
        self.parts = [Likelihood(part, forgetting) for part in parts]
        self.forgetting = forgetting
        self.spare = sum(part.spare for part in parts)
        self.interval = np.median(np.concatenate([np.diff(part.time) for part in parts]))

    def likelihood(self, read: float, write: float) -> np.ndarray:
        """As of a part, of all of them together."""
        return np.sum([part(read, write) for part in self.parts], axis=0)

    def __call__(self, odds: float) -> tuple[float, float, float]:
        """-2 log of it, and the variances of read and write noise."""
        share = 1 / (1 + np.exp(-odds))
        read, write = 1 - share, share / self.interval
        square, logarithm = self.likelihood(np.sqrt(read), np.sqrt(write))
        size = max(square / self.spare, FLOOR**2)
        return self.spare * np.log(size) + logarithm, read * size, write * size

    @cached_property
    def best(self) -> tuple[float, float, float]:
        """All three where the likelihood is largest: the best of a grid, refined."""
        middle = min(np.linspace(-12, 12, 9), key=lambda odds: self(odds)[0])
        found = minimize_scalar(
            lambda odds: self(odds)[0],
            bounds=(middle - 3, middle + 3),
            options={"xatol": TOLERANCE},
        )
        return self(found.x)

    def averaged(self) -> Noise:
        """Mean variances over the likelihood of the share of write noise, all equally likely."""
        grid = np.linspace(-8, 8, 17)
        deviance, *variances = np.transpose([self(odds) for odds in grid])
        weights = np.exp(-(deviance - deviance.min()) / 2) / np.cosh(grid / 2) ** 2
        return self.noise(*(np.average(variance, weights=weights) for variance in variances))

    def noise(self, read: float, write: float) -> Noise:
        return Noise(float(np.sqrt(read)), float(np.sqrt(write)), self.forgetting)
