"""Where a noisy curve turns: one column of many ramps, cut at its turning points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import comb

import numpy as np

from utils.measured.options import MIN_READINGS

SWING = 0.5  # of the range: what goes back by less is noise, or no ramp
TURNED = 0.7  # of the range: a ramp that goes back by more is none, however it drifts
HEAD = 0.05  # of the range: a first or last part that runs against its ramp by more is left out
PLACES = 12  # at which a turn is tried before its surroundings are tried more finely
REACH = 3  # readings by which the ends of all ramps are moved together
JUMP = 0.6  # of a piece in one step: the device was reset
KNOT_GRID = np.linspace(-11.75, 11.75, 48)[:, None]  # nonlinearities of curves that meet
MEDIAN_TO_SD = 1.4826  # of normal numbers, from the median of their sizes


def cut_at_turns(values: np.ndarray) -> tuple[list[slice], int]:
    """The ramps of a curve [n], as slices, and how many resets were found between them.

    No reading belongs to two ramps: the one at which the curve turns ends the ramp before. A reset
    is a piece that mostly is a single step. What a file cuts off at its ends is in no slice.
    """
    values = without_spikes(values)
    smooth, noise = smoothed(values)
    extremes = [0, *find_turns(smooth, SWING * np.ptp(smooth)), len(values) - 1]
    jumps = [jump(values, start, end) for start, end in pairwise(extremes)]
    resets = [at for at in jumps if at is not None]
    turns = [
        Turn(values, extremes[index], extremes[index + 1], extremes[index + 2], noise)
        for index, (one, other) in enumerate(pairwise(jumps))
        if one is None and other is None
    ]
    ends = sorted(resets + ends_of(turns))
    bounds = [0, *(end + 1 for end in ends), len(values)]
    parts = [[start, stop] for start, stop in pairwise(bounds) if stop > start]
    first, last = parts[0], parts[-1]
    first[0] += head(smooth[first[0] : first[1]], noise)
    last[1] -= head(smooth[last[0] : last[1]][::-1], noise)
    return [slice(*part) for part in parts], len(resets)


def turning_point(values: np.ndarray) -> int | None:
    """A reading at which a curve [n] turns by far more than its noise; None if it runs one way."""
    if len(values) < MIN_READINGS:
        return None
    smooth, noise = smoothed(without_spikes(values))
    swing = TURNED * float(np.ptp(smooth))
    turns = find_turns(smooth, swing) if swing > 6 * noise else []
    return turns[0] if turns else None


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


def find_turns(values: np.ndarray, swing: float) -> list[int]:
    """Indices of the extremes, by turns high and low, from which values [n] go back by `swing`."""
    from scipy.signal import find_peaks

    if swing <= 0:
        return []
    found = []
    for sign in (1, -1):
        peaks, _ = find_peaks(sign * values, prominence=swing)
        found += [(int(peak), sign) for peak in peaks]
    turns: list[tuple[int, int]] = []
    for at, sign in sorted(found):
        if not turns or turns[-1][1] != sign:
            turns.append((at, sign))
        elif sign * (values[at] - values[turns[-1][0]]) > 0:
            turns[-1] = (at, sign)
    return [at for at, _ in turns]


@dataclass(eq=False)
class Turn:
    """A turn of values [n] of this noise; low, at, high: the extremes before, at and after it.

    Where a ramp saturates, its largest reading is a matter of noise: the turn is where curves on
    both sides leave least. In a continuous train they meet in the last reading of the ramp before,
    `at_knot`; where the device was moved in between they do not, `apart`.
    """

    values: np.ndarray
    low: int
    at: int
    high: int
    noise: float

    def __post_init__(self) -> None:
        up = self.values if self.values[self.at] >= self.values[self.low] else -self.values
        # Extremes on a flat end are anywhere on it: the turn, and those beside it.
        before, after = up[self.low : self.at + 1], up[self.at : self.high + 1]
        slack = 6 * self.noise
        left = self.at - int(np.argmax(before[::-1] < before[-1] - slack))
        right = self.at + int(np.argmax(after < after[0] - slack))
        low = self.low + max(int(np.argmax(before > before[0] + slack)) - 1, 0)
        high = self.high - max(int(np.argmax(after[::-1] > after[-1] + slack)) - 1, 0)
        # Not up to the extremes beside it, whose places are as uncertain and lie in other ramps.
        self.first = max(low, left - max(6, (left - low) // 2))
        self.part = up[self.first : min(high, right + max(6, (high - right) // 2)) + 1]
        self.misfits: dict[tuple[Callable, int], float] = {}

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last reading that may end the ramp: three are left on both sides."""
        return self.first + 2, self.first + len(self.part) - 4

    @property
    def is_wide(self) -> bool:
        return self.ends[0] <= self.ends[1]

    def sharp(self) -> int | None:
        """The turn of a curve whose steps around it are far larger than its noise."""
        steps, peak = np.diff(self.part), int(np.argmax(self.part))
        up, down = steps[:peak], -steps[peak:]
        is_sharp = (up >= 0).all() and (down >= 0).all() and up[-1:] > 5 * self.noise
        # The state may have been read again: the first of equals.
        return (
            self.first + peak if is_sharp and (down[down > 0][:1] > 5 * self.noise).all() else None
        )

    def misfit(self, how: Callable[[np.ndarray, int], float], end: int) -> float:
        if (how, end) not in self.misfits:
            self.misfits[how, end] = how(self.part, end - self.first)
        return self.misfits[how, end]

    def best(self, how: Callable[[np.ndarray, int], float]) -> int:
        """The end of the ramp before, first tried coarsely, then more finely."""
        if not self.is_wide:
            return self.at
        first, last = self.ends
        while True:
            step = max(1, (last - first) // PLACES)
            best = min(range(first, last + 1, step), key=lambda end: self.misfit(how, end))
            if step == 1:
                break
            first = max(self.ends[0], best - step + 1)
            last = min(self.ends[1], best + step - 1)
        # That the state at the turn begins the next ramp fits as well as that it ends this one.
        is_equal = (
            how is apart
            and best < self.ends[1]
            and (
                self.misfit(how, best + 1)
                <= self.misfit(how, best) * (1 + 10 / max(1, len(self.part) - 8))
            )
        )
        return best + is_equal


def at_knot(values: np.ndarray, end: int) -> float:
    """What two exponentials leave of values [n] that meet at the reading `end`."""
    place = np.arange(len(values)) - end
    return left_over(values, [np.maximum(-place / end, 0), np.maximum(place / place[-1], 0)])


def apart(values: np.ndarray, end: int) -> float:
    """What an exponential up to the reading `end` and one after it leave of values [n]."""
    return sum(
        left_over(x, [np.linspace(0, 1, len(x))]) for x in (values[: end + 1], values[end + 1 :])
    )


def left_over(values: np.ndarray, places: Sequence[np.ndarray]) -> float:
    """Squares that a level and an exponential of each of one or two places leave of values [n].

    The best nonlinearities of a grid, and a change of each to first order.
    """
    level = values - values.mean()
    shapes = [np.expm1(-KNOT_GRID * place) for place in places]  # [grid, n] each
    shapes = [shape - shape.mean(axis=1, keepdims=True) for shape in shapes]
    product, square = [shape @ level for shape in shapes], [(shape**2).sum(1) for shape in shapes]
    if len(places) == 1:
        best = [int(np.argmax(product[0] ** 2 / square[0]))]
    else:
        (a, b), (aa, bb), ab = product, square, shapes[0] @ shapes[1].T
        explained = (a**2)[:, None] * bb - 2 * np.outer(a, b) * ab + aa[:, None] * b**2
        explained /= np.outer(aa, bb) - ab**2
        best = list(np.unravel_index(int(explained.argmax()), explained.shape))
    columns = [np.ones(len(values))]
    for place, index in zip(places, best, strict=True):
        nu = KNOT_GRID[index]
        columns += [np.expm1(-nu * place), place * np.exp(-nu * place)]
    basis = np.stack(columns, axis=1)
    basis, _ = np.linalg.qr(basis / np.linalg.norm(basis, axis=0))
    return float(max((level**2).sum() - ((basis.T @ level) ** 2).sum(), 0.0))


def ends_of(turns: Sequence[Turn]) -> list[int]:
    """The last readings of the ramps up to these turns.

    All turns of a train tell together whether its ramps meet and, where these have the same two
    lengths, where they end.
    """
    sharp = [turn.sharp() for turn in turns]
    noisy = [turn for turn, at in zip(turns, sharp, strict=True) if at is None and turn.is_wide]
    if not noisy:
        return [turn.at if at is None else at for turn, at in zip(turns, sharp, strict=True)]
    spare = max(sum(len(turn.part) - 6 for turn in noisy), 1)
    left = {
        each: sum(turn.misfit(each, turn.best(each)) for turn in noisy) for each in (at_knot, apart)
    }
    meet = left[at_knot] - left[apart] <= (10 + 4 * len(noisy)) * left[apart] / spare
    how = at_knot if meet else apart
    ends = [turn.best(how) if at is None else at for turn, at in zip(turns, sharp, strict=True)]

    def total(ends: Sequence[int]) -> float:
        return sum(turn.misfit(how, end) for turn, end in zip(turns, ends, strict=True))

    raster = raster_of(turns, ends, total) if all(turn.is_wide for turn in turns) else None
    if raster is None or total(raster) - total(ends) > (10 + 6 * len(turns)) * left[how] / spare:
        return ends
    return raster


def raster_of(
    turns: Sequence[Turn], ends: Sequence[int], total: Callable[[Sequence[int]], float]
) -> list[int] | None:
    """Ends of ramps of two lengths that alternate, near these and with the least total misfit.

    None where there is no such raster.
    """
    if len(ends) < 3:
        return None
    at, index = np.array(ends), np.arange(len(ends))
    usual = round(float(np.median(at[2:] - at[:-2])))
    low, high = np.array([turn.ends for turn in turns]).T
    found = []
    for period in (usual - 1, usual, usual + 1):
        raster = index // 2 * period
        for parity in (0, 1):
            own = index % 2 == parity
            middle = round(float(np.median((at - raster)[own])))
            raster[own] += middle
            tries = []
            for moved in range(-REACH, REACH + 1):
                tried = np.where(own, raster + moved, at)
                if ((tried >= low) & (tried <= high)).all():
                    tries.append((total(tried.tolist()), moved))
            if tries:
                raster[own] += min(tries)[1]
        if ((raster >= low) & (raster <= high)).all():
            found.append((total(raster.tolist()), raster.tolist()))
    return min(found)[1] if found else None


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
