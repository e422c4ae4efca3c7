"""How often the fit of a measured device recovers what was simulated.

    python -m tests.benchmarks.recovery [--seeds 20] [--devices 1 20] [--points 15 30 60]

A line for each number of devices, points of a ramp and read noise: how many of the fits of both
branches, over ν = -8 ... 8 and all seeds, have the range within 3 % and three standard errors and ν
within three standard errors; then of either how far it is off, in standard errors (mean ± standard
deviation: 0 ± 1 if errors are honest), and how many lie within one standard error (68 %).
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from itertools import product

import numpy as np

from tests.support.ramps import measured, progress
from utils.measured.device_fit import fit_device
from utils.measured.measurement import Measurement, Ramp

NONLINEARITIES = (-8.0, -6.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0, 8.0)
LENGTHS = (15, 30, 60)
READ_NOISES = (0.005, 0.02)
DEVICES = (1, 20)
BRANCHES = ("falling", "rising")
FIRST, RANGE = 20.0, 40.0  # µS


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
    return measured(ramps)


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


def main(seeds: int, numbers: Sequence[int], lengths: Sequence[int]) -> None:
    print(
        "devices  points  read noise  fits  range right  ν right  range - truth  within 1  "
        "    ν - truth  within 1"
    )
    for devices, length, noise in product(numbers, lengths, READ_NOISES):
        rows = []
        for draw, (nu, _) in enumerate(product(NONLINEARITIES, range(seeds))):
            rows += recovered(simulated(nu, length, noise, devices, BRANCHES, draw), nu)
        range_right, nu_right, size, nonlinearity = zip(*rows, strict=True)
        right = f"{np.mean(range_right):11.1%}  {np.mean(nu_right):7.1%}"
        head = f"{devices:7d}  {length:6d}  {noise:10.1%}  {len(rows):4d}  {right}"
        print(f"{head}  {errors(size)}  {errors(nonlinearity)}", flush=True)


def errors(away: Sequence[float]) -> str:
    """How far estimates are off, in standard errors, and how many are within one."""
    within = np.mean(np.abs(away) <= 1)
    return f"{np.mean(away):5.2f} ± {np.std(away):5.2f}  {within:8.1%}"


if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m tests.benchmarks.recovery")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--devices", type=int, nargs="+", default=DEVICES)
    parser.add_argument("--points", type=int, nargs="+", default=LENGTHS)
    flags = parser.parse_args()
    main(flags.seeds, flags.devices, flags.points)
