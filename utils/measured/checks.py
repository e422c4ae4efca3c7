"""Whether readings are a ramp, by their direction, range and noise, and if not, what they are.

In: pulses and values of what may be a ramp. Out: its trend, and why it is no ramp, in words:

    0.5, 0.5, 0.5, 0.5, 0.5               a flat curve
    0.1, -0.1, 0.1, -0.1, 0.1             pulses of both polarities in turn
    0.010, 0.012, 0.009, 0.011, 0.010     sizes of steps, not values
    0.12, 0.19, 0.31, 0.35, 0.35, 0.35    cut off, as by a compliance
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.measured.curves import curve, nearest
from utils.measured.turns import noise_about_curve

MIN_READ_NOISES = 3.0  # the range of a ramp is larger than so many read noises
MAX_NU = 600.0  # largest nonlinearity of a trend; exp overflows from 709 on
NOISE_READINGS = 20  # a ramp of so many readings shows its noise without others
MIN_EQUAL = 4  # noise does not make so many readings at an end of a ramp equal
MOST = 0.9  # of the readings: if so many differ from each other, they are not coarsely rounded
DECADE = 10.0  # largest ratio of the ranges of ramps that are averaged


@dataclass(frozen=True, eq=False)
class Trend:
    """The exponential, or line, that fits a ramp best, and its residuals.

    change: of the fit from the first to the last pulse, signed. residuals: [n]. Both are in the
    unit of the values.
    """

    change: float
    residuals: np.ndarray

    @property
    def read_noise(self) -> float:
        """σ_r by σ_r² = −cov(Δ_k, Δ_k+1) of the increments Δ; 0 if that is negative."""
        steps = np.diff(self.residuals)
        return float(np.sqrt(max(0.0, -np.mean(steps[1:] * steps[:-1]))))

    @property
    def scatter(self) -> float:
        """Standard deviation of the residuals."""
        return float(np.std(self.residuals))

    @property
    def lag_1(self) -> float:
        """The correlation of each residual with the next one."""
        return float(np.mean(self.residuals[1:] * self.residuals[:-1])) / self.scatter**2


def trend(pulses: np.ndarray, values: np.ndarray) -> Trend:
    """The least-squares fit of a + b exp(-x / τ) over a grid of τ of either sign.

    pulses, values: [n], n >= 2. The ends of this curve give the range even if noise is larger than
    every step. The largest value less the smallest would not: with more readings of a flat curve,
    noise alone makes it larger.
    """
    x = (pulses - pulses[0]) / (pulses[-1] - pulses[0])
    rates = np.geomspace(np.clip(len(x) / 2, 2, MAX_NU), 0.5, 24)
    *_, nu = nearest(x, values, np.concatenate([[0.0], rates, -rates]))
    ratio = rates[0] / rates[1]
    finer = nu * np.geomspace(1 / ratio, ratio, 9) if nu else np.linspace(-0.5, 0.5, 9)
    start, size, nu = nearest(x, values, finer)
    return Trend(size, values - start - size * curve(x, nu))


def flaw(values: np.ndarray, fit: Trend, usual_noise: float) -> str | None:
    """Why readings are no ramp, in words; None if they are one.

    fit: their trend. usual_noise: read noise of all ramps of the file. A short ramp is judged by it
    if it is smaller than that of the ramp.
    """
    noise, is_long = fit.read_noise, len(values) >= NOISE_READINGS
    if not is_long:
        noise = min(noise, usual_noise)
    if float(np.ptp(values)) <= 1e-9 * float(np.abs(values).max()):
        return (
            f"the curve is flat, all its {len(values)} values are {values[0]:.6g}; leave it out "
            "with --columns"
        )
    for end, in_order in (("first", values), ("last", values[::-1])):
        if count := count_cut_off(in_order):
            return (
                f"the {end} {count} readings are all exactly {in_order[0]:.6g}, while all others "
                "differ, as where a compliance or the range of the instrument cuts readings off, "
                "or a reading is repeated; leave these lines out"
            )
    if is_long and fit.scatter > 0 and zigzags(values, fit):
        return (
            "the readings go up and down from one to the next, as after pulses of both polarities "
            "in turn; give the readings of one polarity"
        )
    if is_long and fit.scatter > 0 and are_steps(values, fit, noise):
        return (
            f"the values look like step sizes: they scatter about {values.mean():.3g}, and their "
            f"sum is {values.sum():.3g}; give the value after each pulse, not its change"
        )
    if abs(fit.change) < MIN_READ_NOISES * noise:
        return (
            f"the range is {abs(fit.change):.3g}, less than {MIN_READ_NOISES:g} times the read "
            f"noise of {noise:.3g}; leave the curve out with --columns, or average several readings"
        )
    return None


def count_cut_off(values: np.ndarray) -> int:
    """How many readings [n] at the start are exactly equal although noise makes all others differ.

    0 where noise, or the rounding of a flat curve, can make them equal.
    """
    count = int(np.argmax(values != values[0]))
    others = values[count:]
    levels = np.unique(others)
    if count < MIN_EQUAL or len(others) <= MIN_EQUAL or len(levels) < MOST * len(others):
        return 0
    resolution = float(np.diff(levels).min())
    step = abs(float(others[0] - values[0]))
    return count if min(noise_about_curve(others), step) > resolution else 0


def zigzags(values: np.ndarray, fit: Trend) -> bool:
    """Whether readings lie above and below their trend in turn, which noise does not do.

    A curve that is coarsely rounded, so that it has few different values, may do so.
    """
    is_fine = len(np.unique(values)) >= 0.6 * len(values)
    return is_fine and fit.scatter >= 0.01 * abs(fit.change) and fit.lag_1 < -0.75


def are_steps(values: np.ndarray, fit: Trend, noise: float) -> bool:
    """Whether the values look like the change by each pulse, not like the value after it.

    Changes contain the noise of each reading twice, with opposite signs. So their residuals have a
    lag-1 autocorrelation of -1/2, which those of readings never have. If there is hardly any read
    noise, changes are independent of each other, with a mean that differs from zero. Only values
    near zero without much of a trend are judged: a curve that is coarsely rounded may have the same
    autocorrelation, but its trend is many times larger.
    """
    n, scatter, change = len(values), fit.scatter, abs(fit.change)
    if change > 12 * scatter or abs(float(np.median(values))) >= 6 * scatter:
        return False
    if -0.7 < fit.lag_1 < -max(0.3, 3 / np.sqrt(n)):
        return True
    has_trend = 1 - scatter**2 / float(np.var(values)) > 12 / n  # more than chance gives to shapes
    are_independent = change < MIN_READ_NOISES * noise and not has_trend
    return are_independent and abs(float(values.mean())) > 4 * scatter / np.sqrt(n)
