"""Fitting measured curves: the truth is recovered from 200 simulated measurements each.

The whole table, of all numbers of points, noises and devices, is tests/benchmarks/recovery.py.
"""

import math

import numpy as np
import pytest
from scipy.stats import binom
from support.ramps import exponential, single, two_bends

from tests.benchmarks.recovery import BRANCHES, NONLINEARITIES, RANGE, recovered, simulated
from utils.measured.device_fit import fit_device
from utils.measured.model_units import device_file

SETS = 200


class Study:
    """Estimates from simulated measurements, each (value, error, truth) in measured units.

    families: what the data chose; the estimates are those of the family of the truth.
    constants: gives name, value, error and truth of the constants of a device.
    """

    def __init__(self, truth, family: str, constants):
        self.families, self.rows = [], {}
        for seed in range(SETS):
            measurement = truth.measurement(seed)
            fitted = fit_device(measurement)
            (branch,) = fitted.branches.values()
            self.families.append(branch.family)
            if branch.family != family:
                fitted = fit_device(measurement, family)
            device = device_file(fitted, "d", None)
            assert device.units.slope * 0.567 / abs(truth.range) == pytest.approx(1, abs=0.5)
            noises = {
                "read noise": (device.read_noise, truth.read, 1 / 0.567),
                "write noise": (device.write_noise, truth.write, 1),
            }
            if truth.devices > 1:
                noises["variability"] = device.variability, truth.sigma, 1
            rows = [
                (name, estimate.value * factor, estimate.error * factor, true)
                for name, (estimate, true, factor) in noises.items()
            ]
            for name, *row in [*rows, *constants(device)]:
                self.rows.setdefault(name, []).append(row)

    def check(self, default: float = 0.0, **biases: float):
        """There is no bias (but a known one, a fraction of the spread); errors cover the truth."""
        for name, rows in self.rows.items():
            value, error, true = np.array(rows).T
            off = value - true
            bias = (3 / math.sqrt(SETS) + biases.get(name, default)) * off.std(ddof=1)
            assert abs(off.mean()) < bias, name
            within = int((np.abs(off) <= error).sum())
            low, high = binom.interval(0.997, SETS, 0.6827)
            assert low <= within <= high, f"{name}: {within} of {SETS} within one standard error"


def constants_of_exponential(truth, nonlinearity):
    """Amplitude, decay and offset of the device, as `w` in measured units, with what is true."""
    amplitude = -truth.range / (1 - math.exp(-nonlinearity))
    end = truth.first - amplitude

    def rows(device):
        units, errors, response = device.response_units, device.falling.errors, device.response
        slope, true = units.slope, nonlinearity / (truth.n - 1)
        measured = units.offset + slope * response.offset
        yield "amplitude", slope * response.amplitude, slope * errors["amplitude"], amplitude
        yield "offset", measured, slope * errors["offset"], end
        yield "1 / decay", 1 / response.decay, errors["decay"] / response.decay**2, true

    return rows


@pytest.mark.parametrize("nonlinearity", [2.77, -1.5])
def test_exponential_devices_are_recovered(nonlinearity):
    truth = exponential(nonlinearity)
    study = Study(truth, "exponential", constants_of_exponential(truth, nonlinearity))
    assert study.families.count("exponential") >= 0.98 * SETS
    study.check()


def test_linear_devices_are_recovered():
    truth = exponential(0.0, sigma=0.1)

    def rows(device):
        units, errors, response = device.response_units, device.falling.errors, device.response
        first = units.offset + units.slope * response.offset
        slope = units.slope * response.slope, units.slope * errors["slope"]
        yield "slope", *slope, truth.range / 27
        yield "offset", first, units.slope * errors["offset"], truth.first

    study = Study(truth, "linear", rows)
    # An exponential is taken where it gains more than 2 of AICc after its price of 2, that is
    # 4 of deviance, which 4.6 % of lines give it by chance; some 5 % more for tests of residuals.
    assert study.families.count("linear") >= 0.8 * SETS
    assert study.families.count("table") <= 0.02 * SETS
    study.check()


def test_a_single_ramp_of_a_single_device_is_recovered():
    truth = single(2.77, n=100, read=0.02)
    study = Study(truth, "exponential", constants_of_exponential(truth, 2.77))
    # Amplitude and offset are no linear functions of the readings: a bias of less than a third of
    # their spread is that of least squares itself.
    study.check(0.1, amplitude=0.33, offset=0.33)


def test_tables_are_recovered():
    truth = two_bends(read=0.004, write=0.004, sigma=0.1)
    at = (3, 9, 14, 20, 27)

    def rows(device):
        response, slope = device.response, device.response_units.slope
        errors = np.interp(at, response.pulses, device.falling.errors["voltages"])
        start = slope * response.w_max
        for x, error in zip(at, errors, strict=True):
            s = x / 27
            true = truth.range * (s + 0.06 * math.sin(2 * math.pi * s))
            yield f"pulse {x}", slope * response.response(x) - start, slope * error, true

    study = Study(truth, "table", rows)
    assert study.families.count("table") == SETS
    study.check(0.15)


@pytest.mark.parametrize("length", [15, 60])
@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_single_ramps_of_any_curvature_are_recovered(length, noise):
    """Range within 3 % and three standard errors, ν within three standard errors."""
    rows = []
    for seed, nu in enumerate(NONLINEARITIES):
        rows += recovered(simulated(nu, length, noise, 1, BRANCHES, seed), nu)
    right = np.array([row[:2] for row in rows])
    assert right.sum(0).min() >= len(rows) - 1  # of 22; 97 % in the whole table


@pytest.mark.parametrize(("nonlinearity", "noise"), [(-8.0, 0.005), (3.0, 0.02)])
def test_twenty_devices_are_recovered(nonlinearity, noise):
    measurement = simulated(nonlinearity, 30, noise, 20, BRANCHES, 1)
    for range_right, nonlinearity_right, *_ in recovered(measurement, nonlinearity):
        assert range_right
        assert nonlinearity_right


@pytest.mark.parametrize("nonlinearity", [-8.0, -4.0])
def test_read_noise_of_devices_that_steepen_is_recovered(nonlinearity):
    """Write noise that fades within less than a pulse would be the same, and hide it."""
    fit = fit_device(simulated(nonlinearity, 30, 0.01, 20, BRANCHES, 1))
    for branch in fit.branches.values():
        noise = branch.read_noise
        assert noise.value == pytest.approx(0.01 * RANGE, abs=3 * noise.error)
        assert noise.error < 0.1 * noise.value
    device = device_file(fit, "d", None)  # every error is finite
    assert device.read_noise.value == pytest.approx(0.01 * RANGE / fit.range * 0.567, rel=0.3)
