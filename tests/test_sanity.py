"""Nothing absurd is printed or written, whatever a fit gives."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from msgspec import structs
from support.curves import table
from support.ramps import exponential, measurement, single

from devices.built_in import LIBRARY
from devices.device_file import Source
from devices.measured_branch import Estimate
from devices.responses import Exponential, Linear
from utils.errors import UserError
from utils.measured.device_fit import DeviceFit, fit_device
from utils.measured.model_units import device_file
from utils.measured.sanity import can_be_trained, oddities, oddities_of_file, sane_device_file


@pytest.fixture(scope="module")
def fitted() -> DeviceFit:
    return fit_device(exponential(2.77, devices=4, cycles=1).measurement(0))


def with_taken(fitted: DeviceFit, **changes) -> DeviceFit:
    """The fit, with something else in the family that was taken."""
    branch, taken = fitted.falling, fitted.falling.taken
    changed = type("Changed", (type(taken),), changes)
    values = {field.name: getattr(taken, field.name) for field in fields(taken)}
    fits = branch.fits | {branch.family: changed(**values)}
    return replace(fitted, falling=replace(branch, fits=fits))


def refused(fitted: DeviceFit) -> str:
    with pytest.raises(UserError) as error:
        sane_device_file(fitted, "d", None)
    (line,) = str(error.value).splitlines()
    assert line.startswith("simulated.csv: ")
    assert "nothing is written" in line
    return line


WAVES = 0.6 * np.sin(np.arange(28))[:, None]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("range", lambda size: -0.02 * size, "the curve that fits best does not fall"),
        ("range", lambda size: 0.0, "the curve that fits best does not fall"),
        ("range", lambda size: 0.4 * size, "but the readings of a ramp span"),
        ("range", lambda size: 2.5 * size, "but the readings of a ramp span"),
        ("range", lambda size: math.nan, "has no finite range"),
        ("range", lambda size: math.inf, "has no finite range"),
        ("residual", lambda devices: tuple(ramps + WAVES for ramps in devices), "explains only"),
        ("covariance", lambda matrix: matrix * math.nan, "has an error that is not finite"),
        ("covariance", lambda matrix: 1e6 * matrix, "is not determined by these readings"),
    ],
)
def test_a_curve_that_cannot_be(fitted, name, change, words):
    changed = change(getattr(fitted.falling.taken, name))
    assert words in refused(with_taken(fitted, **{name: changed}))


def test_a_forced_family_that_explains_little_is_left_out():
    steep = single(12.0).measurement(0)
    assert refused(fit_device(steep, "linear")).split("; ")[1] == (
        "leave out --family, since the data choose exponential"
    )


@pytest.mark.parametrize(
    ("head", "nus", "how", "is_refused"),
    [
        ("G1,G2,G3", (2.0, 3.0, 4.0), {}, True),
        ("G1,G2,G3", (3.0, 3.0, 3.0), {}, False),
        ("G1,G2,G3", (2.0, 3.0, 4.0), {"devices": "one"}, False),
        ("cycle 1,cycle 2,cycle 3", (2.0, 3.0, 4.0), {}, False),
    ],
)
def test_columns_that_no_name_calls_cycles_must_be_alike(reads, head, nus, how, is_refused):
    columns = (single(nu, read=0.005).ramps(np.random.default_rng(1)) for nu in nus)
    fit = fit_device(reads(table(head, *(column[:, 0] for column in columns)), **how))
    assert any("say --devices each if" in odd for odd in oddities(fit)) == is_refused


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
    (problem,) = oddities_of_file(structs.replace(device_file(fitted, "d", None), **changes))
    assert words in problem


def test_a_curve_that_is_none_is_refused_before_it_is_written(fitted, monkeypatch):
    monkeypatch.setattr("utils.measured.model_units.response_of", lambda fit: Linear(0.1, 2.7, 1.0))
    assert "the fit gives no valid device (falling.constants.slope is 0.1" in refused(fitted)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        *((entry.response, True) for entry in LIBRARY.values()),
        (Linear(slope=0.01, offset=2.175, pulses_max=10.0), False),  # rises
        (Linear(slope=0.0, offset=2.175, pulses_max=10.0), False),  # flat
        (Exponential(amplitude=0.567, decay=1e-3, offset=2.175, pulses_max=27.0), False),
    ],
)
def test_a_device_can_be_trained_if_pulses_lead_through_its_curve(response, expected):
    assert can_be_trained(response) == expected


@pytest.mark.parametrize("seed", range(6))
def test_of_pure_noise_what_is_printed_is_sane(seed):
    noise = np.random.default_rng(seed).normal(size=20)
    noise[-1] = noise[0] - 0.5
    fit = fit_device(measurement(noise))
    if any(oddities(fit)):
        assert refused(fit)
    else:
        assert 0.5 * np.ptp(noise) <= fit.falling.range <= 2 * np.ptp(noise)


@pytest.mark.parametrize("n", [5, 8])
@pytest.mark.parametrize("seed", range(4))
def test_devices_of_pure_noise_are_fitted_or_refused(n, seed):
    """No slope factor runs away, not even of the table, whose curve is noise."""
    noise = np.random.default_rng(seed).normal(size=(n, 6))
    (branch,) = fit_device(measurement(noise)).branches.values()
    for curve in branch.fits.values():
        assert np.isfinite(curve.slopes).all()
