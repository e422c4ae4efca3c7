"""How the Hall voltage of one magneto-ionic device answers to voltage pulses.

A response is a small frozen dataclass: the equation, its inverse and its range. Every physical
constant stands here and nowhere else. This module does not import torch, so that the command
line can be parsed without it: the methods take Python floats as well as tensors.

Source of both responses: G. Bernard, K. Cottart, ..., L. Herrera Diez, "Dynamic Control of
Weight-Update Linearity in Magneto-Ionic Synapses", Nano Letters 25 (2025) 1443,
doi:10.1021/acs.nanolett.4c05247.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    Value = TypeVar("Value", float, Tensor)


def exp(x: Value) -> Value:
    return math.exp(x) if isinstance(x, (int, float)) else x.exp()


def log(x: Value) -> Value:
    return math.log(x) if isinstance(x, (int, float)) else x.log()


class Response:
    """The contract of a device: `w = f(x)`, Hall voltage against number of pulses.

    `x` is a real number of pulses, 0 <= x <= pulses_max; `w` is in arbitrary units. `f` falls
    monotonically, so a pulse can only lower `w`. A new device is one subclass with `response` and
    `inverse`, and one line in `devices.FIELDS`; `after` is worth a closed form, which is cheaper
    and more exact than going through the inverse.
    """

    name: ClassVar[str]  # what --field calls it
    relaxes_to: ClassVar[str]  # the field under which its pulses are read after field relaxation
    pulses_max: float

    def response(self, pulses: Value) -> Value:
        """Hall voltage `w = f(x)` of a device that has received `pulses`."""
        raise NotImplementedError

    def inverse(self, voltage: Value) -> Value:
        """Number of pulses `x` that leads to a Hall voltage."""
        raise NotImplementedError

    def after(self, voltage: Value, pulses: Value) -> Value:
        """Hall voltage once `pulses` >= 0 further pulses are applied: f(f^-1(w) + pulses).

        Written as a change of the voltage, so that no pulse is no change, to the bit.
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


@dataclass(frozen=True)
class DoubleLinear(Response):
    """Strong magnetic field: each pulse lowers the Hall voltage by the same step.

    w = -0.021 x + 2.742,   x in [0, 27] pulses,   w in [2.175, 2.742] (arb. u.)
    """

    name: ClassVar[str] = "double-linear"
    relaxes_to: ClassVar[str] = "double-exponential"

    slope: float = -0.021  # arb. u. per pulse
    offset: float = 2.742  # arb. u.
    pulses_max: float = 27.0

    def response(self, pulses: Value) -> Value:
        return self.slope * pulses + self.offset

    def inverse(self, voltage: Value) -> Value:
        return (voltage - self.offset) / self.slope

    def after(self, voltage: Value, pulses: Value) -> Value:
        return voltage + self.slope * pulses


@dataclass(frozen=True)
class DoubleExponential(Response):
    """Weak magnetic field: each pulse lowers the Hall voltage by less than the one before.

    w = 1.530 exp(-x / 9.741) + 0.750,   x in [0, 27] pulses,   w in [0.846, 2.280] (arb. u.)
    """

    name: ClassVar[str] = "double-exponential"
    relaxes_to: ClassVar[str] = "double-linear"

    amplitude: float = 1.530  # arb. u.
    decay: float = 9.741  # pulses
    offset: float = 0.750  # arb. u.
    pulses_max: float = 27.0

    def response(self, pulses: Value) -> Value:
        return self.amplitude * exp(-pulses / self.decay) + self.offset

    def inverse(self, voltage: Value) -> Value:
        return -self.decay * log((voltage - self.offset) / self.amplitude)

    def after(self, voltage: Value, pulses: Value) -> Value:
        return self.offset + (voltage - self.offset) * exp(-pulses / self.decay)
