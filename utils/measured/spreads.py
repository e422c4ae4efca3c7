"""Estimates put together: how much devices differ from each other, and how their cycles drift."""

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

ONE_SIGMA = float(ndtr(-1))  # probability beyond one standard deviation on one side
MAX_STANDARD_ERRORS = 3.0  # by which estimates of one value may differ
Either = TypeVar("Either", Estimate, SignedEstimate)


def spread(factors: np.ndarray, covariance: np.ndarray) -> Estimate:
    """The standard deviation of factors of mean 1.

    Less what the errors of the fit add to it, and without the bias that the root of a variance of
    few devices has (a normal distribution is assumed).
    """
    n = len(factors)
    apparent = float(factors.var(ddof=1))
    of_fit = float(np.trace(covariance) - covariance.sum() / n) / (n - 1)
    true = max(apparent - of_fit, 0.0)
    error = max(apparent, of_fit) * np.sqrt(2 / (n - 1))  # of the variance
    bias = np.sqrt(2 / (n - 1)) * np.exp(gammaln(n / 2) - gammaln((n - 1) / 2))
    return Estimate(float(np.sqrt(true) / bias), root_error(np.sqrt(true), error) / float(bias))


def times(estimate: Either, factor: float) -> Either:
    if estimate.value is None:
        return estimate
    return type(estimate)(
        estimate.value * factor, None if estimate.error is None else estimate.error * factor
    )


def pooled(estimates: Iterable[Estimate]) -> Estimate:
    """One standard deviation for several, by the mean of the variances of those that are known.

    Each variance is weighted by what it is known to. Where they differ by more than their errors
    explain, they are not estimates of one value, and all count alike.
    """
    estimates = [estimate for estimate in estimates if estimate.value is not None]
    if len(estimates) < 2:
        return estimates[0] if estimates else NOT_MEASURED
    value, error = np.array([(estimate.value, estimate.error) for estimate in estimates]).T
    of_variance = np.maximum(2 * value * error, error**2)
    if not (of_variance > 0).all():
        return Estimate(float(value.mean()), estimates[0].error)
    weight = 1 / of_variance**2 if agree(estimates) else np.ones(len(value))
    weight /= weight.sum()
    root = float(np.sqrt((weight * value**2).sum()))
    return Estimate(root, root_error(root, float(np.linalg.norm(weight * of_variance))))


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
    """Change of first value and range from one cycle to the next, as fractions of the range.

    Positive where the measured values grow. By straight lines over the cycles of each device, with
    errors from the scatter of the ramps about the lines, and never below what the noise of the
    readings explains; None where there are too few cycles.
    """
    if not has_cycles(fit.data):
        return None
    mean = float(fit.alone.range.mean())
    variances = variances_alone(fit) / mean**2
    start = np.sign(fit.data.step) * fit.alone.start / mean
    first = per_cycle(fit.data, start, variances[0])
    return first, per_cycle(fit.data, fit.alone.range / mean, variances[1])


def has_cycles(data: BranchData) -> bool:
    """Whether there are enough of them to tell a drift."""
    return data.n_ramps > len(data.devices) + 1 and bool(about_mean(data, data.cycle).any())


def about_mean(data: BranchData, value: np.ndarray) -> np.ndarray:
    """A value of each ramp less its mean over the ramps of the device, [ramps]."""
    return value - means(value, data.device)[data.device]


def variances_alone(fit: BranchFit) -> np.ndarray:
    """What noise does to start and range of a ramp fitted on its own, its mean over ramps, [2]."""
    total = np.zeros(2)
    for part in parts_of(fit.data, fit.alone, straight=False):
        basis = Whitener(part.time, fit.noise.weights)(part.basis)  # [ramps, n, columns]
        covariance = np.linalg.pinv(basis.swapaxes(1, 2) @ basis)
        total += covariance.diagonal(axis1=1, axis2=2)[:, :2].sum(axis=0)
    return total / fit.data.n_ramps


def per_cycle(data: BranchData, value: np.ndarray, variance: float = 0.0) -> SignedEstimate:
    """Slope of a value of each ramp against cycle, common to all devices, each about its mean.

    variance: what noise alone makes of the value. The error is that of one standard deviation of
    Student's distribution, since few cycles tell little of their scatter.
    """
    cycle, level = about_mean(data, data.cycle), about_mean(data, value)
    square, spare = float((cycle**2).sum()), len(value) - len(data.devices) - 1
    slope = float((cycle * level).sum()) / square
    rest = float(((level - slope * cycle) ** 2).sum()) / spare
    rest = max(rest * stdtrit(spare, ONE_SIGMA) ** 2, variance)
    return SignedEstimate(slope, float(np.sqrt(rest / square)))
