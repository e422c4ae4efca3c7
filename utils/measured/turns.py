"""Where a noisy curve turns: one column of many ramps, cut at its turning points."""

from __future__ import annotations

from itertools import pairwise
from math import comb

import numpy as np

from utils.measured.checks import FEWEST, trend

SWING = 0.5  # of the range: what goes back by less is noise, or no ramp
TURNED = 0.7  # of the range: a ramp that goes back by more is none, however it drifts
HEAD = 0.05  # of the range: a first or last part that runs against its ramp by more is left out
PLACES = 12  # at which a turn is tried before its surroundings are tried more finely
JUMP = 0.6  # of a piece in one step: the device was reset
MEDIAN_TO_SD = 1.4826  # of normal numbers, from the median of their sizes


def ramps_between_turns(values: np.ndarray) -> tuple[list[slice], int]:
    """The ramps of a curve [n], as slices, and how many resets were found between them.

    Two ramps share the reading at which they turn, which is where the second starts, unless the
    extreme value stands there twice. A reset is a piece that mostly is a single step.
    """
    smooth, noise = smoothed(values)
    extremes = [0, *zigzag(smooth, SWING * np.ptp(smooth)), len(values) - 1]
    turns: list[tuple[int, int]] = []
    for at, after in pairwise(extremes[1:]):
        before = turns[-1][1] if turns else 0
        turns.append(refined(values, before, at, after))
    starts = [0] + [start for _, start in turns]
    ends = [end for end, _ in turns] + [len(values) - 1]
    bounds = [list(pair) for pair in zip(starts, ends, strict=True)]
    kept = []
    for index, (start, end) in enumerate(bounds):
        step = jump(values, start, end)
        if step is None:
            kept.append(bounds[index])
            continue
        if index > 0:  # the ramps beside it end and begin at this step, wherever noise put the turn
            bounds[index - 1][1] = step
        if index + 1 < len(bounds):
            bounds[index + 1][0] = step + 1
    if kept:
        kept[0][0] += head(smooth[kept[0][0] : kept[0][1] + 1], noise)
        kept[-1][1] -= head(smooth[kept[-1][0] : kept[-1][1] + 1][::-1], noise)
    return [slice(start, end + 1) for start, end in kept], len(bounds) - len(kept)


def turning_point(values: np.ndarray) -> int | None:
    """A reading at which a curve [n] turns by far more than its noise; None if it runs one way."""
    smooth, noise = smoothed(values)
    swing = TURNED * float(np.ptp(smooth))
    turns = zigzag(smooth, swing) if swing > 6 * noise else []
    return turns[0] if turns else None


def smoothed(values: np.ndarray) -> tuple[np.ndarray, float]:
    """A running mean [n], so wide that noise spreads over half of the range or less, and its noise.

    values: [n], n >= 5. Differences of order k carry noise times the root of binomial(2 k, k), and
    whatever the curve does, so that the smallest estimate counts.
    """
    noise = min(
        MEDIAN_TO_SD
        * float(np.median(np.abs(np.diff(values, order))))
        / comb(2 * order, order) ** 0.5
        for order in (1, 2, 3, 4)
    )
    extent = max(float(np.ptp(values)) - 6 * noise, 3 * noise)
    width = 1 if noise == 0 else int(np.ceil((13 * noise / extent) ** 2))
    width = min(width // 2 * 2 + 1, (len(values) - 1) // 2 * 2 + 1)
    kernel = np.ones(width)
    sums, counts = (np.convolve(each, kernel, "same") for each in (values, np.ones(len(values))))
    return sums / counts, noise / np.sqrt(width)


def zigzag(values: np.ndarray, swing: float) -> list[int]:
    """Indices of the extremes between which values [n] go back by more than swing."""
    turns: list[int] = []
    low = high = 0
    rising: bool | None = None  # not known before the first swing
    for index, value in enumerate(values.tolist()):
        if rising is not False:
            if value > values[high]:
                high = index
            if value < values[high] - swing:
                if rising:
                    turns.append(high)
                rising, low = False, index
        if rising is not True:
            if value < values[low]:
                low = index
            if value > values[low] + swing:
                if rising is False:
                    turns.append(low)
                rising, high = True, index
    return turns


def refined(values: np.ndarray, low: int, at: int, high: int) -> tuple[int, int]:
    """Where the ramp up to a turn ends and the next one starts.

    low, at, high: extremes before, at and after the turn. Where a ramp saturates, its largest
    reading is a matter of noise, so the turn is put where exponentials on both sides leave least.
    """
    part = values[low : high + 1]
    up = part if values[at] >= part[0] else -part

    def misfit(end: int) -> float:
        return sum(trend(np.arange(len(side)), side).squares for side in (up[:end], up[end:]))

    first, last, best = 2, len(up) - 2, at - low  # both sides have two readings or more
    steps = np.diff(up)
    if last < first or ((steps[:best] >= 0).all() and (steps[best:] <= 0).all()):
        first, last = best, best - 1  # without noise, or too short, it is the extreme itself
    while first <= last:
        step = max(1, (last - first) // PLACES)
        best = min(range(first, last + 1, step), key=misfit)
        first, last = max(first, best - step + 1), min(last, best + step - 1)
        if step == 1:
            break
    near = up[max(0, best - 1) : best + 1]
    peak = max(0, best - 1) + int(np.argmax(near))
    start = peak
    while start + 1 < len(up) and up[start + 1] == up[peak]:
        start += 1
    return low + peak, low + start


def jump(values: np.ndarray, start: int, end: int) -> int | None:
    """The reading before the step that makes up most of a piece, if one does; else None."""
    steps = np.diff(values[start : end + 1])
    change = values[end] - values[start]
    if change == 0:
        return None
    largest = int(np.argmax(steps * np.sign(change)))
    short = end - start + 1 < FEWEST
    return start + largest if short or steps[largest] / change > JUMP else None


def head(ramp: np.ndarray, noise: float) -> int:
    """Readings [n] at the start that run against the ramp, where the file begins within another."""
    up = ramp if ramp[-1] >= ramp[0] else -ramp
    lowest = int(np.argmin(up))
    return lowest if up[0] - up[lowest] > max(HEAD * np.ptp(up), 6 * noise) else 0
