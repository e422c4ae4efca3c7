"""Is it a ramp? Direction, range and read noise of readings, and what they can be instead."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

MIN_READ_NOISES = 3.0  # in the range of a ramp
NOISE_READINGS = 20  # of a ramp, from which on it tells its own noise


@dataclass(frozen=True, eq=False)
class Trend:
    """A ramp as the best exponential, linear included, and what that leaves over.

    change: from the first to the last pulse, signed; residuals: [n]; both in the values' unit.
    """

    change: float
    residuals: np.ndarray

    @property
    def read_noise(self) -> float:
        """sigma_r by sigma_r^2 = -cov(Δ_k, Δ_k+1) of the increments; 0 where that is negative."""
        steps = np.diff(self.residuals)
        return float(np.sqrt(max(0.0, -np.mean(steps[1:] * steps[:-1]))))


def trend(pulses: np.ndarray, values: np.ndarray) -> Trend:
    """Least squares of a + b exp(-x / τ) over a grid of τ of either sign; both [n], n >= 2.

    The ends of this curve tell the range even where noise is larger than every step, while the
    largest value less the smallest grows with the number of readings of a flat curve, too.
    """
    x = (pulses - pulses[0]) / (pulses[-1] - pulses[0])
    n = len(x)
    even = bool(np.allclose(np.diff(x) * (n - 1), 1, rtol=1e-9))
    shapes, centred = even_shapes(n) if even else shapes_of(x)
    level = values.mean()
    slopes = centred @ (values - level) / (centred**2).sum(axis=1)
    residuals = values - level - slopes[:, None] * centred
    best = int(np.argmin((residuals**2).sum(axis=1)))
    return Trend(float(slopes[best] * (shapes[best, -1] - shapes[best, 0])), residuals[best])


def shapes_of(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exponentials of x [n] in 0 … 1, and the same less their means; both [shapes, n]."""
    times = np.geomspace(min(0.5, 2 / len(x)), 2, 24)
    shapes = np.stack([x, *(np.exp(-x / t) for t in times), *(np.exp((x - 1) / t) for t in times)])
    return shapes, shapes - shapes.mean(axis=1, keepdims=True)


@lru_cache(maxsize=128)
def even_shapes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The shapes of n readings at equal distances."""
    return shapes_of(np.linspace(0, 1, n))


def flaw(values: np.ndarray, found: Trend, usual_noise: float) -> str | None:
    """Why readings are no ramp, in words; None where they are one.

    usual_noise: read noise of the ramps of the file together, which is what a short ramp is judged
    by, if that is the smaller of the two.
    """
    spread = float(np.ptp(values))
    if spread <= 1e-9 * float(np.abs(values).max()):
        return (
            f"the curve is flat, all its {len(values)} values are {values[0]:.6g}; leave it out "
            "with --columns"
        )
    noise = found.read_noise
    if len(values) < NOISE_READINGS:
        noise = min(noise, usual_noise)
    if zigzags(values, found):
        return (
            "the readings go up and down from one to the next, as after pulses of both polarities "
            "in turn; give the readings of one polarity"
        )
    if are_steps(values, found, noise):
        return (
            f"the values look like step sizes: they scatter about {values.mean():.3g}, and their "
            f"sum is {values.sum():.3g}; give the value after each pulse, not its change"
        )
    if abs(found.change) < MIN_READ_NOISES * noise:
        return (
            f"the range is {abs(found.change):.3g}, less than {MIN_READ_NOISES:g} times the read "
            f"noise of {noise:.3g}; leave the curve out with --columns, or average several readings"
        )
    return None


def zigzags(values: np.ndarray, found: Trend) -> bool:
    """Whether readings lie above and below their trend in turn, as no noise makes them.

    Few different values do it where a curve is coarsely rounded.
    """
    rest = found.residuals
    n, scatter = len(rest), float(np.std(rest))
    if n < NOISE_READINGS or scatter < 0.01 * abs(found.change) or len(np.unique(values)) < 0.6 * n:
        return False
    return float(np.mean(rest[1:] * rest[:-1])) < -0.75 * scatter**2


def are_steps(values: np.ndarray, found: Trend, noise: float) -> bool:
    """Whether readings look like the changes from pulse to pulse of a noisy response.

    Differences of readings carry each read noise twice, with opposite signs: what scatters about
    their trend has a lag-1 autocorrelation of -1/2, which no noise of readings has. Without read
    noise they are independent, with a mean that is not zero and yet no more than a few of its
    standard deviations. Both are asked of values near zero that hardly have a trend themselves; a
    curve that is coarsely rounded can have such an autocorrelation, but runs over many roundings.
    """
    rest = found.residuals
    n, scatter = len(rest), float(np.std(rest))
    if n < NOISE_READINGS or scatter == 0 or abs(found.change) > 12 * scatter:
        return False
    near_zero = abs(float(np.median(values))) < 6 * scatter
    lag = float(np.mean(rest[1:] * rest[:-1])) / scatter**2
    if near_zero and -0.7 < lag < -max(0.3, 3 / np.sqrt(n)):
        return True
    trending = 1 - scatter**2 / float(np.var(values)) > 12 / n  # more than chance gives to shapes
    flat = abs(found.change) < MIN_READ_NOISES * noise and not trending
    return flat and near_zero and abs(float(values.mean())) > 4 * scatter / np.sqrt(n)
