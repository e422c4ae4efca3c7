"""The spread of devices, the drift over cycles, and one estimate from several.

The spread of factors v_i of mean 1 is sqrt(var(v) - variance of the fit), and the drift of a
quantity is its slope against the number of the cycle, each device about its mean. Fits of branches
go in; values with standard errors come out.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import TypeVar

import numpy as np
from scipy.special import gammaln, ndtr, stdtrit

from devices.measured_branch import NOT_MEASURED, Estimate, SignedEstimate
from utils.measured.branch import BranchData
from utils.measured.branch_fit import BranchFit
from utils.measured.lack_of_fit import parts_of
from utils.measured.noise import root_error
from utils.measured.variations import means
from utils.measured.whitening import Whitener

ONE_SIGMA = float(ndtr(-1))  # probability of a normal number below minus one standard deviation
MAX_STANDARD_ERRORS = 3.0  # by which estimates of one value may differ
Either = TypeVar("Either", Estimate, SignedEstimate)


def spread(factors: np.ndarray, covariance: np.ndarray) -> Estimate:
    """The standard deviation of factors of mean 1, [devices], with its standard error.

    The variance that the errors of the fit add is subtracted. covariance: of these errors,
    [devices, devices]. The bias that a root of the variance of few devices has is removed, too, for
    factors that are normally distributed.
    """
    n = len(factors)
    apparent = float(factors.var(ddof=1))
    fit_variance = float(np.trace(covariance) - covariance.sum() / n) / (n - 1)
    true = max(apparent - fit_variance, 0.0)
    error = max(apparent, fit_variance) * np.sqrt(2 / (n - 1))  # of the variance
    bias = np.sqrt(2 / (n - 1)) * np.exp(gammaln(n / 2) - gammaln((n - 1) / 2))
    return Estimate(float(np.sqrt(true) / bias), root_error(np.sqrt(true), error) / float(bias))


def times(estimate: Either, factor: float) -> Either:
    """The estimate in another unit; value and error are multiplied by the factor."""
    if estimate.value is None:
        return estimate
    return type(estimate)(
        estimate.value * factor, None if estimate.error is None else estimate.error * factor
    )


def pooled(estimates: Iterable[Estimate]) -> Estimate:
    """One standard deviation from several, whose variances are averaged; unknown ones are ignored.

    The weights are the inverse squares of the errors of the variances. Where the estimates differ
    by more than their errors explain, they do not estimate one value, and have equal weights.
    """
    estimates = [estimate for estimate in estimates if estimate.value is not None]
    if len(estimates) < 2:
        return estimates[0] if estimates else NOT_MEASURED
    value, error = np.array([(estimate.value, estimate.error) for estimate in estimates]).T
    variance_error = np.maximum(2 * value * error, error**2)
    if not (variance_error > 0).all():
        return Estimate(float(value.mean()), estimates[0].error)
    weight = 1 / variance_error**2 if agree(estimates) else np.ones(len(value))
    weight /= weight.sum()
    root = float(np.sqrt((weight * value**2).sum()))
    return Estimate(root, root_error(root, float(np.linalg.norm(weight * variance_error))))


def agree(estimates: Iterable[Estimate]) -> bool:
    """Whether no two of the estimates with errors differ by more than three standard errors."""
    known = [
        (estimate.value, estimate.error)
        for estimate in estimates
        if estimate.value is not None and estimate.error is not None
    ]
    return all(
        abs(value - other) <= MAX_STANDARD_ERRORS * np.hypot(error, other_error)
        for (value, error), (other, other_error) in combinations(known, 2)
    )


def drift(fit: BranchFit) -> tuple[SignedEstimate, SignedEstimate] | None:
    """The changes of first value and range from one cycle to the next, as fractions of the range.

    They are positive where the measured values grow. Straight lines are fitted over the cycles. The
    errors come from the scatter of the ramps about the lines, and are at least those that the noise
    of the readings makes. The result is None where there are too few cycles.
    """
    if not has_cycles(fit.data):
        return None
    mean = float(fit.alone.range.mean())
    variances = variances_alone(fit) / mean**2
    start = np.sign(fit.data.step) * fit.alone.start / mean
    first = per_cycle(fit.data, start, variances[0])
    return first, per_cycle(fit.data, fit.alone.range / mean, variances[1])


def has_cycles(data: BranchData) -> bool:
    """Whether there are enough cycles to see a drift."""
    return data.n_ramps > len(data.devices) + 1 and bool(about_mean(data, data.cycle).any())


def about_mean(data: BranchData, value: np.ndarray) -> np.ndarray:
    """A quantity of ramps less its mean over the ramps of the same device, [ramps]."""
    return value - means(value, data.device)[data.device]


def variances_alone(fit: BranchFit) -> np.ndarray:
    """The variances of start and range of a ramp fitted alone, averaged over the ramps, [2]."""
    total = np.zeros(2)
    for part in parts_of(fit.data, fit.alone, straight=False):
        basis = Whitener(part.time, fit.noise.weights)(part.basis)  # [ramps, n, columns]
        covariance = np.linalg.pinv(basis.swapaxes(1, 2) @ basis)
        total += covariance.diagonal(axis1=1, axis2=2)[:, :2].sum(axis=0)
    return total / fit.data.n_ramps


def per_cycle(data: BranchData, value: np.ndarray, variance: float = 0.0) -> SignedEstimate:
    """The slope of a quantity against the cycle, common to all devices, each about its mean.

    value: [ramps]. variance: of the value by noise alone, the least variance that is assumed. Since
    few cycles show their scatter only roughly, the standard error is the half width of the interval
    in which Student's distribution has the probability of one standard deviation.
    """
    cycle, level = about_mean(data, data.cycle), about_mean(data, value)
    square, spare = float((cycle**2).sum()), len(value) - len(data.devices) - 1
    slope = float((cycle * level).sum()) / square
    scatter = float(((level - slope * cycle) ** 2).sum()) / spare
    scatter = max(scatter * stdtrit(spare, ONE_SIGMA) ** 2, variance)
    return SignedEstimate(slope, float(np.sqrt(scatter / square)))
