"""The mean device of a branch, and how far each device is from it, fitted to all ramps together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from utils.measured.branch import BranchData
from utils.measured.curves import curve, derivative, jacobian, saturating
from utils.measured.families import Whitened, fit_ranges, fit_shapes
from utils.measured.variations import (
    Variation,
    different_lines,
    different_ranges,
    different_shapes,
    different_slopes,
    normal_equations,
    residuals,
    solve,
)

EQUAL = 2.0  # difference of AICc within which two fits count as equal
MIN_CURVATURE = 1.0  # |ν| of a device below which its slope factor and its range are one number
LARGEST_FACTOR = 5.0  # of a device against the mean one
MAX_SCATTER = 1.2  # of ramps about the fit, against their noise: more is no noise


@dataclass(frozen=True, eq=False)
class MeanDevice:
    """A family fitted to all ramps by `variation` with parameters `theta`.

    All on the scale of `BranchData`; what few fits are asked for is computed when it is.
    """

    data: BranchData
    groups: Sequence[Whitened]
    variation: Variation
    theta: np.ndarray

    @property
    def varies(self) -> str:
        """What differs from device to device: "slopes", "ranges" or "both"."""
        return self.variation.varies

    @cached_property
    def summary(self) -> np.ndarray:
        """Range, ν, slope factors and range factors, [2 + 2 devices]."""
        return self.variation.summary(self.theta)

    @property
    def range(self) -> float:
        """Of the mean device."""
        return float(self.summary[0])

    @property
    def nonlinearity(self) -> float:
        """Of the mean device."""
        return float(self.summary[1])

    @property
    def slopes(self) -> np.ndarray:
        """Factors of the slopes of the devices, of mean 1, [devices]."""
        return np.split(self.summary[2:], 2)[0]

    @property
    def sizes(self) -> np.ndarray:
        """Factors of their ranges, of mean 1, [devices]."""
        return np.split(self.summary[2:], 2)[1]

    @cached_property
    def squares(self) -> float:
        """Sum of whitened squares."""
        left = residuals(self.groups, self.variation, self.theta)
        return float(left @ left)

    @property
    def spare(self) -> int:
        """Readings less parameters."""
        return self.data.n_readings - len(self.theta) - self.data.n_ramps

    @property
    def aicc(self) -> float:
        """Akaike's criterion with its correction for few data."""
        parameters = self.data.n_readings - self.spare
        if self.spare < 2:
            return np.inf
        log_determinant = sum(len(g.ramps) * g.whiten.log_determinant for g in self.groups)
        penalty = 2 * parameters + 2 * parameters * (parameters + 1) / (self.spare - 1)
        return self.squares + log_determinant + penalty

    @property
    def scatter(self) -> float:
        """Factor by which the ramps scatter more about the fit than their noise tells."""
        return max(1.0, float(np.sqrt(self.squares / self.spare))) if self.spare > 0 else 1.0

    @cached_property
    def above_start(self) -> list[np.ndarray]:
        """Levels less the curve of each device, [n, ramps] for each group."""
        return [group.level - self.variation.values(self.theta, group) for group in self.groups]

    @cached_property
    def start(self) -> np.ndarray:
        """Level before the first pulse, [ramps]."""
        start = np.zeros(self.data.n_ramps)
        for group, above in zip(self.groups, self.above_start, strict=True):
            start[group.ramps] = group.starts(above)
        return start

    @property
    def residual(self) -> list[np.ndarray]:
        """Levels less the fit, [n, ramps] for each group."""
        pairs = zip(self.groups, self.above_start, strict=True)
        return [above - self.start[group.ramps] for group, above in pairs]

    @cached_property
    def covariance(self) -> np.ndarray:
        """Of (range, nonlinearity, mean start, slopes, sizes), as if the family were true."""
        matrix, _ = normal_equations(self.groups, self.variation, self.theta)
        size = np.sqrt(np.maximum(matrix.diagonal(), np.finfo(float).tiny))
        scale = np.outer(size, size)
        covariance = np.linalg.pinv(matrix / scale, hermitian=True) / scale
        start_by, of_start = np.zeros(len(self.theta)), 0.0
        for group in self.groups:
            of_start += len(group.ramps) / group.size**2 / self.data.n_ramps**2
            for place, by in self.variation.derivatives(self.theta, group):
                np.subtract.at(start_by, place, group.starts(by) / self.data.n_ramps)
        change = np.insert(jacobian(self.variation.summary, self.theta), 2, start_by, axis=0)
        covariance = change @ covariance @ change.T
        covariance[2, 2] += of_start
        return covariance

    @property
    def slopes_covariance(self) -> np.ndarray:
        """Larger where the ramps scatter more than their noise tells; [devices, devices]."""
        places = slice(3, 3 + len(self.slopes))
        return self.covariance[places, places] * self.scatter**2

    @property
    def sizes_covariance(self) -> np.ndarray:
        places = slice(3 + len(self.slopes), None)
        return self.covariance[places, places] * self.scatter**2

    def level(self, time: np.ndarray) -> np.ndarray:
        """The mean device above its start."""
        return self.range * curve(time, self.nonlinearity)


def fit_linear(data: BranchData, groups: Sequence[Whitened]) -> MeanDevice:
    """A slope for each device or, where that is better, for each ramp."""
    fits = []
    for unit in units(data):
        slopes, _ = fit_ranges(groups, unit, 0 * unit, np.zeros(1))
        fits.append(MeanDevice(data, groups, different_lines(data, unit), slopes))
    return best_of(fits)


def fit_exponentials(data: BranchData, groups: Sequence[Whitened]) -> list[MeanDevice]:
    """All ways in which devices may differ, the simplest first; `best_of` takes one."""
    unit, *of_ramps = units(data)
    several = len(data.devices) > 1
    (nu,), sizes = fit_shapes(groups, unit, 0 * unit)
    fits = [MeanDevice(data, groups, different_ranges(data, unit), np.array([nu, *sizes]))]
    if several:
        nus, own_sizes = fit_shapes(groups, unit, unit)
        # Two beginnings, as the ranges tell the slopes and as the curvatures of the devices do.
        starts = [slopes_start(nu, sizes)]
        if is_near(nus):
            whole = (own_sizes / -np.expm1(-nus)).mean()
            starts.append(np.array([1 / whole, *(nus * whole)]))
        model = different_slopes(data, unit)
        found = min(
            (solve(groups, model, start) for start in starts), key=lambda result: result.cost
        )
        fits.insert(0, MeanDevice(data, groups, model, found.x))
        is_curved = (np.abs(nus) > MIN_CURVATURE).all() and is_near(nus) and is_near(own_sizes)
        if is_curved and data.n_readings > 8 * len(data.devices):
            theta = np.concatenate([nus, own_sizes])
            fits.append(MeanDevice(data, groups, different_shapes(data), theta))
    for unit in of_ramps:
        (nu,), sizes = fit_shapes(groups, unit, 0 * unit)
        ranges = MeanDevice(data, groups, different_ranges(data, unit), np.array([nu, *sizes]))
        fits.append(ranges)
        if several and ranges.aicc < fits[0].aicc:
            # Cycles that differ are no sign of devices that differ in range: like against like.
            model = different_slopes(data, unit)
            found = solve(groups, model, slopes_start(nu, sizes))
            fits.append(MeanDevice(data, groups, model, found.x))
    return fits


def slopes_start(nu: float, sizes: np.ndarray) -> np.ndarray:
    """θ of `different_slopes`, from the ranges of units that were fitted with one ν."""
    pace = sizes / saturating(nu)
    mean = pace.mean()
    near = np.clip(pace / mean, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    return np.array([nu / mean, *(mean * near)])


def units(data: BranchData) -> list[np.ndarray]:
    """What may have a slope or a range of its own, the device or the ramp; [ramps] each."""
    found = [data.device]
    if data.n_ramps > len(data.devices):
        found.append(np.arange(data.n_ramps))
    return found


def is_near(value: np.ndarray) -> bool:
    """Whether no value is far from the mean of all."""
    mean = value.mean()
    share, whole = value * mean, mean**2  # which may be 0
    return bool((share > whole / LARGEST_FACTOR).all() and (share < whole * LARGEST_FACTOR).all())


def best_of(fits: Sequence[MeanDevice]) -> MeanDevice:
    """The least AICc; of those that are equal by it the first, which is the simplest."""
    least = min(fit.aicc for fit in fits)
    return next(fit for fit in fits if fit.aicc <= least + EQUAL or not np.isfinite(least))


def constants_covariance(fit: MeanDevice, slope_spread: float, range_spread: float) -> np.ndarray:
    """Of (range, ν, start) of the mean device: that of the fit, and that of drawing these devices.

    Other devices would have another mean slope, which stretches the pulses of the mean device, and
    another mean range. Where the ramps scatter more than their noises tell, errors are larger.
    """
    n, total = len(fit.slopes), fit.covariance[:3, :3] * fit.scatter**2
    if len(fit.start) > 1:  # ramps that start at different values
        total[2, 2] = max(total[2, 2], float(fit.start.var(ddof=1)) / len(fit.start))
    if n > 1:
        stretch = np.array([float(derivative(fit.level, 1.0)), fit.nonlinearity, 0.0])
        total += slope_spread**2 / n * np.outer(stretch, stretch)
        total[0, 0] += (range_spread * fit.range) ** 2 / n
    return total
