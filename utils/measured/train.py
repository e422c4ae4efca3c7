"""Which reading is the last of a ramp, where a continuous train of pulses turns.

In: roughly where the values of a train turn. Out: the last reading of each ramp there. If the noise
is larger than a step, the largest reading says little, above all where ramps saturate:

    0.70 0.81 0.88 0.93 0.95 0.97 0.96 0.97 0.85 0.74        it may end at any of four readings

So exponentials are fitted to both sides of the turn; it is where their residuals are smallest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

COARSE_TRIES = 12  # readings that are tried as the end of a ramp, before those near the best one
MOVES = (0, -1, 1, -2, 2, -3, 3)  # readings by which the ends of all ramps are moved together
EQUAL_SLACK = 10.0  # of the noise squared: ramps of equal length may fit worse by so much
NU_GRID = np.linspace(-11.75, 11.75, 48)[:, None]  # nonlinearities that are tried


@dataclass(eq=False)
class Turn:
    """A turn of values [n]: where they change from rising to falling, or the other way.

    is_measured: bool [n]; the other values are missing ones, interpolated. before, at, after:
    indices of the extreme before the turn, of the turn, and of the extreme after it. noise: that of
    a value. is_known: whether the ramp ends at `at` for sure. meet: whether the curves on both
    sides meet in the last reading of the ramp before, as in a continuous train of pulses they do.
    If the device was moved in between, they do not. All upper turns of a file are alike in this,
    and all lower ones.
    """

    values: np.ndarray
    is_measured: np.ndarray
    before: int
    at: int
    after: int
    noise: float
    is_known: bool = False
    meet: bool = True

    def __post_init__(self) -> None:
        self.is_high = bool(self.values[self.at] >= self.values[self.before])
        upwards = self.values if self.is_high else -self.values
        # Where ramps saturate, noise decides which reading is the extreme. These are the first and
        # the last reading that it may be, of the turn and of the extremes beside it.
        rise, fall = upwards[self.before : self.at + 1], upwards[self.at : self.after + 1]
        margin = 6 * self.noise
        first_flat = self.at - int(np.argmax(rise[::-1] < rise[-1] - margin))
        last_flat = self.at + int(np.argmax(fall < fall[0] - margin))
        low = self.before + max(int(np.argmax(rise > rise[0] + margin)) - 1, 0)
        high = self.after - max(int(np.argmax(fall[::-1] > fall[-1] + margin)) - 1, 0)
        # Curves are fitted in a window that ends well before the extremes beside the turn.
        self.first = max(low, first_flat - max(6, (first_flat - low) // 2))
        window = slice(self.first, min(high, last_flat + max(6, (high - last_flat) // 2)) + 1)
        self.part = np.where(self.is_measured, upwards, np.nan)[window]
        # The first and the last reading that may end the ramp, with three readings on both sides.
        self.ends = self.first + 2, self.first + len(self.part) - 4
        if self.is_known:
            self.ends = self.at, self.at
        self.is_wide = self.ends[0] <= self.ends[1]
        self.misfit = cache(self.left_by_curves)

    @cached_property
    def sharp(self) -> int | None:
        """The turn if it is known, or if the steps around it far exceed the noise; else None."""
        if self.is_known:
            return self.at
        if np.isnan(self.part).any():
            return None
        steps, peak = np.diff(self.part), int(np.argmax(self.part))
        rises, falls = steps[:peak], -steps[peak:]
        is_sharp = (rises >= 0).all() and (falls >= 0).all() and (rises[-1:] > 5 * self.noise).all()
        # If the state at the turn was read again, the first of these equal readings is the turn.
        is_sharp = is_sharp and (falls[falls > 0][:1] > 5 * self.noise).all()
        return self.first + peak if is_sharp else None

    def left_by_curves(self, end: int, meet: bool) -> float:
        """The sum of squared residuals of exponentials on both sides if the ramp ends at `end`.

        meet: whether both exponentials have the same value there.
        """
        last = end - self.first
        if not meet:
            sides = self.part[: last + 1], self.part[last + 1 :]
            return sum(squared_residuals(side, [np.linspace(0, 1, len(side))]) for side in sides)
        place = np.arange(len(self.part)) - last
        places = [np.maximum(-place / last, 0), np.maximum(place / place[-1], 0)]
        return squared_residuals(self.part, places)

    def best(self, meet: bool) -> int:
        """The most likely end of the ramp before, found by a coarse search and then a finer one."""
        if self.sharp is not None or not self.is_wide:
            return self.at if self.sharp is None else self.sharp
        (first, last), step, best = self.ends, len(self.part), 0
        while step > 1:
            step = max(1, (last - first) // COARSE_TRIES)
            best = min(range(first, last + 1, step), key=lambda end: self.misfit(end, meet))
            first, last = max(self.ends[0], best - step + 1), min(self.ends[1], best + step - 1)
        if not meet and best < self.ends[1]:
            # The state at the turn may just as well begin the next ramp; if so, it ends this one.
            slack = 1 + 10 / max(1, len(self.part) - 8)
            return best + (self.misfit(best + 1, meet) <= self.misfit(best, meet) * slack)
        return best

    def least_misfit(self, meet: bool) -> float:
        """The sum of squared residuals at the most likely end."""
        return self.misfit(self.best(meet), meet)


def squared_residuals(values: np.ndarray, places: Sequence[np.ndarray]) -> float:
    """The sum of squared residuals of values [n] about a level and one or two exponentials.

    places: where the readings are on each exponential, from 0 to 1, [n] each. The best
    nonlinearities of a grid are taken, and refined to first order.
    """
    is_measured = ~np.isnan(values)
    values, places = values[is_measured], [place[is_measured] for place in places]
    level = values - values.mean()
    shapes = [np.expm1(-NU_GRID * place) for place in places]  # [grid, n] each
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
        nu = NU_GRID[index]
        columns += [np.expm1(-nu * place), place * np.exp(-nu * place)]
    basis = np.stack(columns, axis=1)
    basis, _ = np.linalg.qr(basis / np.linalg.norm(basis, axis=0))
    return float(max((level**2).sum() - ((basis.T @ level) ** 2).sum(), 0.0))


def ends_of(turns: Sequence[Turn]) -> list[int]:
    """The index of the last reading of the ramp before each turn.

    All upper turns of a train decide together whether the curves meet there, and so do all lower
    ones, at which a cycle may end and the next one begin elsewhere. If rising ramps have one length
    and falling ones another, that decides about the ends, too.
    """
    noisy = [turn for turn in turns if turn.sharp is None and turn.is_wide]
    for is_high in (True, False):
        alike = [turn for turn in noisy if turn.is_high == is_high]
        apart, joined = (sum(turn.least_misfit(meet) for turn in alike) for meet in (False, True))
        slack = (10 + 4 * len(alike)) * apart / degrees_of_freedom(alike)
        for turn in turns:
            if turn.is_high == is_high:
                turn.meet = joined - apart <= slack
    ends = [turn.best(turn.meet) for turn in turns]
    least = sum(turn.least_misfit(turn.meet) for turn in noisy)
    slack = (10 + 6 * len(turns)) * least / degrees_of_freedom(noisy)
    if noisy and all(turn.is_wide for turn in turns) and len(ends) > 2:
        residual, regular = regular_ends(turns, ends)
        if residual - total_misfit(turns, ends) <= slack:
            ends = regular
    equal = equal_ends(turns) if noisy else []
    slack = EQUAL_SLACK * least / degrees_of_freedom(noisy)
    if equal and misfit_inside(turns, equal) - total_misfit(turns, ends) <= slack:
        return equal
    return ends


def equal_ends(turns: Sequence[Turn]) -> list[int]:
    """The ends of ramps if all ramps of the file have the same number of pulses; none if the number
    of readings, with or without one before the first pulse, does not allow it."""
    n, n_ramps = len(turns[0].values), len(turns) + 1
    n_pulses, n_before = divmod(n, n_ramps)
    is_whole_file = turns[0].before == 0 and turns[-1].after == n - 1
    if n_before > 1 or not is_whole_file:
        return []
    return [n_pulses * (index + 1) - 1 + n_before for index in range(len(turns))]


def degrees_of_freedom(turns: Sequence[Turn]) -> int:
    """Readings around turns less the parameters of the curves fitted to them, at least 1."""
    return max(sum(len(turn.part) - 6 for turn in turns), 1)


def total_misfit(turns: Sequence[Turn], ends: Sequence[int]) -> float:
    """The sum of squared residuals about all turns that are not known, if these are the ends."""
    pairs = zip(turns, ends, strict=True)
    return sum(turn.misfit(end, turn.meet) for turn, end in pairs if not turn.is_known)


def misfit_inside(turns: Sequence[Turn], ends: Sequence[int]) -> float:
    """The total misfit of these ends, infinite if one is none of those that its turn may have."""
    pairs = zip(turns, ends, strict=True)
    is_inside = all(turn.ends[0] <= end <= turn.ends[1] for turn, end in pairs)
    return total_misfit(turns, ends) if is_inside else np.inf


def regular_ends(turns: Sequence[Turn], ends: Sequence[int]) -> tuple[float, list[int]]:
    """The best ends of ramps if all rising ones have one length and all falling ones another.

    Returns the total misfit of the ends, infinite if there are no such ends, and the ends. ends:
    those that each turn has by itself.
    """
    places, index = np.array(ends), np.arange(len(ends))
    usual_period = round(float(np.median(places[2:] - places[:-2])))
    candidates = []
    for period in (usual_period - 1, usual_period, usual_period + 1):
        regular = index // 2 * period
        for same_kind in (index % 2 == 0, index % 2 == 1):
            regular[same_kind] += round(float(np.median((places - regular)[same_kind])))
            moved = [np.where(same_kind, regular + move, places) for move in MOVES]
            tries = [misfit_inside(turns, tried.tolist()) for tried in moved]
            regular[same_kind] += MOVES[int(np.argmin(tries))]
        candidates.append((misfit_inside(turns, regular.tolist()), regular.tolist()))
    return min(candidates)
