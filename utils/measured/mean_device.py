"""The mean device of a branch, and how far each device is from it, fitted to all ramps together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    solve,
)

EQUAL = 2.0  # difference of AICc within which two fits count as equal
MIN_CURVATURE = 1.0  # |ν| of a device below which its slope factor and its range are one number
LARGEST_FACTOR = 5.0  # of a device against the mean one


@dataclass(frozen=True, eq=False)
class MeanDevice:
    """A family fitted to all ramps; on the scale of `BranchData`.

    range, nonlinearity: of the mean device. slopes, sizes: factors of slope and range, [devices],
    of mean 1. start: [ramps]. covariance: of (range, nonlinearity, mean start, slopes, sizes), as
    if the family were true. squares: sum of whitened squares. log_determinant: of the covariance
    of all readings. spare: readings less parameters. residual: levels less the fit, an array
    [n, ramps] for each group. varies: "slopes", "ranges" or "both".
    """

    family: str
    varies: str
    range: float
    nonlinearity: float
    slopes: np.ndarray
    sizes: np.ndarray
    covariance: np.ndarray
    start: np.ndarray
    squares: float
    log_determinant: float
    spare: int
    residual: tuple[np.ndarray, ...]

    @property
    def aicc(self) -> float:
        """Akaike's criterion with its correction for few data."""
        parameters = sum(each.size for each in self.residual) - self.spare
        if self.spare < 2:
            return np.inf
        penalty = 2 * parameters + 2 * parameters * (parameters + 1) / (self.spare - 1)
        return self.squares + self.log_determinant + penalty

    @property
    def scatter(self) -> float:
        """Factor by which the ramps scatter more about the fit than their noise tells."""
        return max(1.0, float(np.sqrt(self.squares / self.spare))) if self.spare > 0 else 1.0

    @property
    def slopes_covariance(self) -> np.ndarray:
        """Larger where the ramps scatter more than their noise tells; [devices, devices]."""
        own = slice(3, 3 + len(self.slopes))
        return self.covariance[own, own] * self.scatter**2

    @property
    def sizes_covariance(self) -> np.ndarray:
        own = slice(3 + len(self.slopes), None)
        return self.covariance[own, own] * self.scatter**2

    def level(self, time: np.ndarray) -> np.ndarray:
        """The mean device above its start."""
        return self.range * curve(time, self.nonlinearity)


def fit_linear(data: BranchData, groups: Sequence[Whitened]) -> MeanDevice:
    """A slope for each device or, where that is better, for each ramp."""
    fits = []
    for unit in units(data):
        slopes, _ = fit_ranges(groups, unit, 0 * unit, np.zeros(1))
        fits.append(complete(data, groups, different_lines(data, unit), slopes))
    return best_of(fits)


def fit_exponentials(data: BranchData, groups: Sequence[Whitened]) -> list[MeanDevice]:
    """All ways in which devices may differ, the simplest first; `best_of` takes one."""
    unit, *of_ramps = units(data)
    several = len(data.devices) > 1
    (nu,), sizes = fit_shapes(groups, unit, 0 * unit)
    fits = [complete(data, groups, different_ranges(data, unit), np.array([nu, *sizes]))]
    if several:
        nus, own_sizes = fit_shapes(groups, unit, unit)
        # Two beginnings, as the ranges tell the slopes and as the curvatures of the devices do.
        starts = [slopes_start(nu, sizes)]
        if is_near(nus):
            whole = (own_sizes / -np.expm1(-nus)).mean()
            starts.append(np.array([1 / whole, *(nus * whole)]))
        model = different_slopes(data, unit)
        found = min((solve(groups, model, start) for start in starts), key=lambda each: each.cost)
        fits.insert(0, complete(data, groups, model, found.x))
        is_curved = (np.abs(nus) > MIN_CURVATURE).all() and is_near(nus) and is_near(own_sizes)
        if is_curved and data.n_readings > 8 * len(data.devices):
            theta = np.concatenate([nus, own_sizes])
            fits.append(complete(data, groups, different_shapes(data), theta))
    for unit in of_ramps:
        (nu,), sizes = fit_shapes(groups, unit, 0 * unit)
        ranges = complete(data, groups, different_ranges(data, unit), np.array([nu, *sizes]))
        fits.append(ranges)
        if several and ranges.aicc < fits[0].aicc:
            # Cycles that differ are no sign of devices that differ in range: like against like.
            model = different_slopes(data, unit)
            found = solve(groups, model, slopes_start(nu, sizes))
            fits.append(complete(data, groups, model, found.x))
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


def complete(
    data: BranchData, groups: Sequence[Whitened], model: Variation, theta: np.ndarray
) -> MeanDevice:
    """Residuals, covariances and AICc of a fit whose parameters are found."""
    matrix, _, misfit = normal_equations(groups, model, theta)
    size = np.sqrt(np.maximum(matrix.diagonal(), np.finfo(float).tiny))
    scale = np.outer(size, size)
    covariance = np.linalg.pinv(matrix / scale, hermitian=True) / scale
    start, start_by, of_start, left = np.zeros(data.n_ramps), np.zeros(len(theta)), 0.0, []
    for group in groups:
        above_start = group.level - model.values(theta, group)
        start[group.ramps] = group.starts(above_start)
        left.append(above_start - start[group.ramps])
        of_start += len(group.ramps) / group.size**2 / data.n_ramps**2
        for place, by in model.derivatives(theta, group):
            np.subtract.at(start_by, place, group.starts(by) / data.n_ramps)
    summary = model.summary(theta)
    change = np.insert(jacobian(model.summary, theta), 2, start_by, axis=0)
    covariance = change @ covariance @ change.T
    covariance[2, 2] += of_start
    slopes, sizes = np.split(summary[2:], 2)
    return MeanDevice(
        family=model.family,
        varies=model.varies,
        range=float(summary[0]),
        nonlinearity=float(summary[1]),
        slopes=slopes,
        sizes=sizes,
        covariance=covariance,
        start=start,
        squares=misfit,
        log_determinant=sum(len(g.ramps) * g.whiten.log_determinant for g in groups),
        spare=data.n_readings - len(theta) - data.n_ramps,
        residual=tuple(left),
    )


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
