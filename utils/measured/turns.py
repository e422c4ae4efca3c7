"""Where a noisy curve turns: one column of many ramps, cut at its turning points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from math import comb
from operator import itemgetter

import numpy as np

from utils.measured.options import MIN_READINGS
from utils.measured.train import Turn, ends_of

SWING = 0.5  # of the range: what goes back by less is noise, or no ramp
DRIFTS = 0.8  # of the swing asked for: where ramps are so much smaller, they drift
TURNED = 0.7  # of the range: a ramp that goes back by more is none, however it drifts
MIN_TURNS = 4  # of a train that drifts by more than its ramps change
MIN_SHARE = 0.1  # of all that such a train changes by, which its ramps make beside the drift
REGULAR = 0.3  # of the time from turn to turn, by which it may differ in such a train
HEAD = 0.05  # of the range: a first or last part that runs against its ramp by more is left out
JUMP = 0.6  # of a piece in one step: the device was reset
MEDIAN_TO_SD = 1.4826  # of normal numbers, from the median of their sizes


def cut_at_turns(values: np.ndarray, starts: Sequence[int] = ()) -> tuple[list[slice], int]:
    """The ramps of a curve [n], as slices, and how many resets were found between them.

    No reading belongs to two ramps: the one at which the curve turns ends the ramp before. A reset
    is a piece that mostly is a single step. What a file cuts off at its ends is in no slice.
    Readings that are missing are NaN, but for the first and the last one. starts: indices at which
    another ramp begins for sure.
    """
    index, there = np.arange(len(values)), ~np.isnan(values)
    values = without_spikes(np.interp(index, index[there], values[there]))
    smooth, noise = smoothed(values)
    known, found = {start - 1 for start in starts}, {0, len(values) - 1}
    for start, stop in pairwise([0, *starts, len(values)]):
        start = state_before(values, start, stop)
        part = smooth if not starts else smoothed(values[start:stop])[0]
        turns_of_part = find_turns(part, SWING * np.ptp(part))
        drifting = turns_along_drift(part, noise)
        found.update(start + at for at in max(turns_of_part, drifting, key=len))
    extremes = sorted(found | known)
    jumps = [jump(values, start, end) for start, end in pairwise(extremes)]
    resets = {at for at in jumps if at is not None} - known
    turns = [
        Turn(values, there, low + (low in known), at, high, noise, is_known=at in known)
        for low, at, high, reset_before, reset_after in zip(
            extremes, extremes[1:], extremes[2:], jumps, jumps[1:], strict=False
        )
        if reset_before is None and reset_after is None
    ]
    ends = sorted({*resets, *known, *ends_of(turns)})
    bounds = [0, *(end + 1 for end in ends), len(values)]
    parts = [[start, stop] for start, stop in pairwise(bounds) if stop > start]
    first, last = parts[0], parts[-1]
    first[0] += head(smooth[first[0] : first[1]], noise)
    last[1] -= head(smooth[last[0] : last[1]][::-1], noise)
    return [slice(*part) for part in parts], len(resets)


def turning_point(values: np.ndarray) -> int | None:
    """A reading at which a curve [n] turns by far more than its noise; None if it runs one way.

    A curve that turns again and again may drift more.
    """
    if len(values) < MIN_READINGS:
        return None
    smooth, noise = smoothed(without_spikes(values))
    for share, least in ((TURNED, 1), (SWING, 3)):
        swing = share * float(np.ptp(smooth))
        turns = find_turns(smooth, swing) if swing > 6 * noise else []
        if len(turns) >= least:
            return turns[0]
    return next(iter(turns_along_drift(smooth, noise)), None)


def state_before(values: np.ndarray, start: int, stop: int) -> int:
    """The index of the state in which a ramp starts: the reading before, unless it was reset."""
    if start == 0 or abs(values[start] - values[start - 1]) > JUMP * np.ptp(values[start:stop]):
        return start
    return start - 1


def without_spikes(values: np.ndarray) -> np.ndarray:
    """Values [n] in which a single reading far off, a lost one, is the mean of its neighbours."""
    clean = values.copy()
    spread = float(np.ptp(values))
    for at in range(2, len(values) - 2):
        before, after = clean[at - 1], values[at + 1]
        off = abs(values[at] - (before + after) / 2)
        near = max(abs(before - clean[at - 2]), abs(values[at + 2] - after), abs(after - before))
        if off > 0.2 * spread and off > 5 * near:
            clean[at] = (before + after) / 2
    return clean


def smoothed(values: np.ndarray) -> tuple[np.ndarray, float]:
    """A running mean [n], so wide that noise spreads over half of the range or less, and its noise.

    values: [n], n >= 5.
    """
    noise = noise_beside_curve(values)
    extent = max(float(np.ptp(values)) - 6 * noise, 3 * noise)
    width = 1 if noise == 0 else int(np.ceil((13 * noise / extent) ** 2))
    width = min(width // 2 * 2 + 1, (len(values) - 1) // 2 * 2 + 1)
    kernel = np.ones(width)
    sums, counts = (np.convolve(array, kernel, "same") for array in (values, np.ones(len(values))))
    return sums / counts, noise / np.sqrt(width)


def noise_beside_curve(values: np.ndarray) -> float:
    """The standard deviation of the noise of values [n] about any smooth curve, n >= 5.

    Differences of order k carry noise times the root of binomial(2 k, k), and whatever the curve
    does, so that the smallest estimate counts.
    """
    return min(
        MEDIAN_TO_SD
        * float(np.median(np.abs(np.diff(values, order))))
        / comb(2 * order, order) ** 0.5
        for order in (1, 2, 3, 4)
    )


def find_turns(values: np.ndarray, swing: float) -> list[int]:
    """Indices of the extremes, by turns high and low, from which values [n] go back by `swing`.

    Ramps that drift have far smaller ranges than all values together: then of theirs, `SWING`.
    """
    from scipy.signal import find_peaks

    if swing <= 0:
        return []
    extremes = sorted(
        (int(at), sign) for sign in (1, -1) for at in find_peaks(sign * values, prominence=swing)[0]
    )
    found = [
        max((at for at, _ in group), key=lambda at: sign * values[at])
        for sign, group in groupby(extremes, key=itemgetter(1))
    ]
    usual = SWING * float(np.median(np.abs(np.diff(values[found])))) if len(found) > 2 else swing
    return found if usual > DRIFTS * swing else find_turns(values, usual)


def turns_along_drift(smooth: np.ndarray, noise: float) -> list[int]:
    """Indices of the turns of a train [n] that drifts by more than its ramps change; else none.

    They are the extremes beside the line from the first to the last value, if these come in regular
    intervals: write noise makes a single ramp wander about its line, too, but not regularly.
    """
    beside = smooth - np.linspace(smooth[0], smooth[-1], len(smooth))
    size = float(np.ptp(beside))
    turns = find_turns(beside, SWING * size) if SWING * size > 6 * noise else []
    if len(turns) < MIN_TURNS or size < MIN_SHARE * np.ptp(smooth):
        return []
    periods = np.concatenate([np.diff(turns[0::2]), np.diff(turns[1::2])])
    if np.median(periods) < 2 * MIN_READINGS or np.ptp(periods) > REGULAR * np.median(periods):
        return []
    # Where a ramp saturates, the line shifts its extreme: that of the values counts.
    ends = [0, *turns, len(smooth) - 1]
    return [
        low + int(np.argmax(smooth[low : high + 1] * np.sign(beside[at] - beside[low])))
        for low, at, high in zip(ends, ends[1:], ends[2:], strict=False)
    ]


def jump(values: np.ndarray, start: int, end: int) -> int | None:
    """The reading before the step that makes up most of a piece, if one does; else None."""
    steps = np.diff(values[start : end + 1])
    change = values[end] - values[start]
    if change == 0:
        return None
    largest = int(np.argmax(steps * np.sign(change)))
    return start + largest if steps[largest] / change > JUMP else None


def head(ramp: np.ndarray, noise: float) -> int:
    """Readings [n] at the start that run against the ramp, where the file begins within another."""
    if not len(ramp):
        return 0
    up = ramp if ramp[-1] >= ramp[0] else -ramp
    lowest = int(np.argmin(up))
    return lowest if up[0] - up[lowest] > max(HEAD * np.ptp(up), 6 * noise) else 0
