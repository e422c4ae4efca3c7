"""A single reading that the noise of all others does not explain is left out, and named.

The first or last reading of a ramp that makes its range larger may also be a first pulse, say, that
does more than the others: it is kept, and named, unless it is 0, as what an instrument has lost.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from scipy import stats

from utils.measured.branch import Group
from utils.measured.curves import curve
from utils.measured.families import GRID, Whitened
from utils.measured.measurement import Measurement, Ramp
from utils.measured.whitening import Noise

MIN_READINGS = 8  # of a ramp that can tell
PROBABILITY = 1e-4  # that noise alone makes one as far off among all readings
MAX_SHARE = 0.02  # of the readings of a ramp; where more are far off, its noise is like that
WHITE = Noise(1.0, 0.0, 0.0)


def leave_out_single_readings(measurement: Measurement) -> tuple[Measurement, list[str]]:
    """The measurement without readings that are far off, and a sentence for each of these."""
    n = sum(len(ramp.values) for ramp in measurement.ramps)
    found = [
        far_off(ramp, n) if len(ramp.values) >= MIN_READINGS else {} for ramp in measurement.ramps
    ]
    # What stands out after the same pulse of several ramps belongs to the curve.
    often = Counter(
        (ramp.branch, ramp.pulses[place])
        for ramp, far in zip(measurement.ramps, found, strict=True)
        for place in far
    )
    ramps, sentences = [], []
    for ramp, far in zip(measurement.ramps, found, strict=True):
        single = [place for place in far if often[ramp.branch, ramp.pulses[place]] == 1]
        if len(far) > max(1, MAX_SHARE * len(ramp.values)):
            single = []
        for place in single:
            reading = (
                f"line {ramp.lines[place]}: the reading {ramp.values[place]:g} after pulse "
                f"{ramp.pulses[place]:g} of device {ramp.device}"
            )
            away = f"{far[place]:.0f} standard deviations of the other readings off the curve"
            if extends(ramp, place):  # nothing tells a wrong reading from a strong pulse
                sentences.append(
                    f"{reading} is {away}, and is kept, since the {'last' if place else 'first'} "
                    "pulse may do more than others; remove the line if it is wrong"
                )
            else:
                sentences.append(f"{reading} is left out: it is {away}")
        single = [place for place in single if not extends(ramp, place)]
        left = np.setdiff1d(np.arange(len(ramp.values)), single)
        kept = {name: getattr(ramp, name)[left] for name in ("pulses", "values", "lines")}
        ramps.append(replace(ramp, **kept))
    return replace(measurement, ramps=tuple(ramps)), sentences


def extends(ramp: Ramp, place: int) -> bool:
    """Whether a reading, not 0, ends a ramp further away from the other end than its neighbour."""
    values = ramp.values if place == 0 else ramp.values[::-1]
    if place not in (0, len(values) - 1) or values[0] == 0:
        return False
    return bool((values[0] - values[1]) * (values[1] - values[-1]) > 0)


def far_off(ramp: Ramp, n_readings: int) -> dict[int, float]:
    """Places of readings that are far off, each with how many standard deviations of the others.

    A reading is compared with the mean of its neighbours, both less the exponential that is nearest
    to all others: so neither a curve nor what write noise has added up so far counts against it.
    """
    found: dict[int, float] = {}
    left = np.arange(len(ramp.values))
    while len(left) >= MIN_READINGS and len(found) <= MAX_SHARE * len(ramp.values) + 1:
        spare = len(left) - 5
        limit = stats.t.isf(PROBABILITY / (2 * n_readings), spare)
        away = deviations(ramp, left, left)
        suspect = int(np.argmax(np.abs(away)))
        others = np.delete(left, suspect)
        # Beyond the ends of the others their curve knows little: there it is that of all.
        doubtful = abs(away[suspect]) > limit / 2 * rms(away, suspect, spare)
        if 0 < suspect < len(left) - 1 and doubtful:
            away = deviations(ramp, others, left)
        noise = rms(away, suspect, spare)
        if not abs(away[suspect]) > limit * noise > 0:
            break
        found[int(left[suspect])] = abs(away[suspect]) / noise
        left = others
    return found


def rms(away: np.ndarray, suspect: int, spare: int) -> float:
    """Of all others than the suspect."""
    return float(np.sqrt((np.delete(away, suspect) ** 2).sum() / spare))


def deviations(ramp: Ramp, fitted: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Residuals of the readings `shown` less those of their neighbours among the `fitted`."""
    pulses, values = ramp.pulses[fitted], ramp.values[fitted]
    first, step = values[0], np.ptp(values) or 1.0
    time = (ramp.pulses - pulses[0]) / (pulses[-1] - pulses[0])
    level = (ramp.values - first)[:, None] / step
    group = Group(time[fitted], level[fitted], np.zeros(1, int), np.zeros(1, int))
    white = Whitened(group, WHITE)
    product, square = white.level[:, 0] @ white.grid, (white.grid**2).sum(0)
    best = int((product**2 / square).argmax())
    above = product[best] / square[best] * curve(time, GRID[best])[:, None]
    residual = (level - above - white.starts(level[fitted] - above[fitted]))[:, 0]
    before = fitted[np.maximum(np.searchsorted(fitted, shown) - 1, 0)]
    after = fitted[np.minimum(np.searchsorted(fitted, shown, "right"), len(fitted) - 1)]
    is_first, is_last = shown <= fitted[0], shown >= fitted[-1]
    before, after = np.where(is_first, after, before), np.where(is_last, before, after)
    return residual[shown] - (residual[before] + residual[after]) / 2
