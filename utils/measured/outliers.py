"""A single reading that the noise of all others does not explain is left out, and named.

The first or last reading of a ramp that makes its range larger may also be a first pulse, say, that
does more than the others: it is kept, and named, unless it is 0, as what an instrument has lost.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from scipy.special import stdtrit

from utils.measured.curves import curve, nearest
from utils.measured.families import GRID
from utils.measured.measurement import Measurement, Ramp

MIN_READINGS = 8  # of a ramp that can tell
PROBABILITY = 1e-4  # that noise alone makes one as far off among all readings
MAX_SHARE = 0.02  # of the readings of a ramp; where more are far off, its noise is like that


def leave_out_single_readings(measurement: Measurement) -> tuple[Measurement, list[str]]:
    """The measurement without readings that are far off, and a sentence for each of these."""
    n = sum(len(ramp.values) for ramp in measurement.ramps)
    found = [(ramp, far_off(ramp, n)) for ramp in measurement.ramps]
    # What stands out after the same pulse of several ramps belongs to the curve.
    often = Counter((ramp.branch, ramp.pulses[place]) for ramp, far in found for place in far)
    ramps, sentences = [], []
    for ramp, far in found:
        left = np.ones(len(ramp.values), bool)
        few = len(far) <= max(1, MAX_SHARE * len(ramp.values))
        for place, size in far.items() if few else ():
            if often[ramp.branch, ramp.pulses[place]] > 1:
                continue
            reading = (
                f"line {ramp.lines[place]}: the reading {ramp.values[place]:g} after pulse "
                f"{ramp.pulses[place]:g} of device {ramp.device}"
            )
            away = f"{size:.0f} standard deviations of the other readings off the curve"
            if extends(ramp, place):  # nothing tells a wrong reading from a strong pulse
                sentences.append(
                    f"{reading} is {away}, and is kept, since the {'last' if place else 'first'} "
                    "pulse may do more than others; remove the line if it is wrong"
                )
            else:
                sentences.append(f"{reading} is left out: it is {away}")
                left[place] = False
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
        limit = -stdtrit(spare, PROBABILITY / (2 * n_readings))
        away = deviations(ramp, left, left)
        suspect = int(np.argmax(np.abs(away)))
        others = np.delete(left, suspect)
        # Beyond the ends of the others their curve knows little: there it is that of all.
        if 0 < suspect < len(left) - 1:
            away = deviations(ramp, others, left)
        noise = float(np.sqrt((np.delete(away, suspect) ** 2).sum() / spare))
        if not abs(away[suspect]) > limit * noise > 0:
            break
        found[int(left[suspect])] = abs(away[suspect]) / noise
        left = others
    return found


def deviations(ramp: Ramp, fitted: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Residuals of the readings `shown` less those of their neighbours among the `fitted`.

    Both: places in the ramp, in order.
    """
    first, last = ramp.pulses[fitted[[0, -1]]]
    time = (ramp.pulses - first) / (last - first)
    start, size, nu = nearest(time, ramp.values, GRID, fitted)
    residual = ramp.values - start - size * curve(time, nu)
    beside = np.pad(fitted, 1, mode="reflect")  # the first and the last one have one neighbour
    before = beside[np.searchsorted(fitted, shown)]
    after = beside[np.searchsorted(fitted, shown, "right") + 1]
    return residual[shown] - (residual[before] + residual[after]) / 2
