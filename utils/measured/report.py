"""The report of a fit: text for the terminal.

`DeviceFit` and its `DeviceFile` go in; lines of text come out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from devices.device_file import DeviceFile
from devices.measured_branch import Estimate, SignedEstimate
from utils.measured.branch_fit import FAMILIES, BranchFit, quality
from utils.measured.device_fit import DeviceFit
from utils.measured.mean_device import MAX_SCATTER
from utils.measured.model_units import constants_of, step_ratio
from utils.measured.spreads import agree, drift, times
from utils.measured.table import MeanTable
from utils.measured.whitening import FLOOR

WORDS = {"falling": "depression", "rising": "potentiation"}
MAX_DIFFERENCE = 0.05  # of the range: ends of the branches that differ by more are spoken of


def report(fit: DeviceFit, device: DeviceFile) -> list[str]:
    """All estimates, a line each. device: the device file of the fit."""
    unit = fit.measurement.unit or "units that the file does not name"
    lines = [*fit.far_off, f"Values are in {unit}, noises and spreads in % of the range."]
    for name, branch in fit.branches.items():
        lines += ["", *branch_lines(fit, name, branch)]
    lines += ["", *common_lines(fit, device), *noise_lines(fit), *notes(fit)]
    return [*lines, "", f"flags of main.py for these values: {flags(device)}"]


def branch_lines(fit: DeviceFit, name: str, branch: BranchFit) -> Iterator[str]:
    """The results for one branch."""
    first, last = branch.ends
    yield (
        f"{name} branch ({WORDS[name]}): {branch.data.pulses_max:g} pulses "
        f"from {first:.6g} to {last:.6g}"
    )
    yield from comparison(branch)
    yield f"chosen            {branch.family}: {branch.why}"
    low, high = sorted(branch.ends)
    ratio = f"; its ends have the ratio {high / low:.4g}" if low > 0 else ""
    yield f"range             {pm(fit.range_of(branch))}{ratio}"
    yield equation(fit, branch)
    nearest = "" if branch.tests["exponential"].passed else " (of the nearest exponential)"
    yield (
        f"nonlinearity ν    {pm(fit.nonlinearity_of(branch))}; NeuroSim's label "
        f"{pm(fit.neurosim_of(branch))} ({WORDS[name]}){nearest}"
    )
    alone = branch.alone
    if branch.data.n_ramps > 1:
        yield (
            f"  ramps one by one: mean ν {alone.nonlinearity.mean():.3g}, standard deviation "
            f"{alone.nonlinearity.std(ddof=1):.2g}; standard deviation of the range "
            f"{alone.range.std(ddof=1) / alone.range.mean():.2%}; {branch.data.n_ramps} ramps"
        )
    if change := drift(branch):
        first, size = (pm(times(estimate, 100)) for estimate in change)
        yield f"drift per cycle   first value {first} %, range {size} % (not counted as noise)"


def comparison(branch: BranchFit) -> Iterator[str]:
    """A table of the families: how well they fit, and their AICc above the least one."""
    least = min(branch.fits[name].aicc for name in FAMILIES)
    yield "                        R²    rms %   lag-1     AICc   p, residuals are random"
    for name in FAMILIES:
        fit = quality(branch.data, branch.fits[name])
        excess = branch.fits[name].aicc - least
        aicc = "–"
        if np.isfinite(excess):
            aicc = f"{excess:.1f}" if excess < 1e6 else f"{excess:.0e}"
        test, probability = branch.tests.get(name), ""
        if test:
            p_value = test.neighbours if test.slow is None else min(test.slow, test.neighbours)
            probability = f"{p_value:.2g}" if p_value > 1e-6 else "< 1e-6"
        rms, lag_1 = f"{100 * fit.rms:.3g}", f"{fit.lag_1:.2f}"
        if fit.rms <= 10 * FLOOR:  # the residuals are rounding errors
            rms, lag_1 = "0", "–"
        yield f"  {name:12}  {fit.r_squared:10.5f}  {rms:>7}  {lag_1:>6}  {aicc:>7}   {probability}"


def equation(fit: DeviceFit, branch: BranchFit) -> str:
    """The curve as measured, x in pulses."""
    if isinstance(branch.taken, MeanTable):
        return f"table             {len(branch.taken.time)} points, lines between them"
    constants = {name: pm(constant) for name, constant in constants_of(fit, branch).items()}
    if branch.family == "linear":
        return f"linear            {constants['offset']} and {constants['slope']} a pulse"
    return (
        f"exponential       offset {constants['offset']}, amplitude {constants['amplitude']}, "
        f"decay {constants['decay']} pulses"
    )


def common_lines(fit: DeviceFit, device: DeviceFile) -> Iterator[str]:
    """The results that both branches share."""
    low, high = fit.ends
    if len(fit.branches) == 2:
        yield f"common range      {low:.6g} to {high:.6g}, the means of the ends of both branches"
        apart = float(
            np.ptp([sorted(branch.ends) for branch in fit.branches.values()], axis=0).max()
        )
        if apart > MAX_DIFFERENCE * fit.range:
            yield (
                f"note: the ends of the branches differ by up to {apart / fit.range:.0%} of the "
                "range; both curves are stretched onto the common range"
            )
        yield (
            f"asymmetry         |ν rising - ν falling| {pm(fit.asymmetry)}; in the middle of the "
            f"range the step of a pulse up is {step_ratio(fit):.3g} times that of a pulse down"
        )
        point, units = device.symmetry_point, device.units
        if point is None or point.value is None:
            yield "symmetry point    none: pulses up and down make equal steps nowhere in the range"
        else:
            measured = SignedEstimate(
                units.offset + units.slope * point.value, point.error and units.slope * point.error
            )
            yield f"symmetry point    {pm(measured)}, where pulses up and down make equal steps"
    n = len(fit.devices)
    if n == 1:
        yield "σ_device          not measurable from one device; give --var when you train"
        return
    yield f"σ_device          {percent(fit.variability)} (spread of the slopes of {n} devices)"
    if fit.range_spread.value is not None:
        yield f"spread of ranges  {percent(fit.range_spread)}"
    else:
        yield "spread of ranges  cannot be told apart from the spread of the slopes"


def percent(estimate: Estimate) -> str:
    """A fraction in percent, or in words where it is 0 or not known."""
    if estimate.value is None:
        return "not measurable"
    if estimate.value == 0:
        return f"not seen, below {100 * estimate.error:.2g} %" if estimate.error else "none"
    return f"{pm(times(estimate, 100))} %"


def noise_lines(fit: DeviceFit) -> Iterator[str]:
    """Read noise, write noise, and the number of states that read noise leaves apart."""
    read, reads = fit.read_noise, fit.measurement.reads
    source = f" (of a single reading, from {reads} after each pulse)" * (reads > 1)
    yield f"read noise        {percent(read)}{source}"
    yield f"write noise       {percent(fit.write_noise)} per √pulse"
    if read.value and read.error is not None:
        states = Estimate(0.5 / read.value, 0.5 / read.value * (read.error / read.value))
        yield f"resolvable states {pm(states)} (range / twice the read noise)"


def notes(fit: DeviceFit) -> Iterator[str]:
    """Notes on where the measured device differs from what the model assumes."""
    for name, branch in fit.branches.items():
        if branch.memory is not None and branch.write_noise.value:
            yield (
                f"note: the write noise of the {name} branch fades within about "
                f"{branch.memory * branch.data.pulses_max:.2g} pulses; that of a simulated device "
                "does not fade"
            )
        if branch.taken.scatter > MAX_SCATTER and branch.data.n_ramps > 1:
            yield (
                f"note: the {name} ramps differ by more than slopes, ranges and noise explain; all "
                f"errors of that branch are {branch.taken.scatter:.2g} times as large for it"
            )
        if max(branch.noise.noise.read, branch.noise.noise.write) <= 10 * FLOOR:
            yield (
                f"note: the values of the {name} branch have no noise, as if they were computed, "
                "not measured"
            )
    down, *up = (branch.write_noise for branch in fit.branches.values())
    if up and not agree((down, *up)):
        yield (
            f"note: write noise is {percent(down)} per √pulse on the falling branch and "
            f"{percent(*up)} on the rising one; a simulated device has one for both, so the device "
            f"file takes {percent(fit.write_noise)}, the root of the mean of their squares"
        )
    if fit.falling is None:
        yield "note: there is no falling branch, so a network uses the mirrored rising curve"


def flags(device: DeviceFile) -> str:
    """The measured noises and the spread as flags of main.py."""
    values = {
        "--var": device.variability.value,
        "--resistor_noise": device.read_noise.value,
        "--write_noise": device.write_noise.value,
    }
    return " ".join(f"{flag} {value:.3g}" for flag, value in values.items() if value is not None)


def pm(estimate: Estimate | SignedEstimate) -> str:
    """Value ± error, such as `1.234 ± 0.021`, with two digits of the error."""
    value, error = estimate.value, estimate.error
    if value is None:
        return "not measurable"
    if not error or not np.isfinite(error) or error < 1e-7 * abs(value):
        return f"{value:.6g}"
    size = max(abs(value), error)
    power = int(np.floor(np.log10(size)))
    scale = 1.0 if -4 <= power < 6 else 10.0**power
    value, error = value / scale, error / scale
    digits = max(0, 1 - int(np.floor(np.log10(float(f"{error:.1e}")))))
    text = f"{value:.{digits}f} ± {error:.{digits}f}"
    return text if scale == 1.0 else f"({text})e{power}"
