"""The family `table`: the mean curve of the ramps made monotone, with lines between its points.

Device i is modelled as f(v_i t) above its start, where f is the mean curve and v_i are the slope
factors, of mean 1. Given v_i, f is the mean of the ramps over v_i t, made to rise by isotonic
regression. Given f, a Gauss-Newton step improves v_i. Both steps are repeated.

Ramps of a branch go in; `MeanTable`, its standard errors, and its residuals for the estimate of the
noises come out.
"""

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

SMALLEST_STEP = 2e-6  # of the range, between two points; float32 cannot hold a smaller one
DRIFT_DEGREE = 2  # of the polynomial by which a ramp may differ from the mean curve
ROUNDS = 8  # of slope factors from the mean curve, and the mean curve from slope factors
LARGEST_STEP = 0.3  # by which a slope factor may change in a round
STEP_WIDTH = 0.01  # of the range of pulses, over which derivatives by slope factors are averaged
WIDTH = 0.05  # of the range of pulses, over which the slope of a table is averaged


@dataclass(frozen=True, eq=False)
class MeanTable(MeanDevice):
    """A table fitted to all ramps, with strictly rising points.

    time: [points], from 0 to 1. height: [points], above the first point.
    """

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
        """The slope of the table, averaged over a width of 2 `WIDTH`."""
        low, high = np.maximum(time - WIDTH, 0.0), np.minimum(time + WIDTH, 1.0)
        return (self.level(high) - self.level(low)) / (high - low)


class TableVariation(Variation):
    """A given curve that every device follows at a pace of its own; θ = paces."""

    def derivatives(self, theta, group):
        """As of `Variation`, by differences over several pulses, since noise makes steps uneven."""
        place, time = self.places[0][group.ramps], group.time[:, None]
        stretched = time * theta[place]
        low, high = np.maximum(stretched - STEP_WIDTH, 0.0), stretched + STEP_WIDTH
        slope = (self.level(high, 1.0) - self.level(low, 1.0)) / (high - low)
        return [(place, time * slope)]


def table_variation(data: BranchData, time: np.ndarray, height: np.ndarray) -> TableVariation:
    """The model of a branch with the mean curve through these points, [points]."""

    def level(times: np.ndarray, pace: np.ndarray | float) -> np.ndarray:
        return between_points(time, height, times * pace) - height[0]

    def mean(pace: np.ndarray) -> tuple:
        return height[-1] - height[0], 0.0, pace / pace.mean(), np.ones_like(pace)

    return TableVariation("slopes", level, mean, (data.device,), data.device)


def between_points(time: np.ndarray, height: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Heights at the wanted times: lines between the points, and one of the mean end slope beyond.

    time, height: [points].
    """
    end = time[-1] - WIDTH * (time[-1] - time[0])  # where the end of the curve begins
    slope = (height[-1] - np.interp(end, time, height)) / (time[-1] - end)
    return np.interp(wanted, time, height) + np.maximum(wanted - time[-1], 0.0) * slope


def fit_table(data: BranchData, groups: Sequence[Whitened]) -> MeanTable:
    """Fit the mean curve and the slope factors of the devices in turn.

    The ramps are averaged over v_i t, not over t, since the plain average of curves of different
    slopes has another shape than any of them.
    """
    n_devices = len(data.devices)
    theta, start = np.ones(n_devices), np.zeros(data.n_ramps)
    for rounds_left in range(ROUNDS if n_devices > 1 else 0, -1, -1):
        theta = theta / theta.mean()
        points = strictly_rising(*averaged(data, theta, start))
        if len(points[0]) < 2:  # a flat curve: the slope factors are noise and are set to 1
            rounds_left, theta = 0, np.ones(n_devices)
            points = strictly_rising(*averaged(data, theta, 0 * start))
        time, height = from_no_pulse(*points)
        model = table_variation(data, time, height)
        if not rounds_left:
            break
        # No two devices share a parameter, so the matrix is diagonal.
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
    """The mean of all ramps over v_i t, as positions and values.

    slopes: the factors v_i, [devices]. start: of each ramp, [ramps].
    """
    grid = np.unique(np.concatenate([group.time for group in data.groups]))
    if (slopes != 1).any():  # devices of large slope factor show how the curve goes on
        grid = np.concatenate([grid, grid[1:] + grid[-1]])
    ramps = [
        (group.time * slopes[device], level - start[ramp])
        for group in data.groups
        for ramp, device, level in zip(group.ramps, group.device, group.level.T, strict=True)
    ]
    return mean_curve(ramps, grid, min_ramps=max(1, len(ramps) // 10))


def strictly_rising(time: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Isotonic regression, in which one point at its centre replaces every plateau.

    No pulse would lead through a plateau, and noise makes plateaus of small slopes. The points of
    the first and of the last plateau stand at the outer end, which keeps the range of pulses.
    """
    fitted = isotonic_regression(height)
    edges = fitted.blocks  # [plateaus + 1]
    heights = fitted.x[edges[:-1]]
    centres = (time[edges[:-1]] + time[edges[1:] - 1]) / 2
    centres[0], centres[-1] = time[0], time[-1]
    rises = np.diff(heights) > SMALLEST_STEP * (heights[-1] - heights[0])
    chosen = np.concatenate([[True], rises])
    if not chosen[-1]:  # the last point replaces the one before it
        chosen[np.flatnonzero(chosen)[-1]] = False
        chosen[-1] = True
    return centres[chosen], heights[chosen]


def from_no_pulse(time: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points with one at t = 0; where no ramp was read there, the first line is extended."""
    if time[0] <= 0 or len(time) < 2:
        return time, height
    slope = (height[1] - height[0]) / (time[1] - time[0])
    first = height[0] - slope * time[0]
    return np.concatenate([[0.0], time]), np.concatenate([[first], height])


def parts_of(data: BranchData, table: MeanTable) -> list[Part]:
    """The residuals of every ramp, with a basis of what slow drift and another slope would add.

    Residuals about the mean of m ramps are smaller than those about the true curve, so they are
    multiplied by √(m / (m - 1)).
    """
    parts, factor = [], np.sqrt(data.n_ramps / (data.n_ramps - 1))
    for group, residual in zip(data.groups, table.residual, strict=True):
        time = group.time[:, None]
        slope = time * table.slope(time * table.slopes[group.device])  # [n, ramps]
        drift = np.polynomial.legendre.legvander(2 * group.time / group.time[-1] - 1, DRIFT_DEGREE)
        drifts = np.broadcast_to(drift, (slope.shape[1], *drift.shape))
        basis = np.concatenate([drifts, slope.T[..., None]], axis=2)  # [ramps, n, columns]
        parts.append(Part(group.time, factor * residual, basis))
    return parts


def table_errors(data: BranchData, table: MeanTable, noise: Noise, spread: float) -> np.ndarray:
    """Standard errors of the points of the table on the scale of `BranchData`, [points].

    They are those of the height above the first point, and for the first point that of the mean
    start. Two contributions are added: the scatter of the ramps about the table (for few ramps, the
    scatter that their noises make), and that other devices would have another mean slope factor.
    spread: the relative standard deviation of the slope factors.
    """
    time, ramps = table.time, data.n_ramps
    if ramps >= MIN_RAMPS:
        deviations = [  # from the table, relative to its first point, [ramps][points]
            np.interp(time, group.time, residual - residual[0])
            for group, residuals in zip(data.groups, table.residual, strict=True)
            for residual in residuals.T
        ]
        variance = np.var(deviations, axis=0, ddof=1) / ramps
        variance[0] = noise.read**2 / ramps
    else:
        variance = (2 * noise.read**2 + noise.write**2 * time) / ramps * table.scatter**2
        variance[0] /= 2
    return np.sqrt(variance + spread**2 / len(table.slopes) * (time * table.slope(time)) ** 2)
