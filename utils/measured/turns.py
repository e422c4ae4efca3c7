"""Where a noisy curve turns: the turning points and resets of a column that holds many ramps.

In: the values of a column, in the order of time. Out: the ramps, as slices. A turn is where the
values go back by half of their range, far more than noise does:

    0.1 0.2 0.3 0.4 0.5 0.45 0.35 0.25 0.15 0.1      rises, turns at 0.5, falls
    0.1 0.2 0.3 0.4 0.5 0.1 0.2 0.3 0.4 0.5          rises, is reset in a single step, rises
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from math import comb
from operator import itemgetter

import numpy as np

from utils.measured.options import MIN_READINGS
from utils.measured.train import Turn, ends_of

SWING = 0.5  # of the range: values that go back by less do not turn, they are noisy
DRIFTS = 0.8  # of the swing asked for: ramps that drift have less
TURNED = 0.7  # of the range: values that go back by more turn, however much they drift
MIN_TURNS = 4  # of a train that drifts by more than its ramps change
MIN_SHARE = 0.1  # of the change of such a train: its ramps make at least so much beside the drift
REGULAR = 0.3  # of the time between turns: in such a train it differs by no more
HEAD = 0.05  # of the range: a first or last part that runs against its ramp by more is left out
JUMP = 0.6  # of the change of a piece: if a single step has more, the device was reset
MEDIAN_TO_SD = 1.4826  # standard deviation of normal numbers by the median of their sizes


def cut_at_turns(values: np.ndarray, starts: Sequence[int] = ()) -> tuple[list[slice], int]:
    """The ramps of a curve [n], as slices, and how many resets were found between them.

    No reading belongs to two ramps: the one at which the curve turns is the last of the ramp
    before. A reset is a piece that mostly is a single step. A first or last piece that belongs to a
    ramp outside of the file is in no slice. values: missing readings are NaN, but the first and the
    last one are there. starts: indices at which another ramp begins for sure.
    """
    index, is_measured = np.arange(len(values)), ~np.isnan(values)
    values = without_spikes(np.interp(index, index[is_measured], values[is_measured]))
    smooth, noise = smoothed(values)
    known, possible = {start - 1 for start in starts}, {0, len(values) - 1}
    for start, stop in pairwise([0, *starts, len(values)]):
        start = state_before(values, start, stop)
        smooth_part = smooth if not starts else smoothed(values[start:stop])[0]
        plain_turns = find_turns(smooth_part, SWING * np.ptp(smooth_part))
        turns_of_part = max(plain_turns, turns_along_drift(smooth_part, noise), key=len)
        possible.update(start + turn for turn in turns_of_part)
    extremes = sorted(possible | known)
    jumps = [jump(values, start, end) for start, end in pairwise(extremes)]
    resets = {turn for turn in jumps if turn is not None} - known
    turns = [
        Turn(values, is_measured, low + (low in known), turn, high, noise, is_known=turn in known)
        for low, turn, high, jump_before, jump_after in zip(
            extremes, extremes[1:], extremes[2:], jumps, jumps[1:], strict=False
        )
        if jump_before is None and jump_after is None
    ]
    ends = sorted({*resets, *known, *ends_of(turns)})
    bounds = [0, *(end + 1 for end in ends), len(values)]
    parts = [[start, stop] for start, stop in pairwise(bounds) if stop > start]
    first, last = parts[0], parts[-1]
    first[0] += readings_against(smooth[first[0] : first[1]], noise)
    last[1] -= readings_against(smooth[last[0] : last[1]][::-1], noise)
    return [slice(*part) for part in parts], len(resets)


def turning_point(values: np.ndarray) -> int | None:
    """The index at which a curve [n] first turns by far more than its noise; None if it does not.

    Ramps that drift go back by less of the range: three such turns are one for sure.
    """
    if len(values) < MIN_READINGS:
        return None
    smooth, noise = smoothed(without_spikes(values))
    for share, min_turns in ((TURNED, 1), (SWING, 3)):
        swing = share * float(np.ptp(smooth))
        turns = find_turns(smooth, swing) if swing > 6 * noise else []
        if len(turns) >= min_turns:
            return turns[0]
    return next(iter(turns_along_drift(smooth, noise)), None)


def state_before(values: np.ndarray, start: int, stop: int) -> int:
    """The index of the state in which a ramp starts: the reading before it, unless a reset came."""
    if start == 0 or abs(values[start] - values[start - 1]) > JUMP * np.ptp(values[start:stop]):
        return start
    return start - 1


def without_spikes(values: np.ndarray) -> np.ndarray:
    """Values [n] in which each single reading far off is replaced by the mean of its neighbours."""
    clean = values.copy()
    spread = float(np.ptp(values))
    for index in range(2, len(values) - 2):
        before, after = clean[index - 1], values[index + 1]
        distance = abs(values[index] - (before + after) / 2)
        steps = (before - clean[index - 2], values[index + 2] - after, after - before)
        if distance > 0.2 * spread and distance > 5 * max(map(abs, steps)):
            clean[index] = (before + after) / 2
    return clean


def smoothed(values: np.ndarray) -> tuple[np.ndarray, float]:
    """A running mean [n] and its noise. It is so wide that noise is at most half of the range.

    values: [n], n >= 5.
    """
    noise = noise_about_curve(values)
    extent = max(float(np.ptp(values)) - 6 * noise, 3 * noise)
    width = 1 if noise == 0 else int(np.ceil((13 * noise / extent) ** 2))
    width = min(width // 2 * 2 + 1, (len(values) - 1) // 2 * 2 + 1)
    kernel = np.ones(width)
    counts = np.convolve(np.ones(len(values)), kernel, "same")
    return np.convolve(values, kernel, "same") / counts, noise / np.sqrt(width)


def noise_about_curve(values: np.ndarray) -> float:
    """The standard deviation of the noise of values [n] about any smooth curve, n >= 5.

    Differences of the order k carry the noise of a reading times the root of binomial(2 k, k). The
    curve itself only adds to them, so the smallest estimate of several orders counts.
    """
    sizes = [(k, float(np.median(np.abs(np.diff(values, k))))) for k in (1, 2, 3, 4)]
    return min(MEDIAN_TO_SD * size / comb(2 * k, k) ** 0.5 for k, size in sizes)


def find_turns(values: np.ndarray, swing: float) -> list[int]:
    """Indices of the maxima and minima, in turn, from which values [n] go back by `swing` or more.

    Ramps that drift have far smaller ranges than all values together. If these turns show ramps
    that are small in this way, the search is repeated with `SWING` of the range of such a ramp.
    """
    from scipy.signal import find_peaks

    if swing <= 0:
        return []
    extremes = sorted(
        (int(index), sign)
        for sign in (1, -1)
        for index in find_peaks(sign * values, prominence=swing)[0]
    )
    turns = [
        max((index for index, _ in group), key=lambda index: sign * values[index])
        for sign, group in groupby(extremes, key=itemgetter(1))
    ]
    if len(turns) < 3:
        return turns
    usual_swing = SWING * float(np.median(np.abs(np.diff(values[turns]))))
    return turns if usual_swing > DRIFTS * swing else find_turns(values, usual_swing)


def turns_along_drift(smooth: np.ndarray, noise: float) -> list[int]:
    """Indices of the turns of a train [n] that drifts by more than its ramps change; none if it is
    no such train.

    They are the extremes beside the line from the first to the last value, if these come in regular
    intervals. A single ramp with write noise wanders about its line, too, but not regularly.
    """
    beside = smooth - np.linspace(smooth[0], smooth[-1], len(smooth))
    size = float(np.ptp(beside))
    turns = find_turns(beside, SWING * size) if SWING * size > 6 * noise else []
    if len(turns) < MIN_TURNS or size < MIN_SHARE * np.ptp(smooth):
        return []
    periods = np.concatenate([np.diff(turns[0::2]), np.diff(turns[1::2])])
    if np.median(periods) < 2 * MIN_READINGS or np.ptp(periods) > REGULAR * np.median(periods):
        return []
    # The line moves the extreme of a ramp that saturates: that of the values themselves counts.
    ends = [0, *turns, len(smooth) - 1]
    return [
        low + int(np.argmax(smooth[low : high + 1] * np.sign(beside[turn] - beside[low])))
        for low, turn, high in zip(ends, ends[1:], ends[2:], strict=False)
    ]


def jump(values: np.ndarray, start: int, end: int) -> int | None:
    """The index before the step that makes up most of the change of a piece; None if no step does.

    start, end: first and last index of the piece.
    """
    steps = np.diff(values[start : end + 1])
    change = values[end] - values[start]
    if change == 0:
        return None
    largest = int(np.argmax(steps * np.sign(change)))
    return start + largest if steps[largest] / change > JUMP else None


def readings_against(ramp: np.ndarray, noise: float) -> int:
    """How many readings at the start run against the ramp; the file then begins in another ramp."""
    if not len(ramp):
        return 0
    rising = ramp if ramp[-1] >= ramp[0] else -ramp
    lowest = int(np.argmin(rising))
    return lowest if rising[0] - rising[lowest] > max(HEAD * np.ptp(rising), 6 * noise) else 0
