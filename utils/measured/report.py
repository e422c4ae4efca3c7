"""What a fit says, as text for the terminal and as a device file."""

from __future__ import annotations

import numpy as np

from devices.built_in import LINEAR as MODEL
from devices.device_file import DeviceFile, Estimate, MeasuredBranch, Source, Units
from utils.measured.fitted import Fit, response_of
from utils.measured.fitting import EQUATIONS, FAMILIES
from utils.measured.ramps import Measurement
from utils.measured.uncertainty import covariance
from utils.measured.whitening import FLOOR


def device_file(fit: Fit, name: str, relaxes_to: str | None) -> DeviceFile:
    """The measured device in units of the model. relaxes_to: as it shall stand in the file."""
    response, errors = response_of(fit)
    slope = -fit.scaled.step * fit.range / MODEL.span  # levels rise where voltages fall
    first = fit.scaled.first + fit.scaled.step * fit.first
    measurement = fit.measurement
    rising = measurement.rising
    branch = MeasuredBranch.from_response(response, rising, errors=errors)
    if rising:
        first, slope = first + slope * (MODEL.w_min - MODEL.w_max), -slope
    return DeviceFile(
        name=name,
        falling=None if rising else branch,
        rising=branch if rising else None,
        variability=rounded(fit.variability),
        read_noise=rounded(scaled(fit.read_noise, MODEL.span)),
        write_noise=rounded(fit.write_noise),
        units=Units(measurement.unit, slope, first - slope * MODEL.w_max),
        source=Source(measurement.file, measurement.sha256, dict(measurement.how)),
        relaxes_to=relaxes_to,
    )


def rounded(estimate: Estimate) -> Estimate:
    """To four digits, far below any error: folders of results are named after these numbers."""
    value, error = (
        None if each is None else float(f"{each:.4g}") for each in (estimate.value, estimate.error)
    )
    return Estimate(value, error)


def scaled(estimate: Estimate, factor: float) -> Estimate:
    value, error = estimate.value, estimate.error
    return Estimate(
        None if value is None else value * factor, None if error is None else error * factor
    )


def understood(measurement: Measurement) -> list[str]:
    """What was read, before anything is fitted."""
    return [*measurement.understood, *(f"left out: {each}" for each in measurement.left_out)]


def report(fit: Fit) -> list[str]:
    """Everything estimated, a line each."""
    return [
        *comparison(fit), "", *response_lines(fit), "", *noise_lines(fit), *notes(fit)
    ]  # fmt: skip


def comparison(fit: Fit) -> list[str]:
    """The families side by side, which one was taken and why."""
    least = min(quality.aicc for quality in fit.quality.values())
    rows = {
        "R²": [f"{fit.quality[name].r_squared:.5f}" for name in FAMILIES],
        "rms of residuals, % of range": [f"{100 * fit.quality[name].rms:.3g}" for name in FAMILIES],
        "lag-1 of residuals": [f"{fit.quality[name].lag_1:.2f}" for name in FAMILIES],
        "AICc, above the least": [above_least(fit.quality[name].aicc - least) for name in FAMILIES],
        "lag-1, write noise taken off": [f"{fit.tests[n].lag_1:.2f}" for n in EQUATIONS],
        "slow residuals are noise, p": [probability(fit, name) for name in EQUATIONS],
    }
    width = max(map(len, rows))
    head = " " * width + "".join(f"{name:>14}" for name in FAMILIES)
    body = [
        f"{label:{width}}" + "".join(f"{each:>14}" for each in row) for label, row in rows.items()
    ]
    return [head, *body, f"taken: {fit.family}; {fit.why}"]


def above_least(difference: float) -> str:
    if not np.isfinite(difference):
        return "–"  # as many parameters as readings
    return f"{difference:.1f}" if difference < 1e6 else f"{difference:.1e}"


def probability(fit: Fit, name: str) -> str:
    """Of slow deviations; where too few readings tell, of neighbours."""
    test = fit.tests[name]
    told = test.neighbours if test.slow is None else test.slow
    return f"{told:.2g}" if told > 1e-6 else "< 1e-6"


def response_lines(fit: Fit) -> list[str]:
    measurement, extent = fit.measurement, fit.scaled
    unit = f" {measurement.unit}" if measurement.unit else ""
    errors = np.sqrt(np.diag(covariance(fit.taken)))
    step = abs(extent.step)
    first = extent.first + extent.step * fit.first
    last = first + extent.step * fit.range
    lines = [f"{extent.pulses_max:g} pulses from {first:.6g} to {last:.6g}{unit}"]
    if extent.start:
        lines[0] += f", counted from the first reading, at {extent.start:g}"
    if measurement.rising:
        lines.append(
            "the curve rises; it is mirrored, since a pulse lowers the voltage of the model"
        )
    range_error = fit.range_error if fit.family == "table" else errors[0]
    lines.append(f"range             {pm(Estimate(fit.range * step, range_error * step))}{unit}")
    if min(first, last) > 0:
        lines.append(f"range ratio       {max(first, last) / min(first, last):.4g}")
    lines += equation(fit, unit)
    nu, label = fit.nonlinearity, fit.neurosim
    lines.append(f"nonlinearity ν    {pm(nu)}; NeuroSim's label {pm(label)}")
    if not fit.tests["exponential"].passed:
        lines[-1] += " (of an exponential that does not fit)"
    alone = fit.alone["exponential"]
    if extent.n_ramps > 1:
        spread = alone.nonlinearity.std(ddof=1)
        lines.append(
            f"  each ramp alone {np.mean(alone.nonlinearity):.3g}, standard deviation {spread:.2g} "
            f"over {extent.n_ramps} ramps; range {alone.range.std(ddof=1) / alone.range.mean():.2%}"
        )
    return lines


def equation(fit: Fit, unit: str) -> list[str]:
    """The curve in measured units, x in pulses."""
    response, errors = response_of(fit)
    slope = -fit.scaled.step * fit.range / MODEL.span
    if fit.family == "table":
        return [f"table             {len(response.pulses)} points, lines between them"]

    def constant(value: float, name: str, factor: float) -> str:
        return pm(Estimate(value * factor, errors[name] * abs(factor)))

    first = fit.scaled.first + fit.scaled.step * fit.first
    if fit.family == "linear":
        start = pm(Estimate(first, errors["offset"] * abs(slope)))
        return [
            f"linear            offset {start}{unit}, "
            f"slope {constant(response.slope, 'slope', slope)}{unit} per pulse"
        ]
    shift = first - slope * MODEL.w_max
    end = pm(Estimate(shift + slope * response.offset, errors["offset"] * abs(slope)))
    return [
        f"exponential       offset {end}{unit}, "
        f"amplitude {constant(response.amplitude, 'amplitude', slope)}{unit}, "
        f"decay {constant(response.decay, 'decay', 1.0)} pulses"
    ]


def noise_lines(fit: Fit) -> list[str]:
    read, write = fit.read_noise, fit.write_noise
    lines = []
    for label, noise, per in (("read noise ", read, ""), ("write noise", write, " per √pulse")):
        percent = scaled(noise, 100)
        if noise.value is None:
            lines.append(f"{label}       not measurable: too few readings")
        elif noise.value:
            model = pm(scaled(noise, MODEL.span))
            lines.append(f"{label}       {pm(percent)} % of the range{per}; model units {model}")
        elif percent.error > 1e-6:
            lines.append(f"{label}       none seen, below {percent.error:.2g} % of the range{per}")
        else:
            lines.append(f"{label}       none")
    if read.value:
        states = Estimate(0.5 / read.value, 0.5 / read.value * (read.error / read.value))
        lines.append(f"resolvable states {pm(states)} (range / twice the read noise)")
    n = len(fit.scaled.devices)
    lines.append(
        f"σ_device          {pm(fit.variability)}, {n} devices" if n > 1
        else "σ_device          not measurable from one device: give --var when you train"
    )  # fmt: skip
    drift = fit.drift
    if drift.first.value is not None:
        lines.append(
            f"drift per cycle   first value {pm(scaled(drift.first, 100))} % of the range, "
            f"range {pm(scaled(drift.range, 100))} % (not counted as noise)"
        )
    return lines


def notes(fit: Fit) -> list[str]:
    """What a user should know of a measurement that is not quite what the model assumes."""
    lines = []
    if fit.memory is not None:
        pulses = fit.memory * fit.scaled.pulses_max
        lines.append(
            f"note: write noise fades within about {pulses:.2g} pulses; that of a simulated device "
            "stays"
        )
    if fit.taken.scatter > 1.2 and fit.scaled.n_ramps > 1:
        lines.append(
            f"note: the ramps differ by more than slope factors and noise (residuals "
            f"{fit.taken.scatter:.2g} times as large); errors are larger by as much"
        )
    if fit.noise.noise.read <= 10 * FLOOR and fit.noise.noise.write <= 10 * FLOOR:
        lines.append("note: these values have no noise; a measurement has")
    return lines


def pm(estimate: Estimate) -> str:
    """`1.234 ± 0.021`: two digits of the error, the value to the same place."""
    value, error = estimate.value, estimate.error
    if value is None:
        return "not measurable"
    if not error or not np.isfinite(error) or error < 1e-7 * abs(value):
        return f"{value:.6g}"
    size = max(abs(value), error)
    power = int(np.floor(np.log10(size)))
    if -4 <= power < 6:
        digits = max(0, 1 - int(np.floor(np.log10(float(f"{error:.1e}")))))
        return f"{value:.{digits}f} ± {error:.{digits}f}"
    value, error = value / 10.0**power, error / 10.0**power
    digits = max(0, 1 - int(np.floor(np.log10(float(f"{error:.1e}")))))
    return f"({value:.{digits}f} ± {error:.{digits}f})e{power}"
