"""Single readings that the noise of all others does not explain are left out and reported.

A reading is far off if its deviation from the mean of its two neighbours exceeds the quantile of
Student's distribution that noise would exceed in one file of 10 000. A first or last reading that
extends the range is kept and reported, since a first or last pulse may do more than others; but a
reading of 0 there is left out, since instruments write 0 for a lost reading. A `Measurement` goes
in; the same without these readings, and a sentence for each of them, come out.
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
PROBABILITY = 1e-4  # that noise alone makes any reading of the file so far off
MAX_SHARE = 0.02  # of the readings of a ramp; if more are far off, they count as noise


def leave_out_single_readings(measurement: Measurement) -> tuple[Measurement, list[str]]:
    """The measurement without readings that are far off, and a sentence for each of these."""
    n = sum(len(ramp.values) for ramp in measurement.ramps)
    outliers = [(ramp, far_off(ramp, n)) for ramp in measurement.ramps]
    # A deviation after the same pulse of several ramps belongs to the curve.
    counts = Counter((ramp.branch, ramp.pulses[place]) for ramp, far in outliers for place in far)
    ramps, sentences = [], []
    for ramp, far in outliers:
        is_kept = np.ones(len(ramp.values), bool)
        are_few = len(far) <= max(1, MAX_SHARE * len(ramp.values))
        for place, size in far.items() if are_few else ():
            if counts[ramp.branch, ramp.pulses[place]] > 1:
                continue
            reading = (
                f"line {ramp.lines[place]}: the reading {ramp.values[place]:g} after pulse "
                f"{ramp.pulses[place]:g} of device {ramp.device}"
            )
            deviation = f"{size:.0f} standard deviations of the other readings off the curve"
            if extends(ramp, place):  # a wrong reading and a strong pulse look the same
                sentences.append(
                    f"{reading} is {deviation}, and is kept, since the "
                    f"{'last' if place else 'first'} pulse may do more than others; remove the "
                    "line if it is wrong"
                )
            else:
                sentences.append(f"{reading} is left out: it is {deviation}")
                is_kept[place] = False
        kept = {name: getattr(ramp, name)[is_kept] for name in ("pulses", "values", "lines")}
        ramps.append(replace(ramp, **kept))
    return replace(measurement, ramps=tuple(ramps)), sentences


def extends(ramp: Ramp, place: int) -> bool:
    """Whether a first or last reading, which is not 0, extends the range beyond its neighbour."""
    values = ramp.values if place == 0 else ramp.values[::-1]
    if place not in (0, len(values) - 1) or values[0] == 0:
        return False
    return bool((values[0] - values[1]) * (values[1] - values[-1]) > 0)


def far_off(ramp: Ramp, n_readings: int) -> dict[int, float]:
    """Indices of readings that are far off, with their deviations in standard deviations.

    n_readings: of the whole file. A reading is compared with the mean of its neighbours, and the
    exponential that is nearest to the other readings is subtracted from all three. So neither the
    curve nor write noise of earlier pulses counts against a reading.
    """
    outliers: dict[int, float] = {}
    places = np.arange(len(ramp.values))
    while len(places) >= MIN_READINGS and len(outliers) <= MAX_SHARE * len(ramp.values) + 1:
        spare = len(places) - 5
        limit = -stdtrit(spare, PROBABILITY / (2 * n_readings))
        deviation = deviations(ramp, places, places)
        suspect = int(np.argmax(np.abs(deviation)))
        without_suspect = np.delete(places, suspect)
        # A curve is uncertain beyond its readings, so a suspect at an end is part of the fit.
        if 0 < suspect < len(places) - 1:
            deviation = deviations(ramp, without_suspect, places)
        noise = float(np.sqrt((np.delete(deviation, suspect) ** 2).sum() / spare))
        if not abs(deviation[suspect]) > limit * noise > 0:
            break
        outliers[int(places[suspect])] = abs(deviation[suspect]) / noise
        places = without_suspect
    return outliers


def deviations(ramp: Ramp, fitted: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Residuals of the readings `shown`, less the mean residual of their `fitted` neighbours.

    fitted, shown: indices of readings of the ramp, rising.
    """
    first, last = ramp.pulses[fitted[[0, -1]]]
    time = (ramp.pulses - first) / (last - first)
    start, size, nu = nearest(time, ramp.values, GRID, fitted)
    residual = ramp.values - start - size * curve(time, nu)
    neighbours = np.pad(fitted, 1, mode="reflect")  # an end has the same neighbour twice
    before = neighbours[np.searchsorted(fitted, shown)]
    after = neighbours[np.searchsorted(fitted, shown, "right") + 1]
    return residual[shown] - (residual[before] + residual[after]) / 2
