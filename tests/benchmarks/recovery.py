"""How often the fit of a measured device recovers what was simulated.

    python -m tests.benchmarks.recovery [SEEDS]

A line for each number of devices, length of ramp and read noise: how many of the fits of both
branches, over ν = -8 ... 8 and SEEDS (20) seeds each, have the range within 3 % and three standard
errors and ν within three standard errors, and how far both are off, in standard errors.
"""

from __future__ import annotations

import sys
from itertools import product

import numpy as np

from utils.measured.device_fit import fit_device
from utils.measured.measurement import Measurement, Ramp

NONLINEARITIES = (-8.0, -6.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0, 8.0)
LENGTHS = (15, 30, 60)
READ_NOISES = (0.005, 0.02)
DEVICES = (1, 20)
BRANCHES = ("falling", "rising")
FIRST, RANGE = 20.0, 40.0  # µS


def progress(time: np.ndarray, nonlinearity: float) -> np.ndarray:
    if nonlinearity == 0:
        return time
    return (1 - np.exp(-nonlinearity * time)) / (1 - np.exp(-nonlinearity))


def simulated(
    nonlinearity: float, length: int, noise: float, devices: int, branches, seed: int
) -> Measurement:
    """A ramp of each branch of each device, which differ by slope factors of 10 %."""
    rng = np.random.default_rng(seed)
    pulses, ramps = np.arange(length, dtype=float), []
    for device in range(devices):
        slope = rng.normal(1, 0.1) if devices > 1 else 1.0
        for branch in branches:
            way = progress(slope * pulses / (length - 1), nonlinearity)
            way = way + noise * rng.normal(size=length)
            values = FIRST + RANGE * (way if branch == "rising" else 1 - way)
            label = f"D{device + 1}"
            lines = np.arange(2, length + 2)
            ramps.append(Ramp(label, 1, branch, pulses, values, lines, len(ramps)))
    return Measurement(
        "simulated.csv", "0" * 64, "conductance", "uS", tuple(ramps), None, 1, None, "", (), {}
    )


def recovered(
    measurement: Measurement, nonlinearity: float
) -> list[tuple[bool, bool, float, float]]:
    """For each branch: range right, ν right, and both deviations in standard errors."""
    fit, rows = fit_device(measurement), []
    for branch in fit.branches.values():
        size, nu = fit.range_of(branch), fit.nonlinearity_of(branch)
        far = abs(size.value - RANGE)
        rows.append(
            (
                far <= 0.03 * RANGE + 3 * size.error,
                abs(nu.value - nonlinearity) <= 3 * nu.error,
                (size.value - RANGE) / size.error,
                (nu.value - nonlinearity) / nu.error,
            )
        )
    return rows


def main(seeds: int) -> None:
    print("devices  points  read noise  fits  range right  ν right  range - truth     ν - truth")
    for devices, length, noise in product(DEVICES, LENGTHS, READ_NOISES):
        rows = []
        for draw, (nu, _) in enumerate(product(NONLINEARITIES, range(seeds))):
            rows += recovered(simulated(nu, length, noise, devices, BRANCHES, draw), nu)
        right = np.array([row[:2] for row in rows]).mean(0)
        away = np.array([row[2:] for row in rows])
        print(
            f"{devices:7d}  {length:6d}  {noise:10.1%}  {len(rows):4d}  {right[0]:11.1%}  "
            f"{right[1]:7.1%}  {away[:, 0].mean():6.2f} ± {away[:, 0].std():4.2f}  "
            f"{away[:, 1].mean():6.2f} ± {away[:, 1].std():4.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
