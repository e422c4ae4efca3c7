"""Functions given by points are resampled to cells of equal width, which need no search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

# The error of a resampled point, as a fraction of the span of the response. A step from point to
# point then has at most four times that error: once at either end, twice by where it starts.
TOLERANCE = 2.5e-5
MAX_CELLS = 1 << 20

Function = Callable[[float], float]
Bounds = Sequence[tuple[float, float]]


def cell_count(function: Function, knots: Sequence[float], bounds: Bounds) -> int:
    """Return the number of cells of equal width for the range from 0 to the last knot.

    function: piecewise linear, with corners at `knots`; within a cell its chord replaces it, which
    at each knot must lie within that knot's two bounds. The number is that of the steps from knot
    to knot times a power of two. Raises ValueError if it would exceed MAX_CELLS.
    """
    n = len(knots) - 1
    while n <= MAX_CELLS:
        values = (chord(function, knot, knots[-1] / n, n) for knot in knots)
        if all(low <= y <= high for y, (low, high) in zip(values, bounds, strict=True)):
            return n
        n *= 2
    raise ValueError("the slope of the curve changes too much for a table; leave out some points")


def within_tolerance(values: Sequence[float]) -> Bounds:
    """Return the bounds within which each value of a response, from start to end, must be met."""
    margin = TOLERANCE * abs(values[-1] - values[0])
    return [(value - margin, value + margin) for value in values]


def pulses_within_tolerance(pulses: Sequence[float], values: Sequence[float]) -> Bounds:
    """Return the bounds within which each number of pulses must be met.

    An error of pulses is judged by the steepest slope from the preceding step to the end, since
    further pulses may lead anywhere there.
    """
    steps = zip(pairwise(values), pairwise(pulses), strict=True)
    slopes = [abs((b - a) / (y - x)) for (a, b), (x, y) in steps]
    steepest = accumulate([*reversed(slopes), slopes[0]], max)  # from the last point backwards
    tolerance = 2 * TOLERANCE * abs(values[-1] - values[0])
    margins = reversed([tolerance / slope for slope in steepest])
    return [(x - margin, x + margin) for x, margin in zip(pulses, margins, strict=True)]


def chord(function: Function, x: float, width: float, n: int) -> float:
    """Return the value at x of the line through the function at both edges of its cell."""
    left = min(max(int(x / width), 0), n - 1) * width
    first, last = function(left), function(left + width)
    return first + (last - first) * (x - left) / width


def cells(function: Function, end: float, n: int) -> list[tuple[float, float]]:
    """Return, for n equal cells from 0 to `end`, the value at the left edge and the change."""
    edges = [function(end * k / n) for k in range(n + 1)]
    return [(first, last - first) for first, last in pairwise(edges)]
