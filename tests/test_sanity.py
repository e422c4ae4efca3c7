"""Nothing absurd is printed or written, whatever a fit may have found."""

import math
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs
from support.ramps import exponential, measurement

from devices.built_in import LIBRARY
from devices.device_file import Source
from devices.measured_branch import Estimate
from devices.responses import Exponential, Linear
from utils.errors import UserError
from utils.measured.branch_fit import BranchFit
from utils.measured.device_fit import DeviceFit, fit_device
from utils.measured.model_units import device_file
from utils.measured.report import report
from utils.measured.sanity import can_be_trained, oddities, oddities_of_file, sane_device_file

SANE = exponential(2.77, devices=4, cycles=1).measurement(0)


@pytest.fixture(scope="module")
def fitted() -> DeviceFit:
    return fit_device(SANE)


def with_taken(fitted: DeviceFit, **changes) -> DeviceFit:
    """The fit, with something else in the family that was taken."""
    branch: BranchFit = fitted.falling
    fits = branch.fits | {branch.family: replace(branch.taken, **changes)}
    return replace(fitted, falling=replace(branch, fits=fits))


def refused(fitted: DeviceFit) -> str:
    with pytest.raises(UserError) as error:
        sane_device_file(fitted, "d", None)
    (line,) = str(error.value).splitlines()
    assert line.startswith("simulated.csv: ")
    assert "nothing is written" in line
    return line


def test_a_sane_fit_passes(fitted):
    assert sane_device_file(fitted, "d", None) == device_file(fitted, "d", None)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (-0.02, "the curve that fits best does not fall"),
        (0.0, "the curve that fits best does not fall"),
        (0.4, "but the readings of a ramp span"),
        (2.5, "but the readings of a ramp span"),
        (math.nan, "has no finite range"),
        (math.inf, "has no finite range"),
    ],
)
def test_a_range_that_is_not_that_of_the_readings(fitted, size, words):
    odd = with_taken(fitted, range=size * fitted.falling.taken.range)
    assert words in refused(odd)


def test_a_curve_that_explains_little(fitted):
    wrong = tuple(
        each + 0.6 * np.sin(np.arange(28))[:, None] for each in fitted.falling.taken.residual
    )
    odd = with_taken(fitted, residual=wrong)
    assert "explains only" in refused(odd)


def test_a_forced_family_that_explains_little_is_left_out():
    steep = exponential(12.0, devices=1, cycles=1, sigma=0.0).measurement(0)
    assert refused(fit_device(steep, "linear")).split("; ")[1] == (
        "leave out --family, since the data choose exponential"
    )


def test_errors_that_are_not_finite(fitted):
    covariance = np.full_like(fitted.falling.taken.covariance, np.nan)
    odd = with_taken(fitted, covariance=covariance)
    assert "has an error that is not finite" in refused(odd)


def test_a_range_with_an_error_as_large_as_itself(fitted):
    odd = with_taken(fitted, covariance=1e6 * fitted.falling.taken.covariance)
    assert "is not determined by these readings" in refused(odd)


def test_branches_without_a_common_state(fitted):
    up = replace(fitted.falling, data=replace(fitted.falling.data, first=1e3))
    assert "have no state in common" in refused(replace(fitted, rising=up))


@pytest.mark.parametrize(
    ("name", "estimate", "words"),
    [
        ("read_noise", Estimate(-2.0, 0.1), "the read noise comes out negative (-2)"),
        ("write_noise", Estimate(math.nan, 0.1), "the write noise comes out not finite"),
        ("write_noise", Estimate(0.1, math.inf), "the write noise comes out not finite"),
        ("variability", Estimate(5.0, 1.0), "the spread of slopes is 500%"),
        ("range_spread", Estimate(1.2, 0.1), "the spread of ranges is 120%"),
    ],
)
def test_noises_and_spreads_that_cannot_be(fitted, monkeypatch, name, estimate, words):
    monkeypatch.delitem(fitted.__dict__, name, raising=False)  # what is computed once
    monkeypatch.setattr(DeviceFit, name, estimate)
    assert words in refused(fitted)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(variability=Estimate(math.nan)), "not finite"),
        (dict(read_noise=Estimate(-0.1, 0.1)), "cannot be read back (read_noise.value: "),
        (dict(symmetry_point=Estimate(-1.0)), "cannot be read back (symmetry_point.value: "),
        (dict(source=Source("x.csv", "none")), "cannot be read back (source.sha256: "),
    ],
)
def test_a_device_file_that_cannot_be_used(fitted, changes, words):
    odd = structs.replace(device_file(fitted, "d", None), **changes)
    (found,) = oddities_of_file(odd)
    assert words in found


def test_a_curve_that_is_none_is_refused_before_it_is_written(fitted, monkeypatch):
    monkeypatch.setattr("utils.measured.model_units.response_of", lambda fit: Linear(0.1, 2.7, 1.0))
    assert "the fit gives no valid device (falling.constants.slope is 0.1" in refused(fitted)


@pytest.mark.parametrize("name", LIBRARY)
def test_built_in_devices_can_be_trained(name):
    assert can_be_trained(LIBRARY[name].response)


@pytest.mark.parametrize(
    "response",
    [
        Linear(slope=0.01, offset=2.175, pulses_max=10.0),
        Linear(slope=0.0, offset=2.175, pulses_max=10.0),
        Exponential(amplitude=0.567, decay=1e-3, offset=2.175, pulses_max=27.0),
    ],
    ids=["rises", "flat", "over at once"],
)
def test_curves_that_no_pulse_leads_through(response):
    assert not can_be_trained(response)


@pytest.mark.parametrize("seed", range(6))
def test_of_pure_noise_what_is_printed_is_sane(seed):
    noise = np.random.default_rng(seed).normal(size=(20, 1))
    noise[-1] = noise[0] - 0.5
    found = fit_device(measurement(noise))
    if any(oddities(found)):
        assert refused(found)
    else:
        assert 0.5 * np.ptp(noise) <= found.falling.range <= 2 * np.ptp(noise)


@pytest.mark.parametrize("n", [5, 8])
@pytest.mark.parametrize("seed", range(4))
def test_devices_of_pure_noise_are_fitted_or_refused(n, seed):
    """No slope factor runs away, not even of the table, whose curve is noise."""
    noise = np.random.default_rng(seed).normal(size=(n, 6))
    (branch,) = fit_device(measurement(noise)).branches.values()
    for found in branch.fits.values():
        assert np.isfinite(found.slopes).all()


def test_ends_at_zero_have_no_ratio():
    values = np.array([0.0, 1, 2, 3, 4, 5])[:, None] + np.zeros(2)
    fitted = fit_device(measurement(values))
    text = "\n".join(report(fitted, device_file(fitted, "d", None)))
    assert "ratio" not in text
