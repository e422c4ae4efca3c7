"""Fitting the curves of one branch: numbers by hand, what is chosen, and what is left out."""

import math
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from support.ramps import Truth, exponential, measured, measurement, transformed, two_bends, way

from utils.errors import UserError
from utils.measured.branch import branch_data
from utils.measured.branch_fit import choose, fit_branch
from utils.measured.device_fit import DeviceFit, fit_device
from utils.measured.measurement import Ramp
from utils.measured.model_units import device_file, response_of
from utils.measured.outliers import leave_out_single_readings
from utils.measured.report import report

X = np.arange(28.0)
PAPERS_EXPONENTIAL = 1.530 * np.exp(-X / 9.741) + 0.750
PAPERS_LINE = -0.021 * X + 2.742

# What is exact


def test_the_exponential_of_the_paper_comes_back():
    fitted = fit_device(measurement(PAPERS_EXPONENTIAL))
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
    fitted = fit_device(measurement(PAPERS_LINE))
    assert fitted.falling.family == "linear"
    assert fitted.nonlinearity_of(fitted.falling).value == pytest.approx(0, abs=1e-6)
    assert fitted.neurosim_of(fitted.falling).value == pytest.approx(0, abs=1e-6)
    response = response_of(fitted.falling)
    assert response.slope == pytest.approx(-0.021, rel=1e-12)
    assert response.offset == pytest.approx(2.742)
    units = device_file(fitted, "d", None).response_units
    assert (units.slope, units.offset) == pytest.approx((1, 0), abs=1e-9)


@pytest.mark.parametrize("varies", ["slopes", "ranges"])
def test_devices_without_noise_that_differ_in_one_alone(varies):
    factors = np.array([0.7, 0.9, 1.0, 1.1, 1.3])  # their mean is 1
    slopes, ranges = (factors if varies == name else np.ones(5) for name in ("slopes", "ranges"))
    curves = 1.530 * ranges * np.exp(-X[:, None] * slopes / 9.741) + 0.750
    fitted = fit_device(measurement(curves))
    assert response_of(fitted.falling).decay == pytest.approx(9.741, rel=1e-6)
    # sd 0.2236, divided by what a standard deviation of five falls short by: c4(5) = 0.9400
    spread = math.sqrt(0.05) / 0.93999
    if varies == "slopes":
        assert fitted.slopes == pytest.approx(factors, abs=1e-6)
        assert fitted.variability.value == pytest.approx(spread, rel=1e-4)
    else:
        assert fitted.falling.taken.variation.varies == "ranges"
        assert fitted.falling.taken.sizes == pytest.approx(factors, abs=1e-6)
        assert fitted.range_spread.value == pytest.approx(spread, rel=1e-4)
        assert fitted.variability.value == pytest.approx(0, abs=1e-5)


@cache
def fit_of(truth: str) -> DeviceFit:
    return fit_device(TRUTHS[truth].measurement(3))


TRUTHS: dict[str, Truth] = {
    "saturating": exponential(2.77),
    "steepening": exponential(-1.5),
    "two bends": two_bends(),
}


@pytest.mark.parametrize(
    ("factor", "offset"),
    [(1e-9, 0), (1e3, 5e3), (-2.5e-4, 1e-3)],
    ids=["nA", "k and offset", "mirrored, scaled, shifted"],
)
@pytest.mark.parametrize("truth", TRUTHS)
def test_nothing_depends_on_the_unit(truth, factor, offset):
    here = fit_of(truth)
    there = fit_device(transformed(TRUTHS[truth].measurement(3), factor, offset))
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
        for value, other_one, rel in (
            (here, there, 1e-4),
            (a, b, 2e-3),
        ):  # the files: to four digits
            expected, actual = getattr(value, name), getattr(other_one, name)
            assert actual.value == pytest.approx(expected.value, rel=rel)
            assert actual.error == pytest.approx(expected.error, rel=rel)
    slope = factor * a.response_units.slope
    assert b.response_units.slope == pytest.approx(slope, rel=1e-6)


# Which readings are fitted


def test_pulses_are_counted_from_the_first_reading_at_any_interval():
    pulses = np.array([10.0, 11, 12, 14, 16, 19, 22, 26, 30, 37])
    fitted = fit_device(measurement(5 + 2 * np.exp(-(pulses - 10) / 9.741), pulses=pulses))
    response = response_of(fitted.falling)
    assert (response.decay, response.pulses_max) == pytest.approx((9.741, 27))
    assert device_file(fitted, "d", None).response_units.slope * response.span == pytest.approx(
        2 * (1 - math.exp(-27 / 9.741))
    )


def test_in_a_train_the_state_before_the_first_pulse_belongs_to_the_range():
    """Its reading is the last one of the ramp before: pulses 1 to 30 are read, 0 is not."""
    pulses, values = np.arange(31.0), 10 + 40 * way(3)
    ramp = Ramp("1", 1, "rising", pulses[1:], values[1:], np.arange(30), 0, before=10.4)
    for read, pulses_max, first in ((ramp, 30, 10), (replace(ramp, before=None), 29, values[1])):
        fitted = fit_device(measured([read]))
        assert fitted.rising.data.pulses_max == pulses_max
        assert fitted.ends == pytest.approx((first, 50))


def test_ramps_that_stop_early_are_used():
    """Of the lengths 60 to 55 four of six reach 57, half of the shorter half."""
    ramps = exponential(2.77, devices=6, cycles=1, sigma=0.0, n=60).measurement(1).ramps
    cut = tuple(
        replace(ramp, pulses=ramp.pulses[:n], values=ramp.values[:n], lines=ramp.lines[:n])
        for n, ramp in zip(range(60, 54, -1), ramps, strict=True)
    )
    fitted = fit_branch(branch_data(cut, "x"), "x", None)
    assert fitted.data.pulses_max == 56
    assert fitted.fits["exponential"].nonlinearity * 59 / 56 == pytest.approx(2.77, abs=0.6)


def test_ramps_that_do_not_run_as_reading_found_are_refused():
    ramps = [replace(ramp, branch="rising") for ramp in exponential(2.77).measurement(0).ramps]
    with pytest.raises(UserError, match="its rising ramps do not rise"):
        fit_device(measured(ramps))


def noisy(n: int = 31, ramps: int = 1) -> np.ndarray:
    """Ramps from 60 to 20 with 0.5 % of read noise, [n, ramps]."""
    noise = 0.2 * np.random.default_rng(0).normal(size=(n, ramps))
    return 60 - 40 * way(3, n)[:, None] + noise


def n_left_out(values: np.ndarray) -> int:
    return len(leave_out_single_readings(measurement(values, cycles=values.shape[1]))[1])


def test_a_lost_reading_is_named_and_left_out():
    values = noisy()
    values[12] = 0.0
    fitted = fit_device(measurement(values))
    (sentence,) = fitted.far_off
    assert sentence.startswith(
        "line 14: the reading 0 after pulse 12 of device D1 is left out: it is "
    )
    assert len(fitted.measurement.ramps[0].values) == 30
    assert fitted.read_noise.value == pytest.approx(0.005, abs=4 * fitted.read_noise.error)
    assert sentence in report(fitted, device_file(fitted, "d", None))


@pytest.mark.parametrize(("place", "value"), [(0, 0.0), (-1, 60.0)])
def test_a_lost_reading_at_an_end_is_left_out(place, value):
    values = noisy()
    values[place] = value
    assert n_left_out(values) == 1


@pytest.mark.parametrize("nonlinearity", [-8.0, 0.0, 8.0])
def test_no_reading_of_a_clean_ramp_is_left_out(nonlinearity):
    for seed in range(20):
        noise = 0.02 * np.random.default_rng(seed).normal(size=15)
        assert n_left_out((way(nonlinearity, 15) + noise)[:, None]) == 0


def test_what_stands_out_in_every_ramp_belongs_to_the_curve_and_what_often_does_is_noise():
    values = noisy(ramps=3)
    values[12] += 10
    assert n_left_out(values) == 0
    values[12, 1:] -= 10
    assert n_left_out(values) == 1
    often = noisy(100)
    often[::7] += 20
    assert n_left_out(often) == 0


# Which family is chosen


def test_without_another_choice_the_data_decide_and_the_report_gives_the_reason():
    chosen = fit_of("saturating").falling
    forced = fit_device(TRUTHS["saturating"].measurement(3), "table").falling
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
        fit_device(measurement(PAPERS_LINE), "exponential")
