"""The mean device of a branch and the factors of all devices, fitted to all ramps together.

The models are those of `variations`, by generalised least squares with the noises of the branch.
Which model describes how the devices differ is decided by Akaike's criterion,

    AICc = -2 log L + 2 k + 2 k (k + 1) / (n - k - 1),

for n readings and k parameters, one of which is the start of each ramp. Source: Hurvich and Tsai,
Biometrika 76 (1989) 297, doi:10.1093/biomet/76.2.297. A branch and its whitened ramps go in;
`MeanDevice` comes out.
"""

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
MIN_CURVATURE = 1.0  # |ν| below which slope factor and range factor cannot be told apart
LARGEST_FACTOR = 5.0  # by which a device may differ from the mean device
MAX_SCATTER = 1.2  # of ramps about the fit, in units of their noise, that noise explains


@dataclass(frozen=True, eq=False)
class MeanDevice:
    """A family fitted to all ramps: the model `variation` with its best parameters `theta`.

    All quantities are on the scale of `BranchData`. They are computed when they are asked for.
    """

    data: BranchData
    groups: Sequence[Whitened]
    variation: Variation
    theta: np.ndarray

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
        """Sum of the squares of the whitened residuals, which is chi squared."""
        white = residuals(self.groups, self.variation, self.theta)
        return float(white @ white)

    @property
    def spare(self) -> int:
        """Degrees of freedom: readings less parameters, the starts of the ramps among these."""
        return self.data.n_readings - len(self.theta) - self.data.n_ramps

    @property
    def aicc(self) -> float:
        """Akaike's criterion, corrected for few data; infinite where these are too few for it."""
        parameters = self.data.n_readings - self.spare
        if self.spare < 2:
            return np.inf
        log_determinant = sum(len(g.ramps) * g.whiten.log_determinant for g in self.groups)
        penalty = 2 * parameters + 2 * parameters * (parameters + 1) / (self.spare - 1)
        return self.squares + log_determinant + penalty

    @property
    def scatter(self) -> float:
        """The scatter of the ramps about the fit in units of their noise, at least 1."""
        return max(1.0, float(np.sqrt(self.squares / self.spare))) if self.spare > 0 else 1.0

    @cached_property
    def without_curve(self) -> list[np.ndarray]:
        """Readings less the curve of their device: start and noise, [n, ramps] for each group."""
        return [group.level - self.variation.values(self.theta, group) for group in self.groups]

    @cached_property
    def start(self) -> np.ndarray:
        """Level before the first pulse, [ramps]."""
        start = np.zeros(self.data.n_ramps)
        for group, level in zip(self.groups, self.without_curve, strict=True):
            start[group.ramps] = group.starts(level)
        return start

    @property
    def residual(self) -> list[np.ndarray]:
        """Readings less the fit, an array [n, ramps] for each group."""
        pairs = zip(self.groups, self.without_curve, strict=True)
        return [level - self.start[group.ramps] for group, level in pairs]

    @cached_property
    def covariance(self) -> np.ndarray:
        """Of (range, ν, mean start, slopes, sizes), if the family is true and the noises are.

        By propagation of the covariance (JᵀJ)⁻¹ of θ; J is scaled before it is inverted.
        """
        matrix, _ = normal_equations(self.groups, self.variation, self.theta)
        size = np.sqrt(np.maximum(matrix.diagonal(), np.finfo(float).tiny))
        scale = np.outer(size, size)
        covariance = np.linalg.pinv(matrix / scale, hermitian=True) / scale
        start_change, start_variance = np.zeros(len(self.theta)), 0.0
        for group in self.groups:
            start_variance += len(group.ramps) / group.size**2 / self.data.n_ramps**2
            for place, change in self.variation.derivatives(self.theta, group):
                np.subtract.at(start_change, place, group.starts(change) / self.data.n_ramps)
        changes = np.insert(jacobian(self.variation.summary, self.theta), 2, start_change, axis=0)
        covariance = changes @ covariance @ changes.T
        covariance[2, 2] += start_variance
        return covariance

    @property
    def slopes_covariance(self) -> np.ndarray:
        """Of the slope factors, with the factor `scatter` on all errors, [devices, devices]."""
        places = slice(3, 3 + len(self.slopes))
        return self.covariance[places, places] * self.scatter**2

    @property
    def sizes_covariance(self) -> np.ndarray:
        """Of the range factors, as `slopes_covariance`."""
        places = slice(3 + len(self.slopes), None)
        return self.covariance[places, places] * self.scatter**2

    def level(self, time: np.ndarray) -> np.ndarray:
        """The curve of the mean device above its start."""
        return self.range * curve(time, self.nonlinearity)


def fit_linear(data: BranchData, groups: Sequence[Whitened]) -> MeanDevice:
    """Straight lines with a slope for each device or, where AICc prefers it, for each ramp."""
    fits = []
    for unit in units(data):
        slopes, _ = fit_ranges(groups, unit, 0 * unit, np.zeros(1))
        fits.append(MeanDevice(data, groups, different_lines(data, unit), slopes))
    return best_of(fits)


def fit_exponentials(data: BranchData, groups: Sequence[Whitened]) -> list[MeanDevice]:
    """Exponentials whose devices differ in slope, in range, or in both; the simplest first."""
    unit, *ramp_units = units(data)
    several = len(data.devices) > 1
    (nu,), sizes = fit_shapes(groups, unit, 0 * unit)
    fits = [MeanDevice(data, groups, different_ranges(data, unit), np.array([nu, *sizes]))]
    if several:
        nus, device_sizes = fit_shapes(groups, unit, unit)
        # The search begins with slopes from the ranges, and with slopes from the nonlinearities.
        starts = [slopes_start(nu, sizes)]
        if is_near(nus):
            asymptote = (device_sizes / -np.expm1(-nus)).mean()
            starts.append(np.array([1 / asymptote, *(nus * asymptote)]))
        model = different_slopes(data, unit)
        results = [solve(groups, model, start) for start in starts]
        theta = min(results, key=lambda result: result.cost).x
        fits.insert(0, MeanDevice(data, groups, model, theta))
        is_curved = (np.abs(nus) > MIN_CURVATURE).all() and is_near(nus) and is_near(device_sizes)
        if is_curved and data.n_readings > 8 * len(data.devices):
            theta = np.concatenate([nus, device_sizes])
            fits.append(MeanDevice(data, groups, different_shapes(data), theta))
    for unit in ramp_units:
        (nu,), sizes = fit_shapes(groups, unit, 0 * unit)
        ranges = MeanDevice(data, groups, different_ranges(data, unit), np.array([nu, *sizes]))
        fits.append(ranges)
        if several and ranges.aicc < fits[0].aicc:
            # Ranges of ramps are preferred to slopes of devices if cycles differ, too; so they are
            # compared with slopes of ramps.
            model = different_slopes(data, unit)
            theta = solve(groups, model, slopes_start(nu, sizes)).x
            fits.append(MeanDevice(data, groups, model, theta))
    return fits


def slopes_start(nu: float, sizes: np.ndarray) -> np.ndarray:
    """θ of `different_slopes` to begin a search with, from a common ν and the ranges of units."""
    pace = sizes / saturating(nu)
    mean = pace.mean()
    factors = np.clip(pace / mean, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    return np.array([nu / mean, *(mean * factors)])


def units(data: BranchData) -> list[np.ndarray]:
    """Which ramps share a slope or a range, int [ramps]: those of a device, or no two of them."""
    if data.n_ramps > len(data.devices):
        return [data.device, np.arange(data.n_ramps)]
    return [data.device]


def is_near(value: np.ndarray) -> bool:
    """Whether all values lie within a factor `LARGEST_FACTOR` of their mean, which may be 0."""
    mean = value.mean()
    product, square = value * mean, mean**2
    low, high = square / LARGEST_FACTOR, square * LARGEST_FACTOR
    return bool((product > low).all() and (product < high).all())


def best_of(fits: Sequence[MeanDevice]) -> MeanDevice:
    """The fit of least AICc. Of fits that count as equal the first is taken, the simplest."""
    least = min(fit.aicc for fit in fits)
    return next(fit for fit in fits if fit.aicc <= least + EQUAL or not np.isfinite(least))


def constants_covariance(fit: MeanDevice, slope_spread: float, range_spread: float) -> np.ndarray:
    """The covariance of (range, ν, start) of the mean device, [3, 3].

    It is that of the fit (with the factor `scatter` on all errors) plus that of sampling: other
    devices of the same kind would have another mean slope, which stretches the pulses of the mean
    device, and another mean range. slope_spread, range_spread: relative standard deviations.
    """
    n, total = len(fit.slopes), fit.covariance[:3, :3] * fit.scatter**2
    if len(fit.start) > 1:  # ramps that start at different values
        total[2, 2] = max(total[2, 2], float(fit.start.var(ddof=1)) / len(fit.start))
    if n > 1:
        stretch = np.array([float(derivative(fit.level, 1.0)), fit.nonlinearity, 0.0])
        total += slope_spread**2 / n * np.outer(stretch, stretch)
        total[0, 0] += (range_spread * fit.range) ** 2 / n
    return total
