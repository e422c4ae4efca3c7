"""Fitting measured curves: numbers by hand, and what is said and chosen."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.ramps import both_branches, exponential, measured, measurement, transformed, two_bends

from devices.built_in import LINEAR
from devices.device_file import write
from utils.errors import UserError
from utils.measured.branch import branch_data, mean_curve
from utils.measured.branch_fit import choose, fit_branch
from utils.measured.curves import curve, derivative, neurosim_label
from utils.measured.device_fit import fit_device
from utils.measured.measurement import Ramp
from utils.measured.model_units import (
    crossing,
    device_file,
    response_of,
    step_at,
    step_ratio,
    symmetry_point,
)
from utils.measured.noise import Part, estimate_noise
from utils.measured.outliers import leave_out_single_readings
from utils.measured.report import report
from utils.measured.spreads import drift, per_cycle
from utils.measured.table import strictly_rising
from utils.measured.whitening import Noise, Whitener


def double_exponential() -> np.ndarray:
    return 1.530 * np.exp(-np.arange(28) / 9.741) + 0.750


def double_linear() -> np.ndarray:
    return -0.021 * np.arange(28) + 2.742


# What is exact


def test_the_exponential_of_the_paper_comes_back():
    fitted = fit_device(measurement(double_exponential()[:, None]))
    falling = fitted.falling
    assert falling.family == "exponential"
    nu = fitted.nonlinearity_of(falling).value
    assert nu == pytest.approx(27 / 9.741, abs=1e-6)  # 2.77
    assert fitted.neurosim_of(falling).value == pytest.approx(-3.18, abs=0.005)  # depression
    response = response_of(falling)
    units = device_file(fitted, "d", None).response_units
    assert response.decay == pytest.approx(9.741, rel=1e-6)
    assert response.pulses_max == 27
    assert (response.w_max, response.span) == pytest.approx((2.742, 0.567), abs=1e-12)
    assert units.slope * response.amplitude == pytest.approx(1.530, rel=1e-6)
    assert units.offset + units.slope * response.offset == pytest.approx(0.750, rel=1e-6)
    assert (fitted.read_noise.value, fitted.write_noise.value) == (0, 0)
    assert fitted.variability.value is None


def test_the_line_of_the_paper_comes_back():
    fitted = fit_device(measurement(double_linear()[:, None]))
    assert fitted.falling.family == "linear"
    assert fitted.nonlinearity_of(fitted.falling).value == pytest.approx(0, abs=1e-6)
    assert fitted.neurosim_of(fitted.falling).value == pytest.approx(0, abs=1e-6)
    response = response_of(fitted.falling)
    assert response.slope == pytest.approx(-0.021, rel=1e-12)
    assert response.offset == pytest.approx(2.742)
    units = device_file(fitted, "d", None).response_units
    assert (units.slope, units.offset) == pytest.approx((1, 0), abs=1e-9)


def test_devices_without_noise_differ_by_their_slope_factors_alone():
    slopes = np.array([0.7, 0.9, 1.0, 1.1, 1.3])
    x = np.arange(28)[:, None]
    fitted = fit_device(measurement(1.530 * np.exp(-x * slopes / 9.741) + 0.750))
    assert fitted.slopes == pytest.approx(slopes, abs=1e-6)  # their mean is 1
    assert response_of(fitted.falling).decay == pytest.approx(9.741, rel=1e-6)
    # sd 0.2236, divided by what a standard deviation of five falls short by: c4(5) = 0.9400
    assert fitted.variability.value == pytest.approx(math.sqrt(0.05) / 0.93999, rel=1e-4)


def test_devices_without_noise_that_differ_in_their_ranges_alone():
    ranges = np.array([0.7, 0.9, 1.0, 1.1, 1.3])
    x = np.arange(28)[:, None]
    fitted = fit_device(measurement(1.530 * ranges * np.exp(-x / 9.741) + 0.750))
    assert fitted.falling.taken.varies == "ranges"
    assert fitted.falling.taken.sizes == pytest.approx(ranges, abs=1e-6)
    assert response_of(fitted.falling).decay == pytest.approx(9.741, rel=1e-6)
    # sd 0.2236, divided by what a standard deviation of five falls short by: c4(5) = 0.9400
    assert fitted.range_spread.value == pytest.approx(math.sqrt(0.05) / 0.93999, rel=1e-4)
    assert fitted.variability.value == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("factor", "offset"),
    [(1e-9, 0), (1e3, 5e3), (-2.5e-4, 1e-3)],
    ids=["nA", "k and offset", "mirrored, scaled, shifted"],
)
@pytest.mark.parametrize("truth", [exponential(2.77), exponential(-1.5), two_bends()])
def test_nothing_depends_on_the_unit(truth, factor, offset):
    one = truth.measurement(3)
    here, there = fit_device(one), fit_device(transformed(one, factor, offset))
    (fitted,), (other,) = here.branches.values(), there.branches.values()
    assert other.family == fitted.family
    assert other.data.is_rising == (factor < 0)
    a, b = device_file(here, "d", None), device_file(there, "d", None)
    if fitted.family == "table":
        assert b.response.pulses == a.response.pulses
        assert b.response.voltages == pytest.approx(a.response.voltages, rel=1e-7)
    else:
        assert b.response.amplitude == pytest.approx(a.response.amplitude, rel=1e-6)
        assert b.response.decay == pytest.approx(a.response.decay, rel=1e-6)
    for name in ("variability", "read_noise", "write_noise"):
        one, other = getattr(here, name), getattr(there, name)
        assert (other.value, other.error) == pytest.approx((one.value, one.error), rel=1e-4)
        one, other = getattr(a, name), getattr(b, name)  # to four digits
        assert (other.value, other.error) == pytest.approx((one.value, one.error), rel=2e-3)
    slope = factor * a.response_units.slope
    assert b.response_units.slope == pytest.approx(slope, rel=1e-6)


def test_labels_of_neurosim_are_the_largest_distance_from_the_diagonal():
    x = np.linspace(0, 1, 200001)
    for nu in (0.3, 2.77, 9.0):
        y = (1 - np.exp(-nu * x)) / (1 - np.exp(-nu))
        assert neurosim_label(nu) == pytest.approx((y - x).max() / (0.07 * math.sqrt(2)), rel=1e-7)
        assert neurosim_label(-nu) == -neurosim_label(nu)
        assert neurosim_label(nu, falling=True) == -neurosim_label(nu)
    assert neurosim_label(2.77) == pytest.approx(3.18, abs=0.005)
    assert neurosim_label(0) == 0
    assert neurosim_label(1e-7) == pytest.approx(neurosim_label(2e-6) / 20, rel=1e-4)


@pytest.mark.parametrize("nu", [-60.0, -1.43, -1e-4, 0.0, 1e-8, 5e-4, 2.77, 30.0])
def test_derivatives_of_the_curve_by_differences(nu):
    t, width = np.linspace(0.01, 1.4, 30), 1e-5
    scale = np.abs(curve(t, nu)).max()
    change = (curve(t, nu + width) - curve(t, nu - width)) / (2 * width)
    exact = derivative(lambda nu: curve(t, nu), nu)
    assert exact == pytest.approx(change, abs=1e-5 * scale)
    assert curve(np.array([0.0, 1.0]), nu) == pytest.approx([0, 1])


def test_whitened_noise_is_white():
    """The covariance of the readings, entry by entry: read noise, decaying sums of write noise."""
    time = np.array([0.0, 0.1, 0.2, 0.5, 0.6, 1.0])
    for forgetting in (0.0, 3.0, -1.0):
        law = Noise(0.3, 0.8, forgetting)
        covariance = np.zeros((6, 6))
        for j in range(6):
            for k in range(6):
                covariance[j, k] = sum(
                    0.8**2
                    * (time[i] - time[i - 1])
                    * math.exp(-forgetting * (time[j] - time[i] + time[k] - time[i]))
                    for i in range(1, min(j, k) + 1)
                )
        covariance += 0.3**2 * np.eye(6)
        whiten = Whitener(time, law)
        white = whiten(np.eye(6))
        assert white @ covariance @ white.T == pytest.approx(np.eye(6), abs=1e-9)
        assert whiten.log_determinant == pytest.approx(np.linalg.slogdet(covariance)[1])
    with pytest.raises(ValueError, match="nothing"):
        whiten(np.zeros((6, 0)))


def test_noises_are_those_of_the_moments_of_increments():
    """σ_r² = -cov(Δ_k, Δ_k+1), σ_w² = var(Δ_k) - 2 σ_r²: on much data both ways agree."""
    rng = np.random.default_rng(1)
    n, ramps, read, write = 2000, 40, 0.02, 0.01
    walk = np.cumsum(write * rng.normal(size=(n, ramps)), axis=0)
    level = walk + read * rng.normal(size=(n, ramps))
    increments = np.diff(level, axis=0)
    square = -(increments[1:] * increments[:-1]).mean()
    by_moments = math.sqrt(square), math.sqrt((increments**2).mean() - 2 * square)
    part = Part(np.arange(n) / (n - 1), level, np.ones((1, n, 1)))
    found = estimate_noise([part], 0.0)
    assert found.noise.read == pytest.approx(by_moments[0], rel=0.02)
    assert found.noise.write / math.sqrt(n - 1) == pytest.approx(by_moments[1], rel=0.05)
    assert found.noise.read == pytest.approx(read, abs=3 * found.read_error)
    assert found.noise.write == pytest.approx(write * math.sqrt(n - 1), abs=3 * found.write_error)


def test_a_mean_of_ramps_of_different_lengths_does_not_jump():
    ramps = [(np.arange(4.0), np.array([0.0, 1, 2, 3])), (np.arange(3.0), np.array([4.0, 5, 6]))]
    ramps.append((np.arange(4.0), np.array([2.0, 3, 4, 5])))
    positions, mean = mean_curve(ramps)
    assert positions == pytest.approx([0, 1, 2, 3])
    assert mean == pytest.approx([2, 3, 4, 5])
    assert len(mean_curve(ramps, min_ramps=3)[0]) == 3


def test_plateaus_of_the_isotonic_regression_become_points_at_their_centres():
    height = np.array([0.0, 1.0, 3.0, 2.0, 4.0, 6.0, 5.0])
    time, monotone = strictly_rising(np.arange(7.0), height)
    assert time == pytest.approx([0, 1, 2.5, 4, 6])
    assert monotone == pytest.approx([0, 1, 2.5, 4, 5.5])


def test_drift_is_the_slope_over_cycles_of_every_device():
    values = np.stack([10 - x + np.zeros(3) for x in np.arange(10.0)])
    data = branch_data(measurement(np.tile(values, 2), cycles=3).ramps, "x")
    assert len(data.devices) == 2
    found = per_cycle(data, np.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2]))
    assert found.value == pytest.approx(0.1)
    assert found.error == pytest.approx(0, abs=1e-12)
    # Less their means: -.2, -.1, .3 and -.1, 0, .1 at -1, 0, 1: slope .7 / 4 = .175; residuals
    # -.025, -.1, .125 and .075, 0, -.075: squares .0375; 6 - 2 - 1 = 3 to spare
    found = per_cycle(data, np.array([0.0, 0.1, 0.5, 5.0, 5.1, 5.2]))
    assert found.value == pytest.approx(0.175)
    # One standard deviation of Student's distribution with 3 degrees of freedom is 1.197.
    assert found.error == pytest.approx(1.197 * math.sqrt(0.0375 / 3 / 4), rel=1e-3)
    # Never less than what noise of this variance makes of a slope with squares of 4.
    found = per_cycle(data, np.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2]), variance=0.09)
    assert found.error == pytest.approx(0.3 / 2)


def test_noise_alone_gives_no_drift_of_few_cycles():
    """In three cycles the scatter of three ramps tells little: their noise does."""
    far = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        level = exponential(2.77, devices=1, cycles=3, sigma=0.0, read=0.01).ramps(rng)
        fitted = fit_device(measurement(level, cycles=3))
        far += [abs(each.value) / each.error for each in drift(fitted.falling)]
    assert max(far) < 3.5
    assert np.mean(np.square(far)) > 0.2


# Both branches


def way(nonlinearity: float, n: int = 31) -> np.ndarray:
    """From 0 to 1, [n, 1]."""
    x = np.linspace(0, 1, n)[:, None]
    if nonlinearity == 0:
        return x
    return (1 - np.exp(-nonlinearity * x)) / (1 - np.exp(-nonlinearity))


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
        measurement(60 - 40 * CURVES[falling] + noise[0]),
        measurement(24 + 34 * CURVES[rising] + noise[1]),
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
    both = both_branches(measurement(1 - way(3)), measurement(way(5)))
    fitted = fit_device(both)
    # In units of the range: down 3 (w - 1 + 1 / (1 - e^-3)) / 30, up 5 (1 / (1 - e^-5) - w) / 30.
    low, top = 1 - 1 / (1 - math.exp(-3)), 1 / (1 - math.exp(-5))
    by_hand = (5 * top + 3 * low) / 8
    point = symmetry_point(fitted)
    assert (point.value - LINEAR.w_min) / LINEAR.span == pytest.approx(by_hand, abs=1e-3)
    # At the middle: 5 (top - 1/2) against 3 (1/2 - low)
    ratio = 5 * (top - 0.5) / (3 * (0.5 - low))
    assert step_ratio(fitted) == pytest.approx(ratio, rel=1e-3)


def test_lines_of_different_steps_have_no_symmetry_point():
    one = response_of(fit_device(measurement(1 - way(0))).falling)
    assert crossing(one, replace(one, slope=2 * one.slope, pulses_max=one.pulses_max / 2)) is None
    assert step_at(one, 2.4) == pytest.approx(-one.slope)


def test_both_branches_of_a_device_share_its_slope_factor():
    """Twenty devices, each twice: the factors of both branches agree, and the error is smaller."""
    truth = exponential(2.77, devices=20, cycles=1, sigma=0.1, read=0.02, write=0.0)
    falling = truth.ramps(np.random.default_rng(1))
    rising = 82 - truth.ramps(np.random.default_rng(1))
    one, other = fit_device(measurement(falling)), fit_device(measurement(rising))
    both = fit_device(both_branches(measurement(falling), measurement(rising)))
    assert both.slopes == pytest.approx(one.slopes, abs=1e-3)
    assert both.variability.error < one.variability.error
    assert other.rising.family == "exponential"


# A reading far off


def test_a_lost_reading_is_named_and_left_out():
    values = 60 - 40 * way(3) + 0.2 * np.random.default_rng(0).normal(size=(31, 1))
    values[12] = 0.0
    one = measurement(values)
    fitted = fit_device(one)
    (sentence,) = fitted.far_off
    assert sentence.startswith(
        "line 14: the reading 0 after pulse 12 of device D1 is left out: it is "
    )
    assert len(fitted.measurement.ramps[0].values) == 30
    assert fitted.read_noise.value == pytest.approx(0.005, abs=4 * fitted.read_noise.error)
    assert sentence in report(fitted, device_file(fitted, "d", None))


@pytest.mark.parametrize("place", [0, -1])
def test_a_lost_reading_at_an_end_is_left_out(place):
    values = 60 - 40 * way(3) + 0.2 * np.random.default_rng(0).normal(size=(31, 1))
    values[place] = 0.0 if place == 0 else 60.0
    assert len(leave_out_single_readings(measurement(values))[1]) == 1


@pytest.mark.parametrize("nonlinearity", [-8.0, 0.0, 8.0])
def test_no_reading_of_a_clean_ramp_is_left_out(nonlinearity):
    for seed in range(20):
        noise = 0.02 * np.random.default_rng(seed).normal(size=(15, 1))
        assert leave_out_single_readings(measurement(way(nonlinearity, 15) + noise))[1] == []


def test_what_stands_out_in_every_ramp_belongs_to_the_curve():
    rng = np.random.default_rng(0)
    values = 60 - 40 * way(3) + 0.2 * rng.normal(size=(31, 3))
    values[12] += 10
    assert leave_out_single_readings(measurement(values, cycles=3))[1] == []
    values[12, 1:] -= 10
    assert len(leave_out_single_readings(measurement(values, cycles=3))[1]) == 1


def test_readings_that_often_are_far_off_are_noise():
    rng = np.random.default_rng(0)
    values = 60 - 40 * way(3, 100) + 0.2 * rng.normal(size=(100, 1))
    values[::7] += 20
    assert leave_out_single_readings(measurement(values))[1] == []


# What is said and chosen


def test_without_another_choice_the_data_decide_and_say_why():
    truth = exponential(2.77).measurement(0)
    chosen, forced = fit_device(truth).falling, fit_device(truth, "table").falling
    assert (chosen.family, forced.family) == ("exponential", "table")
    assert chosen.why == "its residuals are random, and those of linear are not"
    assert forced.why == f"asked for by --family; the data would choose exponential: {chosen.why}"
    assert forced.range == pytest.approx(chosen.range, rel=0.03)


def test_families_that_fit_equally_well_are_called_that_and_the_simpler_is_taken():
    tests = dict.fromkeys(("linear", "exponential"), SimpleNamespace(passed=True))

    def chosen(linear: float) -> tuple[str, str]:
        fits = {"linear": SimpleNamespace(aicc=linear), "exponential": SimpleNamespace(aicc=0.0)}
        return choose(fits, tests)

    equal = "linear and exponential fit equally well (AICc within 2); linear is the simpler"
    assert chosen(1.9) == chosen(-1.9) == ("linear", equal)
    assert chosen(2.1) == (
        "exponential",
        "linear and exponential fit; the AICc of exponential is smaller by 2.1",
    )
    assert chosen(-2.1)[0] == "linear"


def test_an_exponential_cannot_be_forced_on_a_straight_line():
    with pytest.raises(UserError, match=r"is a straight line .* use --family linear"):
        fit_device(measurement(double_linear()[:, None]), "exponential")


def test_ramps_that_do_not_run_as_reading_says_are_refused():
    ramps = [replace(ramp, branch="rising") for ramp in exponential(2.77).measurement(0).ramps]
    with pytest.raises(UserError, match="its rising ramps do not rise"):
        fit_device(measured(ramps))


def test_drift_of_cycles_is_not_taken_for_noise():
    rng = np.random.default_rng(5)
    level = exponential(2.77, devices=1, cycles=20, sigma=0.0, read=0.003, write=0.003).ramps(rng)
    level += -42 * 0.01 * np.arange(20)  # 1 % of the range a cycle
    fitted = fit_device(measurement(level, cycles=20))
    first, size = drift(fitted.falling)
    assert first.value == pytest.approx(0.01, abs=0.0005)
    assert abs(size.value) < 4 * size.error
    assert fitted.read_noise.value == pytest.approx(0.003, abs=4 * fitted.read_noise.error)
    assert fitted.write_noise.value == pytest.approx(0.003, abs=4 * fitted.write_noise.error)
    assert fitted.falling.family == "exponential"


def test_repeated_readings_tell_the_read_noise():
    ramps = exponential(2.77, devices=1, cycles=1, sigma=0.0).measurement(0).ramps
    fitted = fit_device(measured(ramps, repeated_read_noise=1.3, reads=3))
    assert fitted.read_noise.value == pytest.approx(1.3 / fitted.range)
    size = fitted.range_of(fitted.falling)
    share = math.hypot(1 / math.sqrt(2 * 28 * 2), size.error / size.value)
    assert fitted.read_noise.error == pytest.approx(1.3 / fitted.range * share)


def test_five_readings_give_a_device_but_no_noises():
    values = exponential(2.77, n=5, devices=1, cycles=1, sigma=0.0).measurement(2)
    fitted = fit_device(values)
    assert (fitted.read_noise.value, fitted.write_noise.value) == (None, None)
    nu = fitted.nonlinearity_of(fitted.falling)
    assert nu.value == pytest.approx(2.77, abs=4 * nu.error)


def test_pulses_are_counted_from_the_first_reading_at_any_interval():
    pulses = np.array([10.0, 11, 12, 14, 16, 19, 22, 26, 30, 37])
    values = 5 + 2 * np.exp(-(pulses - 10) / 9.741)
    fitted = fit_device(measurement(values[:, None], pulses=pulses))
    response = response_of(fitted.falling)
    assert (response.decay, response.pulses_max) == pytest.approx((9.741, 27))
    assert device_file(fitted, "d", None).response_units.slope * response.span == pytest.approx(
        2 * (1 - math.exp(-27 / 9.741))
    )


def test_in_a_train_the_state_before_the_first_pulse_belongs_to_the_range():
    """Its reading is the last one of the ramp before: pulses 1 to 30 are read, 0 is not."""
    pulses, values = np.arange(31.0), 10 + 40 * way(3)[:, 0]
    ramp = Ramp("1", 1, "rising", pulses[1:], values[1:], np.arange(30), 0, before=10.4)
    fitted = fit_device(measured([ramp]))
    assert fitted.rising.data.pulses_max == 30
    assert fitted.ends == pytest.approx((10, 50))
    alone = fit_device(measured([replace(ramp, before=None)]))
    assert alone.rising.data.pulses_max == 29
    assert alone.ends == pytest.approx((values[1], 50))


def test_ramps_that_stop_early_are_used():
    ramps = exponential(2.77, devices=6, cycles=1, sigma=0.0, n=60).measurement(1)
    cut = tuple(
        replace(
            ramp,
            pulses=ramp.pulses[: 60 - k],
            values=ramp.values[: 60 - k],
            lines=ramp.lines[: 60 - k],
        )
        for k, ramp in enumerate(ramps.ramps)
    )
    fitted = fit_branch(branch_data(cut, "x"), "x", None)
    # four of six reach it, half reach 57... of the shorter half
    assert fitted.data.pulses_max == 56
    nu = fitted.fits["exponential"].nonlinearity
    assert nu * 59 / 56 == pytest.approx(2.77, abs=0.6)
