"""How devices differ from each other, and how the cycles of a device drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from devices.device_file import Estimate
from utils.measured.families import Alone
from utils.measured.pooled import Pooled
from utils.measured.scaled import Scaled

NOT_MEASURABLE = Estimate(None, None)


def variability(pooled: Pooled) -> Estimate:
    """sigma_device: the standard deviation of the slope factors v_i, relative to their mean.

    Less what the errors of the fit add to it, and without the bias that the root of a variance of
    few devices has (a normal distribution is assumed). Not measurable from a single device.
    """
    n = len(pooled.slopes)
    if n < 2:
        return NOT_MEASURABLE
    apparent = float(pooled.slopes.var(ddof=1))  # their mean is 1
    covariance = pooled.covariance[2:, 2:] * pooled.scatter**2
    of_fit = float(np.trace(covariance) - covariance.sum() / n) / (n - 1)
    true = max(apparent - of_fit, 0.0)
    error = max(apparent, of_fit) * np.sqrt(2 / (n - 1))  # of the variance
    root = np.sqrt(true)
    bias = np.sqrt(2 / (n - 1)) * np.exp(gammaln(n / 2) - gammaln((n - 1) / 2))
    return Estimate(
        float(root / bias),
        float(min(error / (2 * root), np.sqrt(error)) / bias if root else np.sqrt(error)),
    )


@dataclass(frozen=True)
class Drift:
    """Change from one cycle to the next, as fractions of the range; None if there are too few."""

    first: Estimate
    range: Estimate


def drift(scaled: Scaled, alone: Alone) -> Drift:
    """Slow change of first value and range over the cycles of a device, by straight lines.

    Their standard errors come from the scatter of the ramps about the lines.
    """
    mean = float(alone.range.mean())
    return Drift(
        per_cycle(scaled, alone.start / mean), per_cycle(scaled, alone.range / mean)
    )  # fmt: skip


def per_cycle(scaled: Scaled, value: np.ndarray) -> Estimate:
    """Slope of a value of each ramp against cycle, common to all devices, each about its mean."""
    cycle, level = scaled.cycle.astype(float), value.copy()
    for device in range(len(scaled.devices)):
        own = scaled.device == device
        cycle[own] -= cycle[own].mean()
        level[own] -= level[own].mean()
    square, spare = float((cycle**2).sum()), len(value) - len(scaled.devices) - 1
    if spare < 1 or square == 0:
        return NOT_MEASURABLE
    slope = float((cycle * level).sum()) / square
    rest = float(((level - slope * cycle) ** 2).sum()) / spare
    return Estimate(slope, float(np.sqrt(rest / square)))
