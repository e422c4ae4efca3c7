"""The family without an equation: the mean curve made monotone, linear between measured pulses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from utils.measured.branch import BranchData, mean_curve
from utils.measured.families import Whitened
from utils.measured.lack_of_fit import MIN_RAMPS
from utils.measured.mean_device import LARGEST_FACTOR, MeanDevice
from utils.measured.noise import Part
from utils.measured.variations import Variation, normal_equations
from utils.measured.whitening import Noise

SMALLEST_STEP = 2e-6  # of the range: a smaller one between two points is none in float32
DRIFT_DEGREE = 2  # of what a ramp may differ by from the mean curve, beside its slope factor
ROUNDS = 8  # of slope factors from the mean curve, and the mean curve from slope factors
LARGEST_STEP = 0.3  # of a slope factor in a round
STEP_WIDTH = 0.01  # of the range of pulses, over which the steps of single pulses are averaged
WIDTH = 0.05  # of the range of pulses, over which the slope of a table is taken


@dataclass(frozen=True, eq=False)
class MeanTable(MeanDevice):
    """Strictly rising points of the mean device: time [points], from 0 to 1, and height above the
    first one, [points]."""

    time: np.ndarray
    height: np.ndarray

    @property
    def range(self) -> float:
        return float(self.height[-1])

    @property
    def spare(self) -> int:
        return super().spare - (len(self.time) - 1)

    def level(self, time: np.ndarray) -> np.ndarray:
        return between_points(self.time, self.height, time)

    def slope(self, time: np.ndarray) -> np.ndarray:
        low, high = np.maximum(time - WIDTH, 0.0), np.minimum(time + WIDTH, 1.0)
        return (self.level(high) - self.level(low)) / (high - low)


class TableVariation(Variation):
    """A given curve, run through at the pace of each device; θ = paces."""

    def derivatives(self, theta, group):
        """By differences over the steps of several pulses, which noise has made uneven."""
        (unit,) = self.places
        pace_of_ramp, time = unit[group.ramps], group.time[:, None]
        s = time * theta[pace_of_ramp]
        low, high = np.maximum(s - STEP_WIDTH, 0.0), s + STEP_WIDTH
        ones = np.ones(len(pace_of_ramp))
        slope = (self.level(high, ones) - self.level(low, ones)) / (high - low)
        return [(pace_of_ramp, time * slope)]


def table_variation(data: BranchData, time: np.ndarray, height: np.ndarray) -> TableVariation:
    def level(times: np.ndarray, pace: np.ndarray) -> np.ndarray:
        return between_points(time, height, times * pace) - height[0]

    def mean(pace: np.ndarray) -> tuple:
        size = height[-1] - height[0]  # in the end that of the points, which have no ν
        return size, 0.0, pace / pace.mean(), np.ones_like(pace)

    return TableVariation("slopes", level, mean, (data.device,), data.device)


def between_points(time: np.ndarray, height: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Lines between points; beyond the last one the slope of the end goes on."""
    late = time[-1] - WIDTH * (time[-1] - time[0])
    slope = (height[-1] - np.interp(late, time, height)) / (time[-1] - late)
    return np.interp(at, time, height) + np.maximum(at - time[-1], 0.0) * slope


def fit_table(data: BranchData, groups: Sequence[Whitened]) -> MeanTable:
    """The mean curve, and how far each device is from it.

    With several devices the mean curve is that of the device of mean slope: the ramps are averaged
    over v_i x pulses, since a plain average of curves of different slopes has a shape of its own.
    """
    n_devices = len(data.devices)
    theta, start = np.ones(n_devices), np.zeros(data.n_ramps)
    for left in range(ROUNDS if n_devices > 1 else 0, -1, -1):
        theta = theta / theta.mean()
        points = strictly_rising(*averaged(data, theta, start))
        if len(points[0]) < 2:  # flat: these slope factors are noise, so all are taken for equal
            left, theta = 0, np.ones(n_devices)
            points = strictly_rising(*averaged(data, theta, 0 * start))
        time, height = from_no_pulse(*points)
        model = table_variation(data, time, height)
        if not left:
            break
        # Each device has a slope factor of its own, so the matrix is diagonal.
        matrix, gradient = normal_equations(groups, model, theta)
        step = gradient / np.maximum(matrix.diagonal(), np.finfo(float).tiny)
        theta = theta + np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        theta = np.clip(theta, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
        for group in groups:
            start[group.ramps] = group.starts(group.level - model.values(theta, group))
    ends = np.interp([0.0, 1.0], time, height)
    inside = (time > 0) & (time < 1)
    time = np.concatenate([[0.0], time[inside], [1.0]])
    height = np.concatenate([ends[:1], height[inside], ends[1:]])
    time, height = strictly_rising(time, height)
    return MeanTable(data, groups, model, theta, time, height - height[0])


def averaged(
    data: BranchData, slopes: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of all ramps over v_i t; positions and values."""
    grid = np.unique(np.concatenate([group.time for group in data.groups]))
    if (slopes != 1).any():  # a fast device tells how the curve goes on
        grid = np.concatenate([grid, grid[1:] + grid[-1]])
    ramps = [
        (group.time * slopes[device], level - start[ramp])
        for group in data.groups
        for ramp, device, level in zip(group.ramps, group.device, group.level.T, strict=True)
    ]
    return mean_curve(ramps, grid, min_ramps=max(1, len(ramps) // 10))


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
    rises = np.diff(heights) > SMALLEST_STEP * (heights[-1] - heights[0])
    chosen = np.concatenate([[True], rises])
    if not chosen[-1]:  # the last point stays, the one before it goes
        chosen[np.flatnonzero(chosen)[-1]] = False
        chosen[-1] = True
    return centres[chosen], heights[chosen]


def from_no_pulse(time: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve from t = 0 on; where no ramp was read before the first pulse, its first line."""
    if time[0] <= 0 or len(time) < 2:
        return time, height
    slope = (height[1] - height[0]) / (time[1] - time[0])
    first = height[0] - slope * time[0]
    return np.concatenate([[0.0], time]), np.concatenate([[first], height])


def parts_of(data: BranchData, table: MeanTable) -> list[Part]:
    """The ramps less the table, each with what another slope factor and slow drift would add.

    Deviations are as large as those from the true curve; from the mean of these ramps they are
    smaller.
    """
    parts, factor = [], np.sqrt(data.n_ramps / (data.n_ramps - 1))
    for group, residual in zip(data.groups, table.residual, strict=True):
        time = group.time[:, None]
        slope = time * table.slope(time * table.slopes[group.device])  # [n, ramps]
        place = np.polynomial.legendre.legvander(2 * group.time / group.time[-1] - 1, DRIFT_DEGREE)
        places = np.broadcast_to(place, (slope.shape[1], *place.shape))
        basis = np.concatenate([places, slope.T[..., None]], axis=2)  # [ramps, n, columns]
        parts.append(Part(group.time, factor * residual, basis))
    return parts


def table_errors(data: BranchData, table: MeanTable, noise: Noise, spread: float) -> np.ndarray:
    """Standard errors of the points of the table relative to its first; of that, of the mean start.

    They hold the scatter of the ramps about the table (where there are too few ramps, that which
    their noises make), and the drawing of these devices, which stretches the pulses. On the scale
    of `BranchData`, [points].
    """
    time, ramps = table.time, data.n_ramps
    if ramps >= MIN_RAMPS:
        away = [  # from the table, relative to its first point, [ramps][points]
            np.interp(time, group.time, residual - residual[0])
            for group, residuals in zip(data.groups, table.residual, strict=True)
            for residual in residuals.T
        ]
        variance = np.var(away, axis=0, ddof=1) / ramps
        variance[0] = noise.read**2 / ramps
    else:
        variance = (2 * noise.read**2 + noise.write**2 * time) / ramps * table.scatter**2
        variance[0] /= 2
    return np.sqrt(variance + spread**2 / len(table.slopes) * (time * table.slope(time)) ** 2)
