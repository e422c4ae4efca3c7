"""A measured device in units of the model: its responses, where they are symmetric, its file.

Both branches stand on one range, that of the linear device. A rising branch is handed about as its
mirrored curve, which falls: f_up(x) = w_max + w_min - g(x).
"""

from __future__ import annotations

import numpy as np
from msgspec.structs import astuple
from scipy.optimize import brentq

from devices.built_in import LINEAR as MODEL
from devices.device_file import DeviceFile, Source, Units
from devices.measured_branch import Estimate, MeasuredBranch, SignedEstimate
from devices.responses import Exponential, Linear, Response
from devices.responses import Table as TableResponse
from utils.measured.branch_fit import BranchFit
from utils.measured.curves import jacobian
from utils.measured.device_fit import DeviceFit
from utils.measured.spreads import times
from utils.measured.table import MeanTable

SMALL_PULSE = 0.01  # of the pulses of a range: the step by which two polarities are compared
GRID_POINTS = 201  # of the range, between which the symmetry point is looked for


def response_of(fit: BranchFit, nonlinearity: float | None = None) -> Response:
    """A branch in units of the model; nonlinearity: another one than was fitted."""
    span, top, last = MODEL.span, MODEL.w_max, fit.data.pulses_max
    if isinstance(fit.taken, MeanTable):
        pulses = tuple(float(f"{number:.12g}") for number in fit.taken.time * last)
        heights = fit.taken.height / fit.taken.range
        return TableResponse(pulses, tuple(float(top - span * number) for number in heights))
    if fit.family == "linear":
        return Linear(slope=-span / last, offset=top, pulses_max=last)
    nu = fit.taken.nonlinearity if nonlinearity is None else nonlinearity
    amplitude = float(-span / np.expm1(-nu))
    return Exponential(amplitude, decay=last / nu, offset=top - amplitude, pulses_max=last)


def constants_of(device: DeviceFit, fit: BranchFit) -> dict[str, SignedEstimate]:
    """The constants of a linear or an exponential branch as measured, by their names."""
    data, last = fit.data, fit.data.pulses_max

    def constants(theta: np.ndarray) -> np.ndarray:
        size, nu, start = theta
        if fit.family == "linear":
            return np.array([size / last, start])
        amplitude = size / np.expm1(-nu)
        return np.array([amplitude, last / nu, start - amplitude])

    theta = np.array([fit.taken.range, fit.taken.nonlinearity, fit.start])
    change = jacobian(constants, theta)
    errors = np.sqrt(np.diag(change @ device.covariance(fit.taken) @ change.T))
    names = ("slope", "offset") if fit.family == "linear" else ("amplitude", "decay", "offset")
    found = {}
    for name, value, error in zip(names, constants(theta).tolist(), errors.tolist(), strict=True):
        factor = 1.0 if name == "decay" else data.step
        origin = data.first if name == "offset" else 0.0
        found[name] = SignedEstimate(origin + factor * value, abs(factor) * error)
    return found


def errors_of(device: DeviceFit, fit: BranchFit) -> dict[str, float | tuple[float, ...]]:
    """Standard errors of the constants of a branch in units of the model.

    Those of the measured constants, divided by the measured range as it was fitted: the map to
    model units is a definition and has no error of its own.
    """
    if fit.family == "table":
        voltages = device.point_errors(fit) * (MODEL.span / fit.taken.range)
        return {"voltages": tuple(voltages.tolist())}
    return {
        name: (constant.error or 0.0) * (1.0 if name == "decay" else MODEL.span / fit.range)
        for name, constant in constants_of(device, fit).items()
    }


# Both branches against each other


def step_at(falling: Response, voltage: float) -> float:
    """How far a pulse lowers a voltage, from the change over a small part of the range."""
    pulses = SMALL_PULSE * falling.pulses_max
    inside = min(max(voltage, falling.w_min), falling.w_max)
    before = falling.inverse(inside) - pulses / 2  # a curve goes on beyond its range
    return (falling.response(before) - falling.response(before + pulses)) / pulses


def step_ratio(device: DeviceFit) -> float:
    """Of a pulse up to a pulse down at the middle of the range, of a device with both branches."""
    middle = (MODEL.w_max + MODEL.w_min) / 2
    down, up = (step_at(response_of(fit), middle) for fit in device.branches.values())
    return up / down


def symmetry_point(device: DeviceFit) -> Estimate | None:
    """The voltage where a small pulse of either polarity makes the same step, if there is one.

    Its error is that of the nonlinearities, None where a branch is a table.
    """
    if device.falling is None or device.rising is None:
        return None
    down, up = response_of(device.falling), response_of(device.rising)
    found = crossing(up, down)
    if found is None:
        return None
    if "table" in (device.falling.family, device.rising.family):
        return Estimate(found)
    moves = []
    for fit in (device.falling, device.rising):
        nu, error = astuple(device.nonlinearity_of(fit))
        other = response_of(fit, nu + error)
        moved = crossing(other, down) if fit.data.is_rising else crossing(up, other)
        moves.append(MODEL.span if moved is None else moved - found)
    return Estimate(found, float(np.linalg.norm(moves)))


def crossing(up: Response, down: Response) -> float | None:
    """The voltage of equal steps that is nearest to the middle of the range; up: mirrored."""

    def difference(voltage: float) -> float:
        mirrored = MODEL.w_max + MODEL.w_min - voltage
        return step_at(up, mirrored) - step_at(down, voltage)

    grid = np.linspace(MODEL.w_min, MODEL.w_max, GRID_POINTS)
    signs = np.sign([difference(float(voltage)) for voltage in grid])
    places = np.flatnonzero(signs[1:] * signs[:-1] < 0)
    if not len(places):
        return None
    place = places[np.argmin(np.abs(places - GRID_POINTS // 2))]
    low, high = grid[[place, place + 1]].tolist()
    return float(brentq(difference, low, high))


# The device file


def device_file(device: DeviceFit, name: str, relaxes_to: str | None) -> DeviceFile:
    """The measured device in units of the model. relaxes_to: as it shall stand in the file."""
    measurement, (low, _) = device.measurement, device.ends
    slope = device.range / MODEL.span
    return DeviceFile(
        name=name,
        falling=device.falling and branch_of(device, device.falling),
        rising=device.rising and branch_of(device, device.rising),
        symmetry_point=symmetry_point(device),
        range_spread=rounded(device.range_spread),
        variability=rounded(device.variability),
        read_noise=rounded(times(device.read_noise, MODEL.span)),
        write_noise=rounded(device.write_noise),
        units=Units(measurement.unit or None, slope, low - slope * MODEL.w_min),
        source=Source(measurement.file, measurement.sha256, dict(measurement.how)),
        relaxes_to=relaxes_to,
    )


def branch_of(device: DeviceFit, fit: BranchFit) -> MeasuredBranch:
    return MeasuredBranch.from_response(
        response_of(fit),
        fit.data.is_rising,
        errors=errors_of(device, fit),
        range=device.range_of(fit),
        nonlinearity=device.nonlinearity_of(fit),
    )


def rounded(estimate: Estimate) -> Estimate:
    """To four digits, far below any error: folders of results are named after these numbers."""
    value, error = (
        None if number is None else float(f"{number:.4g}")
        for number in (estimate.value, estimate.error)
    )
    return Estimate(value, error)
