"""Fitting measured curves: numbers by hand, and what is said and chosen."""

import math
from dataclasses import replace

import numpy as np
import pytest
from support.ramps import exponential, measurement, transformed, two_bends

from utils.errors import UserError
from utils.measured.families import by_nonlinearity, by_time, curve
from utils.measured.fitted import neurosim_label, response_of
from utils.measured.fitting import fit
from utils.measured.noise import Part, estimate
from utils.measured.report import device_file
from utils.measured.scaled import Scaled, mean_curve
from utils.measured.table import strictly_rising
from utils.measured.variability import per_cycle
from utils.measured.whitening import Noise, Whitener


def double_exponential() -> np.ndarray:
    return 1.530 * np.exp(-np.arange(28) / 9.741) + 0.750


def double_linear() -> np.ndarray:
    return -0.021 * np.arange(28) + 2.742


# What is exact


def test_the_exponential_of_the_paper_comes_back():
    fitted = fit(measurement(double_exponential()[:, None]))
    assert fitted.family == "exponential"
    assert fitted.nonlinearity.value == pytest.approx(27 / 9.741, abs=1e-7)  # 2.77
    assert fitted.neurosim.value == pytest.approx(3.18, abs=0.005)
    response, _ = response_of(fitted)
    units = device_file(fitted, "d", None).response_units
    assert response.decay == pytest.approx(9.741, rel=1e-8)
    assert response.pulses_max == 27
    assert (response.w_max, response.span) == pytest.approx((2.742, 0.567), abs=1e-12)
    assert units.slope * response.amplitude == pytest.approx(1.530, rel=1e-8)
    assert units.offset + units.slope * response.offset == pytest.approx(0.750, rel=1e-8)
    assert (fitted.read_noise.value, fitted.write_noise.value) == (0, 0)
    assert fitted.variability.value is None


def test_the_line_of_the_paper_comes_back():
    fitted = fit(measurement(double_linear()[:, None]))
    assert fitted.family == "linear"
    assert fitted.nonlinearity.value == pytest.approx(0, abs=1e-6)
    assert fitted.neurosim.value == pytest.approx(0, abs=1e-6)
    response, _ = response_of(fitted)
    assert response.slope == pytest.approx(-0.021, rel=1e-12)
    assert response.offset == pytest.approx(2.742)
    units = device_file(fitted, "d", None).response_units
    assert (units.slope, units.offset) == pytest.approx((1, 0), abs=1e-9)


def test_devices_without_noise_differ_by_their_slope_factors_alone():
    slopes = np.array([0.7, 0.9, 1.0, 1.1, 1.3])
    x = np.arange(28)[:, None]
    fitted = fit(measurement(1.530 * np.exp(-x * slopes / 9.741) + 0.750))
    assert fitted.taken.slopes == pytest.approx(slopes, abs=1e-7)  # their mean is 1
    assert response_of(fitted)[0].decay == pytest.approx(9.741, rel=1e-7)
    # sd 0.2236, divided by what a standard deviation of five falls short by: c4(5) = 0.9400
    assert fitted.variability.value == pytest.approx(math.sqrt(0.05) / 0.93999, rel=1e-4)


@pytest.mark.parametrize(
    ("factor", "offset"),
    [(1e-6, 0), (1e-9, 0), (1e3, 5e3), (1, -300), (-1, 0), (-2.5e-4, 1e-3)],
    ids=["A", "nA", "k and offset", "offset", "upside down", "mirrored, scaled, shifted"],
)
@pytest.mark.parametrize("truth", [exponential(2.77), exponential(-1.5), two_bends()])
def test_nothing_depends_on_the_unit(truth, factor, offset):
    one = truth.measurement(3)
    here, there = fit(one), fit(transformed(one, factor, offset))
    assert there.family == here.family
    a, b = device_file(here, "d", None), device_file(there, "d", None)
    if here.family == "table":
        assert b.response.pulses == a.response.pulses
        assert b.response.voltages == pytest.approx(a.response.voltages, rel=1e-7)
    else:
        assert b.response.amplitude == pytest.approx(a.response.amplitude, rel=1e-6)
        assert b.response.decay == pytest.approx(a.response.decay, rel=1e-6)
    for name in ("variability", "read_noise", "write_noise"):
        one, other = getattr(here, name), getattr(there, name)
        assert (other.value, other.error) == pytest.approx((one.value, one.error), rel=1e-5)
        one, other = getattr(a, name), getattr(b, name)  # to four digits
        assert (other.value, other.error) == pytest.approx((one.value, one.error), rel=2e-3)
    assert b.response_units.slope == pytest.approx(factor * a.response_units.slope, rel=1e-6)
    assert (b.response_units.slope < 0) == (factor < 0)


def test_labels_of_neurosim_are_the_largest_distance_from_the_diagonal():
    x = np.linspace(0, 1, 200001)
    for nu in (0.3, 2.77, 9.0):
        y = (1 - np.exp(-nu * x)) / (1 - np.exp(-nu))
        assert neurosim_label(nu) == pytest.approx((y - x).max() / (0.07 * math.sqrt(2)), rel=1e-7)
        assert neurosim_label(-nu) == -neurosim_label(nu)
    assert neurosim_label(2.77) == pytest.approx(3.18, abs=0.005)
    assert neurosim_label(0) == 0
    assert neurosim_label(1e-7) == pytest.approx(neurosim_label(2e-6) / 20, rel=1e-4)


@pytest.mark.parametrize("nu", [-60.0, -1.43, -1e-4, 0.0, 1e-8, 5e-4, 2.77, 30.0])
def test_derivatives_of_the_curve_by_differences(nu):
    t, width = np.linspace(0.01, 1.4, 30), 1e-5
    scale = np.abs(curve(t, nu)).max()
    slope = (curve(t + width, nu) - curve(t - width, nu)) / (2 * width)
    assert by_time(t, nu) == pytest.approx(slope, abs=1e-5 * max(1, abs(nu)) * scale)
    change = (curve(t, nu + width) - curve(t, nu - width)) / (2 * width)
    assert by_nonlinearity(t, nu) == pytest.approx(change, abs=1e-5 * scale)
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
    found = estimate([part], 0.0)
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
    assert len(mean_curve(ramps, fewest=3)[0]) == 3


def test_plateaus_of_the_isotonic_regression_become_points_at_their_centres():
    height = np.array([0.0, 1.0, 3.0, 2.0, 4.0, 6.0, 5.0])
    time, monotone = strictly_rising(np.arange(7.0), height)
    assert time == pytest.approx([0, 1, 2.5, 4, 6])
    assert monotone == pytest.approx([0, 1, 2.5, 4, 5.5])


def test_drift_is_the_slope_over_cycles_of_every_device():
    values = np.stack([10 - x + np.zeros(3) for x in np.arange(10.0)])
    scaled = Scaled.of(measurement(np.tile(values, 2), cycles=3))
    assert len(scaled.devices) == 2
    found = per_cycle(scaled, np.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2]))
    assert found.value == pytest.approx(0.1)
    assert found.error == pytest.approx(0, abs=1e-12)
    # Less their means: -.2, -.1, .3 and -.1, 0, .1 at -1, 0, 1: slope .7 / 4 = .175; residuals
    # -.025, -.1, .125 and .075, 0, -.075: squares .0375; 6 - 2 - 1 = 3 to spare
    found = per_cycle(scaled, np.array([0.0, 0.1, 0.5, 5.0, 5.1, 5.2]))
    assert found.value == pytest.approx(0.175)
    assert found.error == pytest.approx(math.sqrt(0.0375 / 3 / 4))


# What is said and chosen


def test_without_another_choice_the_data_decide_and_say_why():
    truth = exponential(2.77).measurement(0)
    chosen, forced = fit(truth), fit(truth, "table")
    assert (chosen.family, forced.family) == ("exponential", "table")
    assert "linear does not" in chosen.why
    assert "asked for by --family; the data would choose exponential" in forced.why
    assert forced.range == pytest.approx(chosen.range, rel=0.03)


def test_an_exponential_cannot_be_forced_on_a_straight_line():
    with pytest.raises(UserError, match="straight line; take --family linear"):
        fit(measurement(double_linear()[:, None]), "exponential")


def test_ramps_that_do_not_run_as_reading_says_are_refused():
    one = replace(exponential(2.77).measurement(0), rising=True)
    with pytest.raises(UserError, match="does not rise"):
        fit(one)


def test_drift_of_cycles_is_not_taken_for_noise():
    rng = np.random.default_rng(5)
    level = exponential(2.77, devices=1, cycles=20, sigma=0.0, read=0.003, write=0.003).ramps(rng)
    level += -42 * 0.01 * np.arange(20)  # 1 % of the range a cycle
    fitted = fit(measurement(level, cycles=20))
    assert fitted.drift.first.value == pytest.approx(0.01, abs=0.0005)
    assert abs(fitted.drift.range.value) < 4 * fitted.drift.range.error
    assert fitted.read_noise.value == pytest.approx(0.003, abs=4 * fitted.read_noise.error)
    assert fitted.write_noise.value == pytest.approx(0.003, abs=4 * fitted.write_noise.error)
    assert fitted.family == "exponential"


def test_five_readings_give_a_device_but_no_noises():
    values = exponential(2.77, n=5, devices=1, cycles=1, sigma=0.0).measurement(2)
    fitted = fit(values)
    assert (fitted.read_noise.value, fitted.write_noise.value) == (None, None)
    assert fitted.nonlinearity.value == pytest.approx(2.77, abs=4 * fitted.nonlinearity.error)


def test_pulses_are_counted_from_the_first_reading_at_any_interval():
    pulses = np.array([10.0, 11, 12, 14, 16, 19, 22, 26, 30, 37])
    values = 5 + 2 * np.exp(-(pulses - 10) / 9.741)
    fitted = fit(measurement(values[:, None], pulses=pulses))
    response, _ = response_of(fitted)
    assert (response.decay, response.pulses_max) == pytest.approx((9.741, 27))
    assert device_file(fitted, "d", None).response_units.slope * response.span == pytest.approx(
        2 * (1 - math.exp(-27 / 9.741))
    )


def test_ramps_that_stop_early_are_used():
    ramps = exponential(2.77, devices=6, cycles=1, sigma=0.0, n=60).measurement(1)
    cut = tuple(
        replace(ramp, pulses=ramp.pulses[: 60 - k], values=ramp.values[: 60 - k])
        for k, ramp in enumerate(ramps.ramps)
    )
    fitted = fit(replace(ramps, ramps=cut))
    assert (
        fitted.scaled.pulses_max == 56
    )  # four of six reach it, half reach 57... of the shorter half
    assert fitted.nonlinearity.value * 59 / 56 == pytest.approx(2.77, abs=0.6)
