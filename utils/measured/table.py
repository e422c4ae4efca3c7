"""The family without an equation: the mean curve made monotone, linear between measured pulses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from utils.measured.families import Whitened
from utils.measured.noise import Part
from utils.measured.pooled import Pooled, Shape, fit_all
from utils.measured.scaled import Scaled, mean_curve

SMALLEST = 2e-6  # of the range: a smaller step between two points is none in float32
DRIFT = 2  # degree of what a ramp may differ by from the mean curve, beside its slope factor
ROUNDS = 3  # of slope factors from the mean curve, and the mean curve from slope factors


@dataclass(frozen=True, eq=False)
class Table:
    """Strictly rising points of the mean device on the scale of `scaled`.

    time: [points], from 0 to 1; height: [points].
    """

    time: np.ndarray
    height: np.ndarray

    def at(self, time: np.ndarray) -> np.ndarray:
        return np.interp(time, self.time, self.height)

    @property
    def range(self) -> float:
        return float(self.height[-1] - self.height[0])


def fit_table(scaled: Scaled, groups: Sequence[Whitened]) -> tuple[Table, Pooled]:
    """The mean curve, and how far each device is from it.

    With several devices the mean curve is that of the device of mean slope: the ramps are averaged
    over v_i x pulses, since a plain average of curves of different slopes has a shape of its own.
    """
    n_devices = len(scaled.devices)
    slopes, start = np.ones(n_devices), np.zeros(scaled.n_ramps)
    for round_ in range(ROUNDS if n_devices > 1 else 1):
        time, height = averaged(scaled, slopes, start)
        time, height = strictly_rising(time, height)
        pooled = fit_all(groups, shape_of(time, height), n_devices, slopes if round_ else None)
        slopes, start = pooled.slopes, pooled.start
    ends = np.interp([0.0, 1.0], time, height)
    inside = (time > 0) & (time < 1)
    table = Table(
        np.concatenate([[0.0], time[inside], [1.0]]),
        np.concatenate([ends[:1], height[inside], ends[1:]]),
    )
    return Table(*strictly_rising(table.time, table.height)), pooled


def parts_of(scaled: Scaled, table: Table, pooled: Pooled) -> list[Part]:
    """The ramps less the table, each with what another slope factor and slow drift would add."""
    shape, parts = shape_of(table.time, table.height), []
    for group, residual in zip(scaled.groups, pooled.residual, strict=True):
        time = group.time[:, None]
        slope = time * shape.by_time(time * pooled.slopes[group.device], 1.0, 0.0)  # [n, ramps]
        place = np.polynomial.legendre.legvander(2 * group.time / group.time[-1] - 1, DRIFT)
        places = np.broadcast_to(place, (slope.shape[1], *place.shape))
        basis = np.concatenate([places, slope.T[..., None]], axis=2)  # [ramps, n, columns]
        parts.append(Part(group.time, residual, np.linalg.qr(basis)[0]))
    return parts


def averaged(scaled: Scaled, slopes: np.ndarray, start: np.ndarray):
    """Mean of all ramps over v_i t; positions and values."""
    grid = np.unique(np.concatenate([group.time for group in scaled.groups]))
    if (slopes != 1).any():  # a fast device tells how the curve goes on
        grid = np.concatenate([grid, grid[1:] + grid[-1]])
    ramps = [
        (group.time * slopes[device], level - start[ramp])
        for group in scaled.groups
        for ramp, device, level in zip(group.ramps, group.device, group.level.T, strict=True)
    ]
    return mean_curve(ramps, grid, fewest=max(1, len(ramps) // 10))


def strictly_rising(time: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Isotonic regression, each of its plateaus replaced by one point at its centre.

    A plateau is what noise leaves of a slope; as it stands, no pulse would lead through it. The
    first and the last one keep their outer end, and so the range.
    """
    fitted = isotonic_regression(height)
    edges = fitted.blocks  # [plateaus + 1]
    heights = fitted.x[edges[:-1]]
    centres = (time[edges[:-1]] + time[edges[1:] - 1]) / 2
    centres[0], centres[-1] = time[0], time[-1]
    kept = np.concatenate([[True], np.diff(heights) > SMALLEST * (heights[-1] - heights[0])])
    if not kept[-1]:  # the last point stays, the one before it goes
        kept[np.flatnonzero(kept)[-1]] = False
        kept[-1] = True
    return centres[kept], heights[kept]


def shape_of(time: np.ndarray, height: np.ndarray) -> Shape:
    """A table as a family in which nothing but slope factors is left to fit."""
    late = time[-1] - 0.05 * (time[-1] - time[0])
    slope = (height[-1] - np.interp(late, time, height)) / (time[-1] - late)

    def value(s, size, nu):
        beyond = np.maximum(s - time[-1], 0.0)
        return np.interp(s, time, height) - height[0] + slope * beyond

    def by_time(s, size, nu):
        width = 0.01  # over which the steps of single pulses are averaged
        low = np.maximum(s - width, 0.0)
        return (value(s + width, size, nu) - value(low, size, nu)) / (s + width - low)

    return Shape(value, by_time, knots=len(time) - 1)
