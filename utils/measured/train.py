"""Where the ramps of a continuous train of pulses end, as curves on both sides of turns tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from operator import itemgetter

import numpy as np

PLACES = 12  # at which a turn is tried before its surroundings are tried more finely
MOVES = (0, -1, 1, -2, 2, -3, 3)  # readings by which the ends of all ramps are moved together
KNOT_GRID = np.linspace(-11.75, 11.75, 48)[:, None]  # nonlinearities of curves that meet


@dataclass(eq=False)
class Turn:
    """A turn of values [n] of this noise; low, at, high: the extremes before, at and after it.

    there: which values were measured, [n]; the others are between those beside them. is_known:
    whether the ramp ends at `at` for sure. meet: whether ramps do at turns of its kind.
    Where a ramp saturates, its largest reading is a matter of noise: the turn is where curves on
    both sides leave least. In a continuous train they meet in the last reading of the ramp before;
    where the device was moved in between they do not.
    """

    values: np.ndarray
    there: np.ndarray
    low: int
    at: int
    high: int
    noise: float
    is_known: bool = False
    meet: bool = True

    def __post_init__(self) -> None:
        self.is_high = bool(self.values[self.at] >= self.values[self.low])
        up = self.values if self.is_high else -self.values
        # Extremes on a flat end are anywhere on it: the turn, and those beside it.
        before, after = up[self.low : self.at + 1], up[self.at : self.high + 1]
        slack = 6 * self.noise
        left = self.at - int(np.argmax(before[::-1] < before[-1] - slack))
        right = self.at + int(np.argmax(after < after[0] - slack))
        low = self.low + max(int(np.argmax(before > before[0] + slack)) - 1, 0)
        high = self.high - max(int(np.argmax(after[::-1] > after[-1] + slack)) - 1, 0)
        # Not up to the extremes beside it, whose places are as uncertain and lie in other ramps.
        self.first = max(low, left - max(6, (left - low) // 2))
        part = slice(self.first, min(high, right + max(6, (high - right) // 2)) + 1)
        self.part = np.where(self.there, up, np.nan)[part]
        # The first and the last reading that may end the ramp: three are left on both sides.
        self.ends = self.first + 2, self.first + len(self.part) - 4
        if self.is_known:
            self.ends = self.at, self.at
        self.is_wide = self.ends[0] <= self.ends[1]
        self.misfit = cache(self.left_by_curves)

    @cached_property
    def sharp(self) -> int | None:
        """The turn if it is known, or of a curve whose steps around it far exceed its noise."""
        if self.is_known:
            return self.at
        if np.isnan(self.part).any():
            return None
        steps, peak = np.diff(self.part), int(np.argmax(self.part))
        up, down = steps[:peak], -steps[peak:]
        is_sharp = (up >= 0).all() and (down >= 0).all() and (up[-1:] > 5 * self.noise).all()
        # The state may have been read again: the first of equals.
        is_sharp = is_sharp and (down[down > 0][:1] > 5 * self.noise).all()
        return self.first + peak if is_sharp else None

    def left_by_curves(self, end: int, meet: bool) -> float:
        """Squares that exponentials leave of the readings around the turn if this is the last of
        the ramp: two that meet in it, or one up to it and one after it."""
        last = end - self.first
        if not meet:
            sides = self.part[: last + 1], self.part[last + 1 :]
            return sum(left_over(side, [np.linspace(0, 1, len(side))]) for side in sides)
        place = np.arange(len(self.part)) - last
        places = [np.maximum(-place / last, 0), np.maximum(place / place[-1], 0)]
        return left_over(self.part, places)

    def best(self, meet: bool) -> int:
        """The end of the ramp before, first tried coarsely, then more finely."""
        if self.sharp is not None or not self.is_wide:
            return self.at if self.sharp is None else self.sharp
        (first, last), step, best = self.ends, len(self.part), 0
        while step > 1:
            step = max(1, (last - first) // PLACES)
            best = min(range(first, last + 1, step), key=lambda end: self.misfit(end, meet))
            first, last = max(self.ends[0], best - step + 1), min(self.ends[1], best + step - 1)
        if not meet and best < self.ends[1]:
            # That the state at the turn begins the next ramp fits as well as that it ends this one.
            slack = 1 + 10 / max(1, len(self.part) - 8)
            return best + (self.misfit(best + 1, meet) <= self.misfit(best, meet) * slack)
        return best


def left_over(values: np.ndarray, places: Sequence[np.ndarray]) -> float:
    """Squares that a level and an exponential of each of one or two places leave of values [n].

    The best nonlinearities of a grid, and a change of each to first order.
    """
    there = ~np.isnan(values)
    values, places = values[there], [place[there] for place in places]
    level = values - values.mean()
    shapes = [np.expm1(-KNOT_GRID * place) for place in places]  # [grid, n] each
    shapes = [shape - shape.mean(axis=1, keepdims=True) for shape in shapes]
    product, square = [shape @ level for shape in shapes], [(shape**2).sum(1) for shape in shapes]
    explained = product[0] ** 2 / square[0]
    if len(places) == 2:
        (a, b), (aa, bb), ab = product, square, shapes[0] @ shapes[1].T
        explained = (a**2)[:, None] * bb - 2 * np.outer(a, b) * ab + aa[:, None] * b**2
        explained /= np.outer(aa, bb) - ab**2
    best = np.unravel_index(int(explained.argmax()), explained.shape)
    columns = [np.ones(len(values))]
    for place, index in zip(places, best, strict=True):
        nu = KNOT_GRID[index]
        columns += [np.expm1(-nu * place), place * np.exp(-nu * place)]
    basis = np.stack(columns, axis=1)
    basis, _ = np.linalg.qr(basis / np.linalg.norm(basis, axis=0))
    return float(max((level**2).sum() - ((basis.T @ level) ** 2).sum(), 0.0))


def ends_of(turns: Sequence[Turn]) -> list[int]:
    """The last readings of the ramps up to these turns.

    All upper turns of a train tell together whether its ramps meet there, and so do all lower
    ones, where cycles may be apart; all turns tell together where ramps of two lengths end.
    """
    noisy = [turn for turn in turns if turn.sharp is None and turn.is_wide]
    for is_high in (True, False):
        kind = [turn for turn in noisy if turn.is_high == is_high]
        left = {meet: total(kind, [x.best(meet) for x in kind], meet) for meet in (True, False)}
        slack = (10 + 4 * len(kind)) * left[False] / spare(kind)
        for turn in turns:
            if turn.is_high == is_high:
                turn.meet = left[True] - left[False] <= slack
    ends = [turn.best(turn.meet) for turn in turns]
    if noisy and all(turn.is_wide for turn in turns) and len(ends) > 2:
        least, raster = raster_of(turns, ends)
        slack = (10 + 6 * len(turns)) * total(noisy, [x.best(x.meet) for x in noisy]) / spare(noisy)
        if least - total(turns, ends) <= slack:
            return raster
    return ends


def spare(turns: Sequence[Turn]) -> int:
    """Readings around turns beside those that curves take up."""
    return max(sum(len(turn.part) - 6 for turn in turns), 1)


def total(turns: Sequence[Turn], ends: Sequence[int], meet: bool | None = None) -> float:
    """The misfit of all turns that are not known if these are the ends."""
    return sum(
        turn.misfit(end, turn.meet if meet is None else meet)
        for turn, end in zip(turns, ends, strict=True)
        if not turn.is_known
    )


def raster_of(turns: Sequence[Turn], ends: Sequence[int]) -> tuple[float, list[int]]:
    """Ends of ramps of two lengths that alternate, near these and with the least total misfit,
    and that misfit; it is infinite where there is no such raster."""
    at, index = np.array(ends), np.arange(len(ends))
    usual = round(float(np.median(at[2:] - at[:-2])))
    low, high = np.array([turn.ends for turn in turns]).T

    def misfit(tried: np.ndarray) -> float:
        is_inside = ((tried >= low) & (tried <= high)).all()
        return total(turns, tried.tolist()) if is_inside else np.inf

    found = []
    for period in (usual - 1, usual, usual + 1):
        raster = index // 2 * period
        for turns_alike in (index % 2 == 0, index % 2 == 1):
            raster[turns_alike] += round(float(np.median((at - raster)[turns_alike])))
            tries = [(misfit(np.where(turns_alike, raster + by, at)), by) for by in MOVES]
            raster[turns_alike] += min(tries, key=itemgetter(0))[1]
        found.append((misfit(raster), raster.tolist()))
    return min(found)
