"""The fits of small files as labs write them, made by simulation, against what was simulated."""

from functools import cache

import numpy as np
import pytest
from conftest import PROJECT
from scipy.optimize import curve_fit

from utils.measured.device_fit import DeviceFit, fit_device
from utils.measured.options import ReadingOptions
from utils.measured.reading import read
from utils.measured.sanity import sane_device_file

CASES = PROJECT / "tests" / "cases"


# Of each branch its range and ν, both with how far they may be off.
TRUTHS = {
    "02-step-header.csv": [("rising", 60, 1, 3.0, 0.3)],
    "03-pulse-column-per-branch.tsv": [
        ("rising", 7.7e-6, 0.2e-6, 1.8, 0.2),
        ("falling", 7.6e-6, 0.2e-6, 5.0, 0.3),
    ],
    "04-accelerating-potentiation.csv": [("rising", 8.0, 0.3, -6.0, 0.5)],
    "05-accelerating-3-ramps.csv": [("falling", 1.0, 0.03, -6.0, 0.3)],
    "10-names-in-brackets.csv": [("rising", 3.0e-5, 0.1e-5, 2.0, 0.2)],
    "11-countdown-pulses.tsv": [("falling", 19, 0.3, 5.0, 0.3)],
    "13-one-lost-reading.csv": [("falling", 1060, 20, 4.5, 0.3)],
    "14-repeated-reads.csv": [("falling", 1060, 20, 4.5, 0.3)],
    "17-spread-of-ranges.csv": [("falling", 46.5, 1, 3.0, 0.1)],
    "18-turns-of-saturated-cycles.csv": [
        ("rising", 40, 0.3, 3.0, 0.06),
        ("falling", 40, 0.3, 5.0, 0.08),
    ],
}


@cache
def fitted(name: str) -> DeviceFit:
    how = dict(split="turns") if name.startswith("18") else {}
    return fit_device(read(CASES / name, ReadingOptions(**how)))


@pytest.mark.parametrize("name", TRUTHS)
def test_what_was_simulated_comes_out(name):
    fit = fitted(name)
    assert set(fit.branches) == {branch for branch, *_ in TRUTHS[name]}
    for branch, size, size_limit, nu, nu_limit in TRUTHS[name]:
        found = fit.branches[branch]
        assert found.family == "exponential"
        assert found.range == pytest.approx(size, abs=size_limit)
        assert fit.nonlinearity_of(found).value == pytest.approx(nu, abs=nu_limit)
    assert sane_device_file(fit, "d", None).response


def test_readings_at_irregular_times_are_counted():
    """Each reading is a pulse, whatever the times beside it: the file counts no pulses.

    Simulated over irregular times, no branch is an exactly exponential curve of its readings, so
    the limits are plain least squares over the number of the reading, and, where the file holds the
    whole ramp, the truth. The column of depression ends at 1.72e-7, half way up to where
    potentiation ends, so its truth (3.0e-7, ν 4.5) is that of a longer ramp than the file has.
    """
    fit = fitted("01-times-per-branch.tsv")
    values = np.genfromtxt(CASES / "01-times-per-branch.tsv", delimiter="\t", skip_header=1)
    up, down = values[:, 1], values[:34, 3][::-1]
    for branch, readings in ((fit.rising, up), (fit.falling, down)):
        size, nu = plain_least_squares(readings)
        for estimate, plain in ((fit.range_of(branch), size), (fit.nonlinearity_of(branch), nu)):
            assert estimate.value == pytest.approx(plain, abs=estimate.error)
    size, nu = fit.range_of(fit.rising), fit.nonlinearity_of(fit.rising)
    assert size.value == pytest.approx(3.0e-7, abs=0.03 * 3.0e-7 + 3 * size.error)
    assert nu.value == pytest.approx(2.4, abs=3 * nu.error)
    assert fit.falling.range == pytest.approx(np.ptp(down), abs=0.1 * np.ptp(down))


def plain_least_squares(readings: np.ndarray) -> tuple[float, float]:
    """Range and ν of the nearest exponential, by scipy."""
    size = np.ptp(readings)

    def curve(u, first, change, nu):
        return first + change * (1 - np.exp(-nu * u)) / (1 - np.exp(-nu))

    place, scaled = np.linspace(0, 1, len(readings)), readings / size
    start = scaled[0], scaled[-1] - scaled[0], 3.0
    (_, change, nu), _ = curve_fit(curve, place, scaled, start)
    return abs(change) * size, nu


def test_noises_and_spreads_of_the_files():
    lost = fitted("13-one-lost-reading.csv")
    assert lost.read_noise.value == pytest.approx(0.006, abs=0.001)
    (sentence,) = lost.measurement.left_out
    assert sentence.startswith("line 14, column 2 (G): a reading of 0, far from all others")
    repeated = fitted("14-repeated-reads.csv")
    assert repeated.read_noise.value * repeated.range == pytest.approx(4, abs=0.5)  # nS
    spread = fitted("17-spread-of-ranges.csv")
    assert spread.range_spread.value == pytest.approx(0.19, abs=0.02)
    assert spread.variability.value == pytest.approx(0, abs=0.01)
