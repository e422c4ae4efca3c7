"""What the report of a fit says of several devices, of one, and of branches that differ."""

import re
from dataclasses import replace

import numpy as np
import pytest
from support.ramps import both_branches, exponential, measurement, single, two_bends

from devices.measured_branch import Estimate
from utils.measured.device_fit import fit_device
from utils.measured.model_units import device_file
from utils.measured.report import pm, report


def report_of(measurement) -> str:
    fitted = fit_device(measurement)
    return "\n".join(report(fitted, device_file(fitted, "d", None)))


def test_the_report_has_everything_of_several_devices():
    text = report_of(exponential(2.77).measurement(0))
    for words in (
        r"Values are in uS, noises and spreads in % of the range",
        r"falling branch \(depression\): 27 pulses from 6\d\.\d+ to \d\d\.\d+",
        r"R² +rms % +lag-1 +AICc +p, residuals are random",
        r"  exponential +0\.9\d+ +\S+ +\S+ +0\.0 +0\.\d",
        r"chosen +exponential: ",
        r"range +\d\d\.\d+ ± \d\.\d+; its ends have the ratio \d\.",
        r"offset \S+ ± \S+, amplitude \S+ ± \S+, decay \S+ ± \S+ pulses",
        r"nonlinearity ν +2\.\d+ ± 0\.\d+; NeuroSim's label -3\.\d+ ± 0\.\d+ \(depression\)",
        r"read noise +\S+ ± \S+ %",
        r"write noise +\S+ ± \S+ % per √pulse",
        r"resolvable states +\d+\.\d ± \d",
        r"σ_device +\d+\.?\d* ± \d+\.?\d* % \(spread of the slopes of 8 devices\)",
        r"spread of ranges +",
        r"main.py for these values: --var 0\.\d+ --resistor_noise 0\.00\d+ --write_noise 0\.0\d+$",
    ):
        assert re.search(words, text), words
    assert text.count("uS") == 1


X = np.arange(28)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (single(2.77, n=5).measurement(0),
         ["not measurable from one device; give --var", "read noise        not measurable"]),
        (measurement(np.linspace(1, 2, 28) + 0.001 * np.sin(X * 7)),
         ["uses the mirrored rising curve"]),
        (measurement(np.exp(-X / 9.7)),
         ["have no noise, as if they were computed", "1.00000        0       –      0.0"]),
        (two_bends(read=0.002, write=0.002).measurement(0),
         ["chosen            table: neither linear nor exponential fits",
          "(of the nearest exponential)"]),
    ],
    ids=["five readings", "rising alone", "computed", "two bends"],
)  # fmt: skip
def test_the_report_notes_what_cannot_be_measured_and_what_is_odd(one, expected):
    text = report_of(one)
    assert all(words in text for words in expected)


def test_ends_at_zero_have_no_ratio():
    assert "ratio" not in report_of(measurement(np.arange(6.0)[:, None] + np.zeros(2)))


@pytest.mark.parametrize(("write", "n_notes"), [(0.02, 1), (0.005, 0)])
def test_write_noises_that_differ_between_the_branches_are_both_named(write, n_notes):
    falling = exponential(2.77, devices=1, cycles=12, sigma=0.0, read=0.005, write=write)
    rising = replace(falling, write=0.005, first=20.0, range=42.0)
    both = both_branches(falling.measurement(0), rising.measurement(1))
    notes = re.findall(
        r"note: write noise is (\S+) ± \S+ % per √pulse on the falling branch and (\S+) ± \S+ % on "
        r"the rising one; .* the device file takes (\S+) ± ",
        report_of(both),
    )
    assert len(notes) == n_notes
    for note in notes:
        down, up, taken = map(float, note)
        assert (down, up) == (pytest.approx(2.0, rel=0.15), pytest.approx(0.5, rel=0.3))
        assert taken == pytest.approx(np.hypot(down, up) / 2**0.5, rel=0.02)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.23456, 0.0213, "1.235 ± 0.021"),
        (2.0, 0.0996, "2.00 ± 0.10"),
        (5.0, None, "5"),
        (2.451e-7, 3.2e-9, "(2.451 ± 0.032)e-7"),
        (123.4, 56.0, "123 ± 56"),
        (0.0, 0.0125, "0.000 ± 0.013"),
        (2.5, 1e-9, "2.5"),
    ],
)
def test_numbers_carry_two_digits_of_their_error(value, error, text):
    assert pm(Estimate(value, error)) == text
