"""Noises and drift of fitted curves, and the parts of the fit, against numbers by hand."""

import math

import numpy as np
import pytest
from support.ramps import exponential, measured, measurement, single

from utils.measured.branch import branch_data, mean_curve
from utils.measured.curves import curve, derivative, neurosim_label
from utils.measured.device_fit import fit_device
from utils.measured.noise import Part, estimate_noise
from utils.measured.spreads import drift, per_cycle
from utils.measured.table import strictly_rising
from utils.measured.whitening import Noise, Whitener


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


@pytest.mark.parametrize("forgetting", [0.0, 3.0, -1.0])
def test_whitened_noise_is_white(forgetting):
    """The covariance of the readings, entry by entry: read noise, decaying sums of write noise."""
    time = np.array([0.0, 0.1, 0.2, 0.5, 0.6, 1.0])
    covariance = 0.3**2 * np.eye(6)
    for j, k in np.ndindex(6, 6):
        for i in range(1, min(j, k) + 1):
            since = time[j] - time[i] + time[k] - time[i]
            step = 0.8**2 * (time[i] - time[i - 1])
            covariance[j, k] += step * math.exp(-forgetting * since)
    whiten = Whitener(time, Noise(0.3, 0.8, forgetting))
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
    estimate = estimate_noise([part], 0.0)
    assert estimate.noise.read == pytest.approx(by_moments[0], rel=0.02)
    assert estimate.noise.write / math.sqrt(n - 1) == pytest.approx(by_moments[1], rel=0.05)
    assert estimate.noise.read == pytest.approx(read, abs=3 * estimate.read_error)
    assert estimate.noise.write == pytest.approx(
        write * math.sqrt(n - 1), abs=3 * estimate.write_error
    )


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
    change = per_cycle(data, np.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2]))
    assert change.value == pytest.approx(0.1)
    assert change.error == pytest.approx(0, abs=1e-12)
    # Less their means: -.2, -.1, .3 and -.1, 0, .1 at -1, 0, 1: slope .7 / 4 = .175; residuals
    # -.025, -.1, .125 and .075, 0, -.075: squares .0375; 6 - 2 - 1 = 3 to spare
    change = per_cycle(data, np.array([0.0, 0.1, 0.5, 5.0, 5.1, 5.2]))
    assert change.value == pytest.approx(0.175)
    # One standard deviation of Student's distribution with 3 degrees of freedom is 1.197.
    assert change.error == pytest.approx(1.197 * math.sqrt(0.0375 / 3 / 4), rel=1e-3)
    # Never less than what noise of this variance makes of a slope with squares of 4.
    change = per_cycle(data, np.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2]), variance=0.09)
    assert change.error == pytest.approx(0.3 / 2)


def test_noise_alone_gives_no_drift_of_few_cycles():
    """In three cycles the scatter of three ramps shows little: their noise does."""
    truth, far = exponential(2.77, devices=1, cycles=3, sigma=0.0, read=0.01), []
    for seed in range(20):
        fitted = fit_device(truth.measurement(seed))
        far += [abs(change.value) / change.error for change in drift(fitted.falling)]
    assert max(far) < 3.5
    assert np.mean(np.square(far)) > 0.2


@pytest.mark.parametrize("change", [0.01, -0.01])
def test_drift_of_cycles_is_not_taken_for_noise(change):
    truth = exponential(2.77, devices=1, cycles=20, sigma=0.0, read=0.003, write=0.003)
    level = truth.ramps(np.random.default_rng(5))
    level += 42 * change * np.arange(20)  # 1 % of the range a cycle, up or down
    fitted = fit_device(measurement(level, cycles=20))
    first, size = drift(fitted.falling)
    assert first.value == pytest.approx(change, abs=0.0005)
    assert abs(size.value) < 4 * size.error
    for noise in (fitted.read_noise, fitted.write_noise):
        assert noise.value == pytest.approx(0.003, abs=4 * noise.error)
    assert fitted.falling.family == "exponential"


def test_repeated_readings_give_the_read_noise():
    ramps = single(2.77).measurement(0).ramps
    fitted = fit_device(measured(ramps, repeated_read_noise=1.3, reads=3))
    assert fitted.read_noise.value == pytest.approx(1.3 / fitted.range)
    size = fitted.range_of(fitted.falling)
    share = math.hypot(1 / math.sqrt(2 * 28 * 2), size.error / size.value)
    assert fitted.read_noise.error == pytest.approx(1.3 / fitted.range * share)


def test_five_readings_give_a_device_but_no_noises():
    fitted = fit_device(single(2.77, n=5).measurement(2))
    assert (fitted.read_noise.value, fitted.write_noise.value) == (None, None)
    nu = fitted.nonlinearity_of(fitted.falling)
    assert nu.value == pytest.approx(2.77, abs=4 * nu.error)
