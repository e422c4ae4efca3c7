"""Simulated measurements of known truth: plain NumPy, which shares no code with the project."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from utils.measured.measurement import Measurement, Ramp


@dataclass(frozen=True)
class Truth:
    """A device and how it is measured.

    grid, progress: pulses of the mean device and how far they take it, on a fine grid that goes on
    beyond 1, the end of the range. n: readings of a ramp. sigma: spread of the slope factors. read,
    write: noises, fractions of the range, the second per square root of a pulse. first, range: in
    the unit of the measurement.
    """

    grid: np.ndarray
    progress: np.ndarray
    n: int = 28
    devices: int = 8
    cycles: int = 2
    sigma: float = 0.2
    read: float = 0.01
    write: float = 0.01
    first: float = 62.0
    range: float = -42.0

    def ramps(self, rng: np.random.Generator) -> np.ndarray:
        """Readings in the unit of the measurement, [n, devices * cycles].

        A pulse takes the progress p to f(f^-1(p) + v) and adds write noise of variance v.
        """
        slopes = np.abs(rng.normal(1, self.sigma, self.devices)) if self.sigma else 1.0
        slopes = np.repeat(slopes * np.ones(self.devices), self.cycles)
        state = np.zeros((self.n, len(slopes)))
        for k in range(1, self.n):
            pulses = np.interp(state[k - 1], self.progress, self.grid)
            state[k] = np.interp(pulses + slopes, self.grid, self.progress)
            state[k] += self.write * np.sqrt(slopes) * rng.normal(size=len(slopes))
        readings = state + self.read * rng.normal(size=state.shape)
        return self.first + self.range * readings

    def measurement(self, seed: int) -> Measurement:
        return measurement(self.ramps(np.random.default_rng(seed)), self.cycles)


def progress(x: np.ndarray, nonlinearity: float) -> np.ndarray:
    """How far a ramp has come, (1 - e^(-ν x)) / (1 - e^-ν), or x at ν = 0."""
    if nonlinearity == 0:
        return x
    return (1 - np.exp(-nonlinearity * x)) / (1 - np.exp(-nonlinearity))


def way(nonlinearity: float, n: int = 31) -> np.ndarray:
    """The progress at n places from 0 to 1, [n]."""
    return progress(np.linspace(0, 1, n), nonlinearity)


def rise(nonlinearity: float, n: int) -> np.ndarray:
    """The progress of a ramp after pulses 1 to n, the last at 1, [n]."""
    return way(nonlinearity, n + 1)[1:]


def exponential(nonlinearity: float, n: int = 28, **values) -> Truth:
    """The exponential response of this nonlinearity, from -1 to 3 ranges."""
    x = np.linspace(-1, 3, 40001)
    return Truth(x * (n - 1), progress(x, nonlinearity), n=n, **values)


def single(nonlinearity: float, **values) -> Truth:
    """The exponential response of a single device, measured once."""
    return exponential(nonlinearity, devices=1, cycles=1, sigma=0.0, **values)


def two_bends(n: int = 28, **values) -> Truth:
    """f = s + 0.06 sin(2 π s), s = x / last: steep, flat, steep, which neither family is."""
    x = np.linspace(-1, 3, 40001)
    return Truth(x * (n - 1), x + 0.06 * np.sin(2 * np.pi * x), n=n, **values)


def measurement(values: np.ndarray, cycles: int = 1, pulses: np.ndarray | None = None):
    """A column of readings, or columns, cycle by cycle of each device, as what reading returns."""
    values = values.reshape(len(values), -1)
    pulses = np.arange(len(values), dtype=float) if pulses is None else pulses
    branch = "rising" if values[-1].mean() > values[0].mean() else "falling"
    ramps = [
        Ramp(
            f"D{column // cycles + 1}", column % cycles + 1, branch, pulses, values[:, column],
            np.arange(len(values)) + 2, column % cycles,
        )
        for column in range(values.shape[1])
    ]  # fmt: skip
    return measured(ramps)


def measured(ramps, repeated_read_noise: float | None = None, reads: int = 1) -> Measurement:
    """What reading returns."""
    return Measurement(
        "simulated.csv", "0" * 64, "conductance", "uS", tuple(ramps), repeated_read_noise, reads,
        pd.DataFrame(), "read", (), {},
    )  # fmt: skip


def both_branches(measurement: Measurement, later_one: Measurement) -> Measurement:
    """The ramps of both, those of the other after those of the one."""
    later = max(ramp.order for ramp in measurement.ramps) + 1
    moved = tuple(replace(ramp, order=ramp.order + later) for ramp in later_one.ramps)
    return replace(measurement, ramps=measurement.ramps + moved)


def transformed(measurement: Measurement, factor: float, offset: float) -> Measurement:
    """The same curves in another unit, with an offset, or upside down."""
    turned = {"falling": "rising", "rising": "falling"}
    ramps = tuple(
        replace(
            ramp,
            values=offset + factor * ramp.values,
            branch=turned[ramp.branch] if factor < 0 else ramp.branch,
        )
        for ramp in measurement.ramps
    )
    return replace(measurement, ramps=ramps)
