"""Is it a ramp? Direction, range and read noise of readings, and what they can be instead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.measured.curves import curve, nearest
from utils.measured.turns import noise_beside_curve

MIN_READ_NOISES = 3.0  # in the range of a ramp
MAX_NU = 600.0  # of a trend; exp overflows from 709 on
NOISE_READINGS = 20  # of a ramp, from which on it tells its own noise
MIN_EQUAL = 4  # equal readings at an end of a ramp, which noise does not make
MOST = 0.9  # of the readings, which differ from each other where they are not coarsely rounded
DECADE = 10.0  # between the ranges of ramps that are pooled


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

    @property
    def scatter(self) -> float:
        """Standard deviation of the residuals."""
        return float(np.std(self.residuals))

    @property
    def lag_1(self) -> float:
        """Autocorrelation of a residual and the next one."""
        return float(np.mean(self.residuals[1:] * self.residuals[:-1])) / self.scatter**2


def trend(pulses: np.ndarray, values: np.ndarray) -> Trend:
    """Least squares of a + b exp(-x / τ) over a grid of τ of either sign; both [n], n >= 2.

    The ends of this curve tell the range even where noise is larger than every step, while the
    largest value less the smallest grows with the number of readings of a flat curve, too.
    """
    x = (pulses - pulses[0]) / (pulses[-1] - pulses[0])
    rates = np.geomspace(np.clip(len(x) / 2, 2, MAX_NU), 0.5, 24)
    start, size, nu = nearest(x, values, np.concatenate([[0.0], rates, -rates]))
    return Trend(size, values - start - size * curve(x, nu))


def flaw(values: np.ndarray, found: Trend, usual_noise: float) -> str | None:
    """Why readings are no ramp, in words; None where they are one.

    usual_noise: read noise of the ramps of the file together, which is what a short ramp is judged
    by, if that is the smaller of the two.
    """
    noise, is_long = found.read_noise, len(values) >= NOISE_READINGS
    if not is_long:
        noise = min(noise, usual_noise)
    if float(np.ptp(values)) <= 1e-9 * float(np.abs(values).max()):
        return (
            f"the curve is flat, all its {len(values)} values are {values[0]:.6g}; leave it out "
            "with --columns"
        )
    for end, in_order in (("first", values), ("last", values[::-1])):
        if count := cut_off(in_order):
            return (
                f"the {end} {count} readings are all exactly {in_order[0]:.6g}, while all others "
                "differ, as where a compliance or the range of the instrument cuts readings off, "
                "or a reading is repeated; leave these lines out"
            )
    if is_long and found.scatter > 0 and zigzags(values, found):
        return (
            "the readings go up and down from one to the next, as after pulses of both polarities "
            "in turn; give the readings of one polarity"
        )
    if is_long and found.scatter > 0 and are_steps(values, found, noise):
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


def cut_off(values: np.ndarray) -> int:
    """How many readings [n] at the start are exactly equal although noise makes all others differ;
    0 where noise, or the rounding of a flat curve, can do that."""
    count = int(np.argmax(values != values[0]))
    others = values[count:]
    levels = np.unique(others)
    if not count >= MIN_EQUAL <= len(others) - 1 or len(levels) < MOST * len(others):
        return 0
    resolution = float(np.diff(levels).min())
    jumps = min(noise_beside_curve(others), abs(others[0] - values[0])) > resolution
    return count if jumps else 0


def zigzags(values: np.ndarray, found: Trend) -> bool:
    """Whether readings lie above and below their trend in turn, as no noise makes them.

    Few different values do it where a curve is coarsely rounded.
    """
    is_fine = len(np.unique(values)) >= 0.6 * len(values)
    return is_fine and found.scatter >= 0.01 * abs(found.change) and found.lag_1 < -0.75


def are_steps(values: np.ndarray, found: Trend, noise: float) -> bool:
    """Whether readings look like the changes from pulse to pulse of a noisy response.

    Differences of readings carry each read noise twice, with opposite signs: what scatters about
    their trend has a lag-1 autocorrelation of -1/2, which no noise of readings has. Without read
    noise they are independent, with a mean that is not zero and yet no more than a few of its
    standard deviations. Both are asked of values near zero that hardly have a trend themselves; a
    curve that is coarsely rounded can have such an autocorrelation, but runs over many roundings.
    """
    n, scatter, change = len(values), found.scatter, abs(found.change)
    if change > 12 * scatter or abs(float(np.median(values))) >= 6 * scatter:
        return False
    if -0.7 < found.lag_1 < -max(0.3, 3 / np.sqrt(n)):
        return True
    trending = 1 - scatter**2 / float(np.var(values)) > 12 / n  # more than chance gives to shapes
    independent = change < MIN_READ_NOISES * noise and not trending
    return independent and abs(float(values.mean())) > 4 * scatter / np.sqrt(n)
