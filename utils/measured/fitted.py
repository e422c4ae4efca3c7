"""What is known of a measured device once everything is fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devices.built_in import LINEAR as MODEL
from devices.device_file import Estimate
from devices.responses import Exponential, Linear, Response
from devices.responses import Table as TableResponse
from utils.measured import families
from utils.measured.families import Alone
from utils.measured.lack_of_fit import LackOfFit
from utils.measured.noise import Estimated
from utils.measured.pooled import Pooled
from utils.measured.ramps import Measurement
from utils.measured.scaled import Scaled
from utils.measured.table import Table
from utils.measured.uncertainty import covariance, table_errors
from utils.measured.variability import Drift, drift, variability
from utils.measured.whitening import FLOOR


@dataclass(frozen=True, eq=False)
class Quality:
    """How well a family fits all ramps together, each with a start of its own.

    r_squared; rms: of the residuals, as a fraction of the range; lag_1: autocorrelation of the
    residuals as they are, which write noise makes large in a true family, too; aicc.
    """

    r_squared: float
    rms: float
    lag_1: float
    aicc: float


@dataclass(frozen=True, eq=False)
class Fit:
    """All that is known of a measured device.

    memory: how long write noise lasts, as a fraction of pulses_max, where the data show that it
    fades sooner than in a device of this curve. alone, pooled, quality, tests: by family (no table
    in alone and tests); table: its points; family: the one that was taken; why: in words.
    """

    measurement: Measurement
    scaled: Scaled
    noise: Estimated
    memory: float | None
    alone: dict[str, Alone]
    pooled: dict[str, Pooled]
    quality: dict[str, Quality]
    tests: dict[str, LackOfFit]
    table: Table
    family: str
    why: str

    @property
    def taken(self) -> Pooled:
        return self.pooled[self.family]

    @property
    def range(self) -> float:
        """Of the mean device over pulses_max, on the scale of `scaled`."""
        return self.table.range if self.family == "table" else self.taken.range

    @property
    def first(self) -> float:
        """The mean device before the first pulse, on the scale of `scaled`."""
        return float(self.taken.start.mean())

    def level(self, time: np.ndarray) -> np.ndarray:
        """The mean device, on the scale of `scaled`; time: from 0 to 1 over pulses_max."""
        if self.family == "table":
            return self.first + self.table.at(time) - self.table.height[0]
        return self.first + self.range * families.curve(time, self.taken.nonlinearity)

    @property
    def variability(self) -> Estimate:
        return variability(self.taken)

    @property
    def drift(self) -> Drift:
        return drift(self.scaled, self.alone["exponential"])

    @property
    def read_noise(self) -> Estimate:
        """As a fraction of the range."""
        return self.fraction(self.noise.noise.read, self.noise.read_error, 1.0)

    @property
    def write_noise(self) -> Estimate:
        """As a fraction of the range per square root of a pulse."""
        per_pulse = 1 / np.sqrt(self.scaled.pulses_max)
        return self.fraction(self.noise.noise.write, self.noise.write_error, per_pulse)

    def fraction(self, value: float, error: float | None, scale: float) -> Estimate:
        if error is None:
            return Estimate(None, None)
        if value <= 10 * FLOOR:
            return Estimate(0.0, float(error * scale / self.range))
        of_range = self.range_error / self.range
        size = value * scale / self.range
        return Estimate(float(size), float(size * np.hypot(error / value, of_range)))

    @property
    def range_error(self) -> float:
        if self.family == "table":
            return float(self.table_errors[-1])
        return float(np.sqrt(covariance(self.taken)[0, 0]))

    @property
    def table_errors(self) -> np.ndarray:
        return table_errors(self.scaled, self.taken, self.table, self.noise.law)

    @property
    def nonlinearity(self) -> Estimate:
        """ν of the exponential family, whichever was taken."""
        fitted = self.pooled["exponential"]
        error = np.sqrt(covariance(fitted)[1, 1])
        return Estimate(fitted.nonlinearity, float(error))

    @property
    def neurosim(self) -> Estimate:
        """NeuroSim's label of it, the sign that of ν."""
        nu = self.nonlinearity
        width = 1e-4
        low, high = neurosim_label(nu.value - width), neurosim_label(nu.value + width)
        return Estimate(neurosim_label(nu.value), abs(high - low) / (2 * width) * nu.error)


def neurosim_label(nonlinearity: float) -> float:
    """NL = max |y - x| / (0.07 sqrt 2), x and y both scaled to 0 ... 1 over the range, signed.

    The label of the NeuroSim simulator; the distance is largest at x = ln(ν / (1 - e^-ν)) / ν.
    """
    nu = abs(nonlinearity)
    if nu < 1e-6:
        return nonlinearity / 8 / (0.07 * np.sqrt(2))
    x = np.log(nu / -np.expm1(-nu)) / nu
    largest = float(families.curve(np.array(x), nu)) - x
    return float(np.sign(nonlinearity) * largest / (0.07 * np.sqrt(2)))


def response_of(fitted: Fit) -> tuple[Response, dict[str, float | tuple[float, ...]]]:
    """The device in model units, and standard errors of its constants.

    Errors are those of the measured constants, divided by the measured range as it was fitted: the
    map to model units is a definition and has no error of its own.
    """
    span, top, last = MODEL.span, MODEL.w_max, fitted.scaled.pulses_max
    unit = span / fitted.range
    if fitted.family == "table":
        heights = (fitted.table.height - fitted.table.height[0]) / fitted.range
        pulses = tuple(float(f"{each:.12g}") for each in fitted.table.time * last)
        voltages = tuple(float(each) for each in top - span * heights)
        errors = tuple(float(each * unit) for each in fitted.table_errors)
        return TableResponse(pulses=pulses, voltages=voltages), {"voltages": errors}
    errors = covariance(fitted.taken)
    if fitted.family == "linear":
        response = Linear(slope=-span / last, offset=top, pulses_max=last)
        slope, start = np.sqrt(errors[0, 0]) * unit / last, np.sqrt(errors[2, 2]) * unit
        return response, {"slope": float(slope), "offset": float(start)}
    nu = fitted.taken.nonlinearity
    amplitude = -span / np.expm1(-nu)
    response = Exponential(
        amplitude=float(amplitude), decay=last / nu, offset=float(top - amplitude), pulses_max=last
    )
    # Derivatives of amplitude = range / (1 - e^-ν) and of the end, start + amplitude, by (range, ν,
    # start).
    share = -1 / np.expm1(-nu)
    by = np.array([share, -fitted.range * share**2 * np.exp(-nu), 0.0])
    end = by + np.array([0.0, 0.0, 1.0])
    return response, {
        "amplitude": float(np.sqrt(by @ errors @ by) * unit),
        "decay": float(last / nu**2 * np.sqrt(errors[1, 1])),
        "offset": float(np.sqrt(end @ errors @ end) * unit),
    }
