"""Checks of a fit before any result is printed or written.

Users believe a printed number, so nothing is printed unless the range has the sign and the size of
the readings, the curve explains the readings, no noise is negative, every error is finite, and the
device file can be read back and trained with. `DeviceFit` goes in; `DeviceFile` comes out, or a
`UserError` that says in one line what is odd about the data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np
from scipy.special import chdtrc

from devices.constants import in_words, is_finite
from devices.device_file import DeviceFile, from_json
from devices.measured_branch import Estimate, SignedEstimate
from devices.responses import Response
from utils.errors import UserError
from utils.measured.branch import WAYS
from utils.measured.branch_fit import BranchFit, quality
from utils.measured.device_fit import DeviceFit
from utils.measured.mean_device import MAX_SCATTER
from utils.measured.model_units import device_file

RANGE_LIMITS = 0.5, 2.0  # of the fitted range against that of the readings
MIN_R_SQUARED = 0.5  # of the family taken, of the mean over ramps
MAX_RANGE_ERROR = 0.5  # of the range
MIN_PROBABILITY = 0.001  # that ramps differ so much by their noise alone
MAX_SPREAD = 1.0  # of slope factors or range factors about their mean


def sane_device_file(fit: DeviceFit, name: str, relaxes_to: str | None) -> DeviceFile:
    """The device file of a fit. Raises UserError where anything is odd about the data."""
    for odd in oddities(fit):
        raise refusal(fit, odd)
    try:
        device = device_file(fit, name, relaxes_to)
    except ValueError as error:
        raise refusal(fit, f"the fit gives no valid device ({error})") from None
    for odd in oddities_of_file(device):
        raise refusal(fit, odd)
    return device


def refusal(fit: DeviceFit, odd: str) -> UserError:
    return UserError(
        f"{fit.measurement.file}: {odd}; nothing is written. Check the columns that were read, or "
        "choose others with --columns"
    )


def oddities(fit: DeviceFit) -> Iterator[str]:
    """Sentences on what is odd about a fit; later checks assume that the earlier ones passed."""
    for name, branch in fit.branches.items():
        yield from oddities_of_branch(name, branch)
        estimates = {"range": fit.range_of(branch), "nonlinearity": fit.nonlinearity_of(branch)}
        for what, estimate in estimates.items():
            if not is_known(estimate):
                yield f"the {what} of its {name} branch has an error that is not finite"
        if fit.measurement.assumed_cycles and are_apart(branch):
            yield (
                f"its {name} ramps differ by {branch.taken.scatter:.1f} times what their noise "
                "explains, and nothing names the columns; say --devices each if each is another "
                "device, or --devices one if they are cycles of one device all the same"
            )
    yield from oddities_of_device(fit)
    for name, branch in fit.branches.items():
        size = fit.range_of(branch)
        if size.value and size.error and size.error > MAX_RANGE_ERROR * size.value:
            yield (
                f"the range of its {name} branch, {size.value:.3g} ± {size.error:.2g}, is not "
                "determined by these readings"
            )


def oddities_of_device(fit: DeviceFit) -> Iterator[str]:
    """Sentences on what is odd about the quantities that both branches share."""
    ends = [sorted(branch.ends) for branch in fit.branches.values()]
    if len(ends) == 2 and max(low for low, _ in ends) >= min(high for _, high in ends):
        between = " and ".join(
            f"its {name} branch between {low:.4g} and {high:.4g}"
            for name, (low, high) in zip(fit.branches, ends, strict=True)
        )
        yield f"{between} have no state in common, so they are not those of one device"
    common = {"read noise": fit.read_noise, "write noise": fit.write_noise}
    common |= {"spread of slopes": fit.variability, "spread of ranges": fit.range_spread}
    for what, estimate in common.items():
        if estimate.value is None:
            continue
        if not is_known(estimate):
            yield f"the {what} comes out not finite"
        elif estimate.value < 0:
            yield f"the {what} comes out negative ({estimate.value:.3g})"
        elif what.startswith("spread") and estimate.value > MAX_SPREAD:
            yield f"the {what} is {estimate.value:.0%}, so there is no mean device"


def are_apart(branch: BranchFit) -> bool:
    """Whether ramps differ by clearly more than slopes, ranges and noise explain.

    The excess must be large, and must not be due to chance: the sum of the whitened squares would
    follow the chi-squared distribution.
    """
    taken = branch.taken
    p_value = chdtrc(taken.spare, taken.squares)
    return bool(taken.scatter > MAX_SCATTER and p_value < MIN_PROBABILITY)


def oddities_of_branch(name: str, fit: BranchFit) -> Iterator[str]:
    """Sentences on what is odd about the range and the curve of a branch."""
    raw = float(np.median([np.ptp(ramp.values) for ramp in fit.data.ramps]))
    size = fit.range
    if not math.isfinite(size):
        yield f"the curve that fits its {name} branch best has no finite range"
        return
    if not size > 0:
        way = WAYS[name]
        yield f"its {name} ramps {way} by {raw:.3g}, but the curve that fits best does not {way}"
        return
    if not RANGE_LIMITS[0] * raw <= size <= RANGE_LIMITS[1] * raw:
        yield (
            f"the fitted range of its {name} branch is {size:.3g}, but the readings of a ramp span "
            f"{raw:.3g}"
        )
    explained = quality(fit.data, fit.taken).of_mean
    if not explained > MIN_R_SQUARED:
        why = "the ramps have no common shape"
        if fit.family != fit.best:
            why = f"leave out --family, since the data choose {fit.best}"
        yield (
            f"the {fit.family} curve explains only {max(explained, 0):.0%} of its {name} branch; "
            f"{why}"
        )


def oddities_of_file(device: DeviceFile) -> Iterator[str]:
    """Sentences on what is odd about a device file: infinite numbers, unreadable, untrainable."""
    if not is_finite(msgspec.to_builtins(device)):
        yield "a number of the device file is not finite"
        return
    try:
        reread = from_json(msgspec.json.encode(device).decode())
    except msgspec.MsgspecError as error:
        yield f"the device file cannot be read back ({in_words(error)})"
        return
    for response in {reread.response, reread.rising_mirrored} - {None}:
        if not can_be_trained(response):
            yield "pulses do not lead through the whole range of the fitted curve"
            return


def can_be_trained(response: Response) -> bool:
    """Whether a pulse lowers the voltage by a finite step wherever in the range it begins."""
    pulse = response.pulses_max / 100
    for share in np.linspace(0, 0.99, 34):
        before = response.response(float(share) * response.pulses_max)
        after = response.after(before, pulse)
        if not math.isfinite(after) or not after < before or not response.span > 0:
            return False
    return True


def is_known(estimate: Estimate | SignedEstimate) -> bool:
    """Whether value and error are finite numbers."""
    numbers = estimate.value, estimate.error
    return all(number is not None and math.isfinite(number) for number in numbers)
