"""How the Hall voltage of one device responds to voltage pulses: one class for each family.

A family is an equation (the class) with its constants (the fields), which are data: the devices of
the library and of users' files differ in them alone. This module does not import torch, so that the
command line can be parsed without it: the methods take Python floats as well as tensors, and so may
the constants, as `devices.network_responses.Responses` makes use of.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from devices.resampling import cell_count, within_tolerance

Value = Any  # a number, a tensor, or an expression that is printed as C++ (models.kernels)


def exp(x: Value) -> Value:
    return math.exp(x) if isinstance(x, (int, float)) else x.exp()


def expm1(x: Value) -> Value:
    """Return exp(x) - 1, in float32 with a relative error of 1e-6.

    Training computes it for every pair, and torch.expm1 takes several times as long as exp. Below
    0.1 it is a series, whose next term is x^6 / 720; above, the difference loses little.
    """
    if isinstance(x, (int, float)):
        return math.expm1(x)
    if x.element_size() > 4:  # float64
        return x.expm1()
    series = x * (1 + x * (1 / 2 + x * (1 / 6 + x * (1 / 24 + x * (1 / 120)))))
    return series.where(x.abs() < 0.1, x.exp() - 1)


def log(x: Value) -> Value:
    return math.log(x) if isinstance(x, (int, float)) else x.log()


def at_least_one(x: Value) -> Value:
    return max(x, 1.0) if isinstance(x, (int, float)) else x.clamp(min=1)


def piecewise(x: Value, knots: Sequence[float], values: Sequence[float]) -> Value:
    """Interpolate linearly between points (knot, value); the first and last line go on.

    x: a number or a tensor; knots: rising.
    """
    if isinstance(x, (int, float)):
        k = bisect_right(knots, x, 1, len(knots) - 1) - 1
        slope = (values[k + 1] - values[k]) / (knots[k + 1] - knots[k])
        return values[k] + slope * (x - knots[k])
    import torch  # which is there, as x is a tensor

    at, y = (torch.tensor(numbers, dtype=x.dtype, device=x.device) for numbers in (knots, values))
    k = torch.searchsorted(at[1:-1].contiguous(), x.contiguous(), right=True)
    return y[k] + (y.diff() / at.diff())[k] * (x - at[k])


LARGEST_EXPONENT = 80.0  # exp of it is finite in single precision
FAMILIES: dict[str, type[Response]] = {}  # all classes below, by name


class Response:
    """The contract of a family: `w = f(x)`, Hall voltage against number of pulses.

    `x` is a real number of pulses, 0 <= x <= pulses_max; `w` is in arbitrary units. `f` falls
    monotonically, so a pulse can only lower `w`. A new family is one frozen dataclass with a
    `family` name of its own, `response` and `inverse`; `after` is worth a closed form, which is
    cheaper and more exact than going through the inverse.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    family: ClassVar[str]  # the name of the family in records
    pulses_max: float
    endless: bool = False  # if so, devices are never used up: neither clamped nor refreshed

    def __init_subclass__(cls) -> None:
        """Register the family; raises ValueError if its name is taken."""
        if cls.family in FAMILIES:
            raise ValueError(f"there are two families of the name {cls.family}")
        FAMILIES[cls.family] = cls

    def check(self) -> None:
        """Raise ValueError, which names the constant, unless the curve falls all along."""
        raise NotImplementedError

    def response(self, pulses: Value) -> Value:
        """Hall voltage `w = f(x)` of a device that has received `pulses`."""
        raise NotImplementedError

    def inverse(self, voltage: Value) -> Value:
        """Number of pulses `x` at a Hall voltage, which may lie beyond the range of the curve."""
        raise NotImplementedError

    def after(self, voltage: Value, pulses: Value) -> Value:
        """Hall voltage after `pulses` >= 0 further pulses: f(f^-1(w) + pulses).

        It is computed as a change of the voltage, so that 0 pulses leave every bit as it is.
        """
        before = self.inverse(voltage)
        return voltage + (self.response(before + pulses) - self.response(before))

    @property
    def w_max(self) -> float:
        return self.response(0.0)

    @property
    def w_min(self) -> float:
        return self.response(self.pulses_max)

    @property
    def span(self) -> float:
        """Width of the range of Hall voltages."""
        return self.w_max - self.w_min

    @property
    def lowest(self) -> float:
        """The voltage at which a device is used up; out of reach where it is endless."""
        return -math.inf if self.endless else self.w_min

    @property
    def highest(self) -> float:
        """The voltage above which no device is."""
        return math.inf if self.endless else self.w_max


def check_end(pulses_max: float) -> None:
    if not pulses_max > 0:
        raise ValueError(f"pulses_max is {pulses_max:g}; it must be above 0")


@dataclass(frozen=True)
class Linear(Response):
    """Each pulse lowers the Hall voltage by the same step: w = slope x + offset, slope < 0.

    An endless device is never used up. Its pulses_max then limits nothing: it only defines the
    span, of which write noise is a fraction.
    """

    family: ClassVar[str] = "linear"

    slope: float  # arb. u. per pulse
    offset: float  # arb. u.
    pulses_max: float
    endless: bool = False

    def check(self) -> None:
        check_end(self.pulses_max)
        if not self.slope < 0:
            raise ValueError(f"slope is {self.slope:g}, so the curve does not fall; mirror it")

    def response(self, pulses: Value) -> Value:
        return self.slope * pulses + self.offset

    def inverse(self, voltage: Value) -> Value:
        return (voltage - self.offset) / self.slope

    def after(self, voltage: Value, pulses: Value) -> Value:
        return voltage + self.slope * pulses


@dataclass(frozen=True)
class Exponential(Response):
    """Each pulse lowers the Hall voltage by less than the one before (decay > 0), or by more.

    w = amplitude exp(-x / decay) + offset, amplitude and decay of the same sign
    """

    family: ClassVar[str] = "exponential"

    amplitude: float  # arb. u.
    decay: float  # pulses
    offset: float  # arb. u.
    pulses_max: float

    def check(self) -> None:
        check_end(self.pulses_max)
        if not self.amplitude * self.decay > 0:
            raise ValueError(
                f"amplitude {self.amplitude:g} and decay {self.decay:g} must be of one sign and "
                "not 0, else the curve does not fall; mirror it"
            )
        if not -self.pulses_max / self.decay < LARGEST_EXPONENT:
            raise ValueError(f"decay is {self.decay:g}, too steep for {self.pulses_max:g} pulses")

    def response(self, pulses: Value) -> Value:
        return self.amplitude * exp(-pulses / self.decay) + self.offset

    def inverse(self, voltage: Value) -> Value:
        share = (voltage - self.offset) / self.amplitude
        if self.decay < 0:  # no number of pulses leads far above the top, where a write may
            share = at_least_one(share)
        return -self.decay * log(share)

    def after(self, voltage: Value, pulses: Value) -> Value:
        # By the change, since offset + (...) exp(...) loses small changes where |decay| is large;
        # times the inverse, since a division takes several times as long as a product.
        return voltage + (voltage - self.offset) * expm1(pulses * (-1 / self.decay))


@dataclass(frozen=True)
class Table(Response):
    """Measured points with lines between them; the last line goes on beyond the end.

    Networks compute `after` by `devices.lookup`, within 1e-4 of the span.
    """

    family: ClassVar[str] = "table"

    pulses: tuple[float, ...]  # rising, the first 0
    voltages: tuple[float, ...]  # arb. u., falling, as many

    def check(self) -> None:
        n = len(self.pulses)
        if n < 2 or len(self.voltages) != n:
            raise ValueError(
                f"pulses has {n} numbers, voltages {len(self.voltages)}; they must be equally "
                "many, at least 2"
            )
        if self.pulses[0] != 0:
            raise ValueError(f"pulses starts at {self.pulses[0]:g}; it must start at 0")
        for k in range(1, n):
            if not self.pulses[k] > self.pulses[k - 1]:
                raise ValueError(f"pulses does not rise at its number {k + 1}; sort its points")
            if not single(self.voltages[k]) < single(self.voltages[k - 1]):
                raise ValueError(
                    f"voltages does not fall at its number {k + 1} (in single precision); mirror "
                    "a curve that rises, leave out points of a flat part"
                )
        cell_count(self.response, self.pulses, within_tolerance(self.voltages))

    @property
    def pulses_max(self) -> float:
        return self.pulses[-1]

    def response(self, pulses: Value) -> Value:
        return piecewise(pulses, self.pulses, self.voltages)

    def inverse(self, voltage: Value) -> Value:
        return piecewise(-voltage, [-height for height in self.voltages], self.pulses)


def single(number: float) -> float:
    """The nearest number of single precision, which is what networks hold."""
    return struct.unpack("f", struct.pack("f", number))[0]
