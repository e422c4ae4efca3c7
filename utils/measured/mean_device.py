"""The mean device of a branch, and how far each device is from it, fitted to all ramps together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from utils.measured.branch import BranchData
from utils.measured.curves import curve
from utils.measured.families import Whitened, common_shape
from utils.measured.variations import Ranges, Shapes, Slopes, Variation, solve

EQUAL = 2.0  # difference of AICc within which two fits count as equal
MIN_CURVATURE = 1.0  # |ν| of a device below which its slope factor and its range are one number
LARGEST_FACTOR = 5.0  # of a device against the mean one


@dataclass(frozen=True, eq=False)
class MeanDevice:
    """A family fitted to all ramps; on the scale of `BranchData`.

    range, nonlinearity: of the mean device. slopes, sizes: factors of slope and range, [devices],
    of mean 1. covariance: of (range, nonlinearity, slopes, sizes), as if the family were true.
    start: [ramps]. start_by: derivatives of the mean start by the same quantities' parameters,
    already multiplied with their covariance: variance of the mean start, and its covariance with
    range and ν, [3]. squares: sum of whitened squares. spare: readings less parameters. residual:
    levels less the fit, an array [n, ramps] for each group. varies: "slopes", "ranges" or "both".
    """

    family: str
    varies: str
    range: float
    nonlinearity: float
    slopes: np.ndarray
    sizes: np.ndarray
    covariance: np.ndarray
    start: np.ndarray
    start_covariance: np.ndarray
    squares: float
    spare: int
    aicc: float
    residual: tuple[np.ndarray, ...]

    @property
    def scatter(self) -> float:
        """Factor by which the ramps scatter more about the fit than their noise tells."""
        return max(1.0, float(np.sqrt(self.squares / self.spare))) if self.spare > 0 else 1.0

    def level(self, time: np.ndarray) -> np.ndarray:
        """The mean device above its start."""
        return self.range * curve(time, self.nonlinearity)


def fit_linear(data: BranchData, groups: Sequence[Whitened]) -> MeanDevice:
    """A slope for each device or, where that is better, for each ramp."""
    fits = []
    for unit, device in units(data):
        _, paces = common_shape(groups, unit, straight=True)
        fits.append(complete(data, groups, Slopes(unit, device, True), paces, "linear", "slopes"))
    return best_of(fits)


def fit_exponentials(data: BranchData, groups: Sequence[Whitened]) -> dict[str, MeanDevice]:
    """All ways in which devices may differ, the simplest first; `best_of` takes one."""
    fits: dict[str, MeanDevice] = {}

    def add(name: str, model: Variation, theta: np.ndarray) -> None:
        varies = name.removesuffix(" of ramps")
        fits[name] = complete(data, groups, model, theta, "exponential", varies)

    (unit, device), *of_ramps = units(data)
    several = len(device) > 1
    nu, sizes = common_shape(groups, unit)
    if several:
        own = [common_shape(groups, np.where(unit == d, 0, -1)) for d in device]
        nus, own_sizes = np.array([o[0] for o in own]), np.array([o[1][0] for o in own])
        # Two beginnings, as the ranges tell the slopes and as the curvatures of the devices do.
        starts = [slopes_start(nu, sizes)]
        if is_near(nus):
            whole = (own_sizes / -np.expm1(-nus)).mean()
            starts.append(np.concatenate([[1 / whole], nus * whole]))
        model = Slopes(unit, device, False)
        found = [solve(groups, model, start) for start in starts]
        add("slopes", model, min(found, key=lambda theta: misfit(groups, model, theta)))
    add("ranges", Ranges(unit, device), np.concatenate([[nu], sizes]))
    is_enough = several and data.n_readings > 8 * len(device)
    if is_enough and (np.abs(nus) > MIN_CURVATURE).all() and is_near(nus) and is_near(own_sizes):
        add("both", Shapes(unit, device), np.concatenate([nus, own_sizes]))
    for unit, device in of_ramps:
        nu, sizes = common_shape(groups, unit)
        add("ranges of ramps", Ranges(unit, device), np.concatenate([[nu], sizes]))
        if several and fits["ranges of ramps"].aicc < fits["slopes"].aicc:
            # Cycles that differ are no sign of devices that differ in range: like against like.
            model = Slopes(unit, device, False)
            add("slopes of ramps", model, solve(groups, model, slopes_start(nu, sizes)))
    return fits


def slopes_start(nu: float, sizes: np.ndarray) -> np.ndarray:
    """Parameters of `Slopes` at which the ranges of units of one ν are those of slopes."""
    pace = sizes * nu / -np.expm1(-nu) if nu else sizes
    return np.concatenate([[nu / pace.mean()], np.clip(pace, *pace_limits(pace))])


def misfit(groups: Sequence[Whitened], model: Variation, theta: np.ndarray) -> float:
    return sum(float(((g.level - g(model.values(theta, g.group))) ** 2).sum()) for g in groups)


def units(data: BranchData) -> list[tuple[np.ndarray, np.ndarray]]:
    """What may have a slope or a range of its own, (unit of each ramp, device of each unit)."""
    n_devices = len(data.devices)
    found = [(data.device, np.arange(n_devices))]
    if data.n_ramps > n_devices:
        found.append((np.arange(data.n_ramps), data.device))
    return found


def pace_limits(pace: np.ndarray) -> tuple[float, float]:
    ends = pace.mean() / LARGEST_FACTOR, pace.mean() * LARGEST_FACTOR
    return min(ends), max(ends)


def is_near(value: np.ndarray) -> bool:
    """Whether no value is far from the mean of all."""
    share = value / value.mean()
    return bool((share > 1 / LARGEST_FACTOR).all() and (share < LARGEST_FACTOR).all())


def best_of(fits: Sequence[MeanDevice]) -> MeanDevice:
    """The least AICc; of those that are equal by it the first, which is the simplest."""
    least = min(fit.aicc for fit in fits)
    return next(fit for fit in fits if fit.aicc <= least + EQUAL or not np.isfinite(least))


def complete(
    data: BranchData,
    groups: Sequence[Whitened],
    model: Variation,
    theta: np.ndarray,
    family: str,
    varies: str,
) -> MeanDevice:
    """Residuals, covariances and AICc of a fit whose parameters are found."""
    matrix = np.zeros((len(theta), len(theta)))
    start, by, variance, residual, squares = (
        np.zeros(data.n_ramps),
        np.zeros(len(theta)),
        0.0,
        [],
        0,
    )
    for each in groups:
        group, value = each.group, model.values(theta, each.group)
        left = group.level - value
        start[group.ramps] = each.starts(left)
        residual.append(left - start[group.ramps])
        squares += float(((each.level - each(value)) ** 2).sum())
        variance += len(group.ramps) / each.size**2 / data.n_ramps**2
        parts = [(index, column, each(column)) for index, column in model.derivatives(theta, group)]
        for index, column, white in parts:
            np.subtract.at(by, index, each.starts(column) / data.n_ramps)
            for other, _, white2 in parts:
                np.add.at(matrix, (index, other), (white * white2).sum(0))
    covariance = np.linalg.pinv(matrix, hermitian=True)
    change = derivative(model.summary, theta)
    summary = model.summary(theta)
    n_devices, n, parameters = len(data.devices), data.n_readings, len(theta) + data.n_ramps
    determinants = sum(len(g.group.ramps) * g.whiten.log_determinant for g in groups)
    return MeanDevice(
        family=family,
        varies=varies,
        range=float(summary[0]),
        nonlinearity=float(summary[1]),
        slopes=summary[2 : 2 + n_devices],
        sizes=summary[2 + n_devices :],
        covariance=change @ covariance @ change.T,
        start=start,
        start_covariance=np.append(change[:2] @ covariance @ by, variance + by @ covariance @ by),
        squares=squares,
        spare=n - parameters,
        aicc=aicc(squares + determinants, n, parameters),
        residual=tuple(residual),
    )


def derivative(function: Callable, theta: np.ndarray) -> np.ndarray:
    """By central differences, [values, parameters]."""
    columns = []
    for k, width in enumerate(1e-6 * np.maximum(np.abs(theta), 1e-3)):
        step = np.zeros_like(theta)
        step[k] = width
        columns.append((function(theta + step) - function(theta - step)) / (2 * width))
    return np.stack(columns, axis=1)


def aicc(deviance: float, n: int, parameters: int) -> float:
    """Akaike's criterion with its correction for few data; deviance: -2 log-likelihood."""
    spare = n - parameters - 1
    if spare <= 0:
        return np.inf
    return deviance + 2 * parameters + 2 * parameters * (parameters + 1) / spare


def constants_covariance(fit: MeanDevice, slope_spread: float, range_spread: float) -> np.ndarray:
    """Of (range, ν, start) of the mean device: that of the fit, and that of drawing these devices.

    Other devices would have another mean slope, which stretches the pulses of the mean device, and
    another mean range. Where the ramps scatter more than their noises tell, errors are larger.
    """
    n, total = len(fit.slopes), np.zeros((3, 3))
    total[:2, :2] = fit.covariance[:2, :2]
    total[2] = total[:, 2] = fit.start_covariance
    total *= fit.scatter**2
    if len(fit.start) > 1:  # ramps that start at different values
        total[2, 2] = max(total[2, 2], float(fit.start.var(ddof=1)) / len(fit.start))
    if n > 1:
        width = 1e-4
        end = float(fit.level(np.array(1 + width)) - fit.level(np.array(1 - width))) / (2 * width)
        stretch = np.array([end, fit.nonlinearity, 0.0])
        total += slope_spread**2 / n * np.outer(stretch, stretch)
        total[0, 0] += (range_spread * fit.range) ** 2 / n
    return total
