"""How the Hall voltage of one device answers to voltage pulses: one class for each family.

A family is an equation (the class) with its constants (the fields), which are data: the devices of
the library and of users' files differ in them alone. This module does not import torch, so that the
command line can be parsed without it: the methods take Python floats as well as tensors, and so may
the constants, as `devices.pair.Responses` makes use of.
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


FAMILIES: dict[str, type[Response]] = {}  # all classes below, by name


class Response:
    """The contract of a family: `w = f(x)`, Hall voltage against number of pulses.

    `x` is a real number of pulses, 0 <= x <= pulses_max; `w` is in arbitrary units. `f` falls
    monotonically, so a pulse can only lower `w`. A new family is one frozen dataclass with a
    `family` name of its own, `response` and `inverse`; `after` is worth a closed form, which is
    cheaper and more exact than going through the inverse.
    """

    family: ClassVar[str]  # its name in records
    pulses_max: float

    def __init_subclass__(cls) -> None:
        """Register the family; raises ValueError if its name is taken."""
        if cls.family in FAMILIES:
            raise ValueError(f"there are two families of the name {cls.family}")
        FAMILIES[cls.family] = cls

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
class Linear(Response):
    """Each pulse lowers the Hall voltage by the same step: w = slope x + offset, slope < 0."""

    family: ClassVar[str] = "linear"

    slope: float  # arb. u. per pulse
    offset: float  # arb. u.
    pulses_max: float

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

    def response(self, pulses: Value) -> Value:
        return self.amplitude * exp(-pulses / self.decay) + self.offset

    def inverse(self, voltage: Value) -> Value:
        return -self.decay * log((voltage - self.offset) / self.amplitude)

    def after(self, voltage: Value, pulses: Value) -> Value:
        return self.offset + (voltage - self.offset) * exp(-pulses / self.decay)
