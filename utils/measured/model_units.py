"""A measured device in units of the model: its responses, its symmetry point, its device file.

Measured values are mapped linearly onto the range of `double-linear`, both branches onto the same
range. As the responses of the model fall, a rising branch f_up is represented by its mirrored curve
g(x) = w_max + w_min - f_up(x). `DeviceFit` goes in; `DeviceFile` comes out.
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

SMALL_PULSE = 0.01  # of the pulses of a range, for which the steps of both polarities are compared
GRID_POINTS = 201  # of the grid over the range on which the symmetry point is searched


def response_of(fit: BranchFit, nonlinearity: float | None = None) -> Response:
    """A branch in units of the model. nonlinearity: of an exponential, by default as fitted."""
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
    measured = {}
    for name, value, error in zip(names, constants(theta).tolist(), errors.tolist(), strict=True):
        factor = 1.0 if name == "decay" else data.step
        origin = data.first if name == "offset" else 0.0
        measured[name] = SignedEstimate(origin + factor * value, abs(factor) * error)
    return measured


def errors_of(device: DeviceFit, fit: BranchFit) -> dict[str, float | tuple[float, ...]]:
    """Standard errors of the constants of a branch in units of the model.

    They are those of the measured constants times span / fitted range. The map to units of the
    model is a definition, so it adds no error.
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
    """By how much a pulse lowers a voltage, averaged over a small part of the range."""
    pulses = SMALL_PULSE * falling.pulses_max
    in_range = min(max(voltage, falling.w_min), falling.w_max)
    before = falling.inverse(in_range) - pulses / 2  # a curve goes on beyond its range
    return (falling.response(before) - falling.response(before + pulses)) / pulses


def step_ratio(device: DeviceFit) -> float:
    """Step of a pulse up / step of a pulse down, at the middle of the range of both branches."""
    middle = (MODEL.w_max + MODEL.w_min) / 2
    down, up = (step_at(response_of(fit), middle) for fit in device.branches.values())
    return up / down


def symmetry_point(device: DeviceFit) -> Estimate | None:
    """The voltage at which small pulses up and down make equal steps; None where there is none.

    Its error comes from those of the nonlinearities, and is None where a branch is a table.
    """
    if device.falling is None or device.rising is None:
        return None
    down, up = response_of(device.falling), response_of(device.rising)
    point = crossing(up, down)
    if point is None:
        return None
    if "table" in (device.falling.family, device.rising.family):
        return Estimate(point)
    moves = []
    for fit in (device.falling, device.rising):
        nu, error = astuple(device.nonlinearity_of(fit))
        changed = response_of(fit, nu + error)
        moved = crossing(changed, down) if fit.data.is_rising else crossing(up, changed)
        moves.append(MODEL.span if moved is None else moved - point)
    return Estimate(point, float(np.linalg.norm(moves)))


def crossing(up: Response, down: Response) -> float | None:
    """The voltage of equal steps that is nearest to the middle of the range, if there is one.

    up: the mirrored curve of the rising branch.
    """

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
    """The device file of a measured device. relaxes_to: the entry of that name, unchanged."""
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
    """Rounded to four digits, since folders of results are named after these numbers.

    The rounding is far below any error.
    """
    value, error = (
        None if number is None else float(f"{number:.4g}")
        for number in (estimate.value, estimate.error)
    )
    return Estimate(value, error)
