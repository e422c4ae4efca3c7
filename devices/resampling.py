"""Functions by points, resampled to cells of equal width that are found without a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

# Of the span of a response, by which a resampled point may be off. A step from point to point is
# off by at most four times that: once at either end, twice by where it starts.
TOLERANCE = 2.5e-5
MAX_CELLS = 1 << 20

Function = Callable[[float], float]
Bounds = Sequence[tuple[float, float]]


def cell_count(function: Function, knots: Sequence[float], bounds: Bounds) -> int:
    """Into how many cells of equal width to divide the range from 0 to the last knot.

    In a cell its chord then stands for the function, which is piecewise linear with corners at
    `knots`; at each of these it lies within the two bounds. As many cells as there are steps from
    knot to knot, times a power of two. Raises ValueError if that is more than MAX_CELLS.
    """
    n = len(knots) - 1
    while n <= MAX_CELLS:
        values = (chord(function, knot, knots[-1] / n, n) for knot in knots)
        if all(low <= y <= high for y, (low, high) in zip(values, bounds, strict=True)):
            return n
        n *= 2
    raise ValueError("the slope of the curve changes too much for a table; leave out some points")


def within_tolerance(values: Sequence[float]) -> Bounds:
    """For each of the values of a response, from its start to its end, how far off it may be."""
    margin = TOLERANCE * abs(values[-1] - values[0])
    return [(value - margin, value + margin) for value in values]


def pulses_within_tolerance(pulses: Sequence[float], values: Sequence[float]) -> Bounds:
    """For each number of pulses, how far off it may be.

    An error of pulses counts by the steepest slope from the step before on, where it may lead.
    """
    steps = zip(pairwise(values), pairwise(pulses), strict=True)
    slopes = [abs((b - a) / (y - x)) for (a, b), (x, y) in steps]
    steepest = accumulate([*reversed(slopes), slopes[0]], max)  # from the last point backwards
    margin = 2 * TOLERANCE * abs(values[-1] - values[0])
    margins = reversed([margin / slope for slope in steepest])
    return [(x - most, x + most) for x, most in zip(pulses, margins, strict=True)]


def chord(function: Function, x: float, width: float, n: int) -> float:
    """At x, the line through the function at both edges of the cell."""
    left = min(max(int(x / width), 0), n - 1) * width
    first, last = function(left), function(left + width)
    return first + (last - first) * (x - left) / width


def cells(function: Function, end: float, n: int) -> list[tuple[float, float]]:
    """Of n equal cells from 0 to `end`: the value at the left edge, and the change over it."""
    edges = [function(end * k / n) for k in range(n + 1)]
    return [(first, last - first) for first, last in pairwise(edges)]
