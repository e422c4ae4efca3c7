"""Fitting both branches: their common range, their symmetry point and their slope factors."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from support.ramps import both_branches, exponential, measurement, way

from devices.built_in import LINEAR
from devices.device_file import write
from utils.measured.device_fit import fit_device
from utils.measured.model_units import (
    crossing,
    device_file,
    response_of,
    step_at,
    step_ratio,
    symmetry_point,
)
from utils.measured.report import report


def test_both_branches_stand_on_the_mean_of_their_ends():
    """Falling from 60 to 20, rising from 24 to 58: upper end 59, lower end 22."""
    both = both_branches(measurement(60 - 40 * way(3)), measurement(24 + 34 * way(5)))
    fitted = fit_device(both)
    assert fitted.ends == pytest.approx((22, 59))
    assert (fitted.falling.range, fitted.rising.range) == pytest.approx((40, 34))
    assert fitted.asymmetry.value == pytest.approx(2, abs=1e-5)
    device = device_file(fitted, "d", None)
    assert device.falling.range.value == pytest.approx(40)
    assert device.rising.nonlinearity.value == pytest.approx(5, abs=1e-5)
    units = device.units
    assert units.offset + units.slope * np.array([2.175, 2.742]) == pytest.approx([22, 59])
    for response in (device.response, device.rising_mirrored):
        assert (response.w_max, response.w_min) == pytest.approx((2.742, 2.175))
    text = "\n".join(report(fitted, device))
    assert "differ by up to 11% of the range" in text  # 4 of 37
    assert "flags of main.py for these values: --resistor_noise 0 --write_noise 0" in text


CURVES = {
    "linear": way(0),
    "exponential": way(3),
    "table": way(0) + 0.06 * np.sin(2 * np.pi * way(0)),
}


@pytest.mark.parametrize("rising", CURVES)
@pytest.mark.parametrize("falling", CURVES)
def test_both_branches_of_a_file_run_over_the_common_range(falling, rising, tmp_path):
    """As written, f(0) = f_up(30) = w_max and f(30) = f_up(0) = w_min, by the equations."""
    noise = 0.03 * np.random.default_rng(1).normal(size=(2, 31, 6))
    both = both_branches(
        measurement(60 - 40 * CURVES[falling][:, None] + noise[0]),
        measurement(24 + 34 * CURVES[rising][:, None] + noise[1]),
    )
    write(tmp_path / "d.json", device_file(fit_device(both), "d", None))
    content = json.loads((tmp_path / "d.json").read_text())

    def ends(family, constants):
        if family == "table":
            return constants["voltages"][0], constants["voltages"][-1]
        x = np.array([0.0, constants["pulses_max"]])
        if family == "linear":
            return constants["offset"] + constants["slope"] * x
        return constants["offset"] + constants["amplitude"] * np.exp(-x / constants["decay"])

    for branch, family, expected in (
        ("falling", falling, (2.742, 2.175)),
        ("rising", rising, (2.175, 2.742)),
    ):
        assert content[branch]["family"] == family
        assert ends(family, content[branch]["constants"]) == pytest.approx(expected, abs=1e-6)


def test_the_symmetry_point_of_exponential_branches_by_hand():
    """Step down s_d (w - w_end) / τ_d against step up (w_top - w) / τ_u: both lines in w."""
    fitted = fit_device(both_branches(measurement(1 - way(3)), measurement(way(5))))
    # In units of the range: down 3 (w - 1 + 1 / (1 - e^-3)) / 30, up 5 (1 / (1 - e^-5) - w) / 30.
    low, top = 1 - 1 / (1 - math.exp(-3)), 1 / (1 - math.exp(-5))
    by_hand = (5 * top + 3 * low) / 8
    point = symmetry_point(fitted)
    assert (point.value - LINEAR.w_min) / LINEAR.span == pytest.approx(by_hand, abs=1e-3)
    # At the middle: 5 (top - 1/2) against 3 (1/2 - low)
    ratio = 5 * (top - 0.5) / (3 * (0.5 - low))
    assert step_ratio(fitted) == pytest.approx(ratio, rel=1e-3)


def test_lines_of_different_steps_have_no_symmetry_point():
    response = response_of(fit_device(measurement(1 - way(0))).falling)
    assert (
        crossing(
            response,
            replace(response, slope=2 * response.slope, pulses_max=response.pulses_max / 2),
        )
        is None
    )
    assert step_at(response, 2.4) == pytest.approx(-response.slope)


def test_both_branches_of_a_device_share_its_slope_factor():
    """Twenty devices, each twice: the factors of both branches agree, and the error is smaller."""
    truth = exponential(2.77, devices=20, cycles=1, sigma=0.1, read=0.02, write=0.0)
    falling = truth.ramps(np.random.default_rng(1))
    both = fit_device(both_branches(measurement(falling), measurement(82 - falling)))
    single = fit_device(measurement(falling))
    assert both.slopes == pytest.approx(single.slopes, abs=1e-3)
    assert both.variability.error < single.variability.error
    assert both.rising.family == "exponential"
