"""From ramps to a device: all families fitted, one taken, noises and variability estimated.

The order of things: a first fit that knows of no noise; read and write noise from the increments,
any smooth curve taken off; linear and exponential by generalised least squares with these noises,
each ramp alone; whether what they leave is noise; all families with all ramps together; the choice.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from utils.errors import UserError
from utils.measured import families, lack_of_fit, noise, pooled
from utils.measured.families import fit_each
from utils.measured.fitted import Fit, Quality
from utils.measured.lack_of_fit import LackOfFit
from utils.measured.pooled import Pooled, fit_all
from utils.measured.ramps import Measurement
from utils.measured.scaled import Scaled
from utils.measured.table import fit_table
from utils.measured.table import parts_of as table_parts
from utils.measured.whitening import Noise

EQUATIONS = ("linear", "exponential")
FAMILIES = (*EQUATIONS, "table")
STRAIGHT = 0.01  # |ν| below which an exponential can no longer be told from a line in float32


def fit(measurement: Measurement, family: str | None = None) -> Fit:
    """Fit everything; `family` names the one to take, else the data decide.

    Raises UserError where the ramps do not run in the direction that the reading says, and where an
    exponential is wanted of a straight line.
    """
    # Its matrices are small: more threads wait for each other longer than they compute.
    with threadpool_limits(1, user_api="blas"):
        return fit_families(measurement, family)


def fit_families(measurement: Measurement, family: str | None) -> Fit:
    scaled = Scaled.of(measurement)
    n_devices = len(scaled.devices)
    unknown = families.whitened(scaled, Noise(1.0, 0.0, 0.0))
    first = fit_all(unknown, pooled.EXPONENTIAL, n_devices)
    nonlinearity = float(np.clip(first.nonlinearity, -10, 30))
    forgetting = noise.find_forgetting(scaled, nonlinearity)
    estimated = noise.estimate(noise.smooth_parts(scaled, nonlinearity), forgetting)
    groups = families.whitened(scaled, estimated.law)
    alone, own, tests = {}, {}, {}
    for name in EQUATIONS:
        alone[name] = fit_each(groups, straight=name == "linear")
        parts = lack_of_fit.parts_of(scaled, alone[name], straight=name == "linear")
        own[name] = noise.estimate(parts, forgetting)
        tests[name] = lack_of_fit.test(parts, own[name].law)
    # One law of the noises for all families, so that they are compared by their curves alone: that
    # of the most general family that fits, which knows slow deviations better than increments do.
    for name in ("exponential", "linear"):
        if tests[name].passed:
            estimated = own[name]
            break
    else:
        if scaled.n_ramps >= lack_of_fit.ENOUGH:
            # Then the curve need not be smooth: the noises are those about the mean of the ramps.
            parts = table_parts(scaled, *fit_table(scaled, groups))
            estimated = noise.estimate(parts, forgetting)
            estimated = noise.about_their_mean(estimated, scaled.n_ramps)
    groups = families.whitened(scaled, estimated.law)
    together = {
        "linear": fit_all(groups, pooled.LINEAR, n_devices),
        "exponential": fit_all(groups, pooled.EXPONENTIAL, n_devices),
    }
    table, together["table"] = fit_table(scaled, groups)
    taken, why = choose(together, tests, family)
    if taken == "exponential" and abs(together[taken].nonlinearity) < STRAIGHT:
        raise UserError(
            f"{measurement.file}: its nonlinearity is {together[taken].nonlinearity:.2g}, which is "
            "a straight line; take --family linear"
        )
    memory = 1 / (forgetting - nonlinearity) if forgetting > max(nonlinearity, 0.0) else None
    return Fit(
        measurement, scaled, estimated, memory, alone, together,
        {name: quality(scaled, each) for name, each in together.items()},
        tests, table, taken, why,
    )  # fmt: skip


def choose(
    together: dict[str, Pooled], tests: dict[str, LackOfFit], wanted: str | None
) -> tuple[str, str]:
    """The family to take, and why."""
    passed = [name for name in tests if tests[name].passed]
    if not passed:
        best = "table"
        why = "no family fits: the residuals of linear and exponential are no noise"
    else:
        best = min(passed, key=lambda name: together[name].aicc)
        if len(passed) == 1:
            other = next(name for name in tests if name != best)
            why = f"{best} fits, {other} does not: its residuals are no noise"
        else:
            other = next(name for name in passed if name != best)
            gain = together[other].aicc - together[best].aicc
            why = f"both families fit, {best} has the smaller AICc, by {gain:.1f}"
    if wanted is None or wanted == best:
        return best, why
    return wanted, f"asked for by --family; the data would choose {best}, since {why}"


def quality(scaled: Scaled, one: Pooled) -> Quality:
    square, spread, product = 0.0, 0.0, 0.0
    for group, left in zip(scaled.groups, one.residual, strict=True):
        square += float((left**2).sum())
        product += float((left[1:] * left[:-1]).sum())
        spread += float(((group.level - group.level.mean(0)) ** 2).sum())
    rms = np.sqrt(square / scaled.n_readings)
    return Quality(
        1 - square / spread, float(rms / one.range), product / square if square else 0.0, one.aicc
    )
