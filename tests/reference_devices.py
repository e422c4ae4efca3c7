"""The devices of the plain reference in NumPy and float64: what falling and rising pulses do.

Voltages are in arbitrary units, pulses are real numbers. Constants and equations are written a
second time here, to be compared with those of the project.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Curve:
    """A falling response w = f(x) to x pulses; top = f(0), bottom is the voltage at its end."""

    @property
    def top(self):
        return self.voltage(0.0)

    @property
    def bottom(self):
        return self.voltage(self.end)

    def after(self, voltage, pulses):
        """f(f^-1(w) + p)"""
        return self.voltage(self.pulses(voltage) + pulses)


@dataclass(frozen=True)
class Linear(Curve):
    step: float = 0.021
    start: float = 2.742
    end: float = 27.0

    def voltage(self, pulses):
        return self.start - self.step * pulses

    def pulses(self, voltage):
        return (self.start - voltage) / self.step


@dataclass(frozen=True)
class Exponential(Curve):
    height: float = 1.530
    decay: float = 9.741
    floor: float = 0.750
    end: float = 27.0

    def voltage(self, pulses):
        return self.height * np.exp(-pulses / self.decay) + self.floor

    def pulses(self, voltage):
        share = (voltage - self.floor) / self.height
        return -self.decay * np.log(share if self.decay > 0 else np.maximum(share, 1))


def curved(nu, top=2.742, span=0.567, end=27.0):
    """w = top - span (1 - exp(-nu x / end)) / (1 - exp(-nu))"""
    height = span / (1 - np.exp(-nu))
    return Exponential(height, end / nu, top - height, end)


@dataclass(frozen=True, eq=False)
class Table(Curve):
    """Points with lines between them; the first and the last line go on."""

    x: Any
    w: Any

    @property
    def end(self):
        return self.x[-1]

    def voltage(self, pulses):
        last = (self.w[-1] - self.w[-2]) / (self.x[-1] - self.x[-2])
        beyond = self.w[-1] + last * (pulses - self.x[-1])
        return np.where(pulses > self.x[-1], beyond, np.interp(pulses, self.x, self.w))

    def pulses(self, voltage):
        first = (self.x[1] - self.x[0]) / (self.w[1] - self.w[0])
        above = first * (voltage - self.w[0])
        backwards = np.interp(-voltage, -np.array(self.w), self.x)
        return np.where(voltage > self.w[0], above, backwards)


@dataclass(frozen=True, eq=False)
class Device:
    """A device: falling pulses take w to f(f^-1(w) + p), rising ones to f_up(f_up^-1(w) + p).

    f: the falling response. g: gives the rising one, f_up(x) = mirror - g(x); None where it is the
    mirrored f. mirror: None for top + bottom. ends: whether there is a range that it cannot leave.
    symmetry: the voltage at which small pulses of both polarities make the same step, where it was
    measured. partner: the response that it has under the other field, as a device; or None.
    """

    f: Curve
    partner: "Device | None" = None
    ends: bool = True
    g: Curve | None = None
    mirror: float | None = None
    symmetry: float | None = None

    @property
    def top(self):
        return self.f.top

    @property
    def bottom(self):
        return self.f.bottom

    @property
    def span(self):
        return self.top - self.bottom

    def lowered(self, voltage, pulses):
        """The voltage after falling pulses."""
        return self.f.after(voltage, pulses)

    def raised(self, voltage, pulses):
        """The voltage after rising pulses: f_up^-1(w) = g^-1(mirror - w)."""
        g = self.g or self.f
        mirror = self.top + self.bottom if self.mirror is None else self.mirror
        return mirror - g.after(mirror - voltage, pulses)

    def clamped(self, voltage):
        return np.clip(voltage, self.bottom, self.top) if self.ends else voltage

    def start(self, init):
        """w0, at which the devices of a weight start where pulses of both polarities drive them.

        The symmetry point if it lies in the middle half of the range, else the middle of the range;
        a device without ends has no middle.
        """
        if not self.ends:
            return self.top - init
        middle = (self.top + self.bottom) / 2
        near = self.symmetry is not None and abs(self.symmetry - middle) <= self.span / 4
        return self.symmetry if near else middle


LINEAR, EXPONENTIAL = Device(Linear()), Device(Exponential())
TABLE = Table((0, 1, 3, 4, 9.5, 20), (2.742, 2.6, 2.5, 2.49, 2.3, 2.175))
LONGER = Table(range(10), (2.742, 2.73, 2.68, 2.6, 2.55, 2.45, 2.44, 2.3, 2.2, 2.175))
FILE = dict(mirror=2.742 + 2.175)  # of all device files
DEVICES = {
    "double-linear": replace(LINEAR, partner=EXPONENTIAL),
    "double-exponential": replace(EXPONENTIAL, partner=LINEAR),
    "other linear": Device(Linear(0.03, 2.9, 20), Device(Exponential(-0.1, -8.0, 3.0, 15))),
    "other exponential": Device(Exponential(1.0, 5.0, 1.0, 20), LINEAR),
    "double-ideal": Device(Linear(), ends=False),
    **{f"double-curved-{nu}": Device(curved(nu), LINEAR) for nu in (2.77, -4.0, 0.001)},
    "table": Device(TABLE, LINEAR),
    "longer table": Device(LONGER, LINEAR),
    # Files with both branches, each on the whole range; the rising one takes other pulses.
    "falls-exponentially": Device(curved(2.0), LINEAR, g=TABLE, symmetry=2.40, **FILE),
    "falls-linearly": Device(
        Linear(0.567 / 40, 2.742, 40), LINEAR, g=curved(-1.5, end=60.0), symmetry=2.52, **FILE
    ),
    "falls-by-a-table": Device(LONGER, LINEAR, g=Linear(0.567 / 15, 2.742, 15), **FILE),
    "asymmetric": Device(curved(3.0), LINEAR, g=curved(-2.0), symmetry=2.70, **FILE),
}
